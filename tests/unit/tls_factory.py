"""Certificates as operators have them, good and bad, and a TLS handshake in memory."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from msrctl.secret import Secret

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key(self) -> Secret:
        return Secret(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def encrypted_key(self) -> Secret:
        return Secret(
            self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass"))
        )


def make(
    common: str,
    *,
    names: tuple[str, ...] = (),
    issuer: Made | None = None,
    ca: bool | None = False,
    start: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=365),
    usages: tuple[x509.ObjectIdentifier, ...] = (),
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> Made:
    """A certificate; without issuer it is self-signed; `start` and `end` count from `NOW`."""
    private = private or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False
        )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return Made(builder.sign(issuer.private if issuer else private, hashes.SHA256()), private)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def client_context(authorities: str) -> ssl.SSLContext:
    """A client that trusts these authorities, as strictly as OpenSSL can be."""
    context = ssl.create_default_context(cadata=authorities)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def server_context(certificates: str, key: Secret) -> ssl.SSLContext:
    """A server with these certificates (Python reads them from files only)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cert.pem").write_text(certificates)
        (Path(folder) / "key.pem").write_bytes(key.reveal())
        context.load_cert_chain(Path(folder) / "cert.pem", Path(folder) / "key.pem")
    return context


def shake_hands(client_side: ssl.SSLContext, server_side: ssl.SSLContext, host: str) -> None:
    """A TLS handshake in memory; raises what OpenSSL finds wrong with the server's certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version()
