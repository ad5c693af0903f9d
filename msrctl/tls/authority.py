"""Our own certificate authority: keys, signing requests and certificates, as PEM text.

A swarm secret cannot be read back, so the authority's key never returns to the machine that runs msrctl.
Later certificates are therefore made in three steps: a key and a signing request where the certificate is
needed, `sign` in a one-shot that has the authority's key mounted and is given nothing but the request.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from msrctl.errors import UsageFault, VerifyFailed
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes

# Clocks differ: a certificate must be valid at once where the clock is behind that of whoever made it.
_CLOCK_SKEW = timedelta(days=1)
# RFC 5280, upper bound of a common name; the library counts bytes.
_COMMON_NAME_LENGTH = 64
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z)(\*\.)?{_LABEL}(\.{_LABEL})*")
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Authority:
    """A certificate authority.

    Arguments:
        certificate: its own certificate, PEM.
        key: its private key, PEM (PKCS#8, unencrypted).
    """

    certificate: str
    key: Secret


def create_authority(name: str, *, days: int = 3650) -> Authority:
    """Make a self-signed authority (EC P-256) that signs server certificates and no further authorities.

    Arguments:
        name: its common name, cut at 64 bytes; people see it in trust stores.
        days: how long it is valid, days.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    common = name.encode()[:_COMMON_NAME_LENGTH].decode(errors="ignore")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    now = datetime.now(UTC)
    builder = (
        _builder(subject, subject, key.public_key())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return Authority(_pem(certificate), _key_secret(key))


def new_key() -> Secret:
    """A new private key (EC P-256), PEM (PKCS#8, unencrypted)."""
    return _key_secret(ec.generate_private_key(ec.SECP256R1()))


def signing_request(key: Secret, names: Sequence[str]) -> str:
    """A certificate signing request, PEM.

    Arguments:
        key: the private key, PEM.
        names: DNS names or IP addresses; exactly these become subject alternative names, in this order and
            each once. The first is also the common name where it fits, for people to read.

    Raises:
        UsageFault: no name, or a name that cannot stand in a certificate, or no usable key.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        raise UsageFault("a certificate needs at least one name", code="TLS-NAMES")
    private = _signing_key(key)
    alternative = x509.SubjectAlternativeName([_general_name(name) for name in wanted])
    fits = len(wanted[0].encode()) <= _COMMON_NAME_LENGTH
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0])] if fits else [])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(alternative, critical=not fits)
        .sign(private, _digest_for(private))
    )
    return request.public_bytes(Encoding.PEM).decode()


def sign(authority_cert_pem: str, authority_key: Secret, csr_pem: str, *, days: int = 825) -> str:
    """Make a server certificate from a signing request, PEM.

    Only the subject, the public key and the subject alternative names are taken from the request: what
    else it asks for (such as being an authority) is not granted. It never outlives the authority.

    Arguments:
        authority_cert_pem: the authority's certificate, PEM.
        authority_key: the authority's private key, PEM.
        csr_pem: the request, PEM.
        days: how long the certificate is valid, days. 825 is the most that Apple's clients accept.

    Raises:
        UsageFault: something is not PEM of the right kind, or the authority's key and certificate differ.
        VerifyFailed: the request is not signed with its own key, or names no host.
    """
    issuer = _certificate(authority_cert_pem)
    issuer_key = _signing_key(authority_key)
    if spki(issuer_key.public_key()) != spki(issuer.public_key()):
        raise UsageFault(
            "the authority's key does not belong to the authority's certificate", code="TLS-CA-KEY"
        )
    request, names = _checked_request(csr_pem)
    start = max(datetime.now(UTC) - _CLOCK_SKEW, issuer.not_valid_before_utc)
    builder = (
        _builder(request.subject, issuer.subject, request.public_key())
        .not_valid_before(start)
        .not_valid_after(min(start + timedelta(days=days), issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # RFC 5280 4.2.1.6: critical when the subject is empty.
        .add_extension(names, critical=not list(request.subject))
        .add_extension(_authority_identifier(issuer), critical=False)
    )
    return _pem(builder.sign(issuer_key, _digest_for(issuer_key)))


def key_fingerprint(pem: str | Secret) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), 64 hex digits: equal for a key and its certificate.

    Arguments:
        pem: a certificate, a signing request or an unencrypted private key, PEM.

    Raises:
        UsageFault: it is none of these.
    """
    text = pem.reveal_text() if isinstance(pem, Secret) else pem
    if "PRIVATE KEY-----" in text:
        return hashlib.sha256(spki(_signing_key(Secret(text)).public_key())).hexdigest()
    if "CERTIFICATE REQUEST-----" in text:
        return hashlib.sha256(spki(_request(text).public_key())).hexdigest()
    return hashlib.sha256(spki(_certificate(text).public_key())).hexdigest()


def spki(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    """A public key's SubjectPublicKeyInfo (DER): equal for a private key and its certificate."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: CertificatePublicKeyTypes
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Points at the issuer's own identifier where it has one: verifiers compare the two."""
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        own = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if not _DNS_NAME.fullmatch(ascii_name):
        raise UsageFault(f"{name!r} is neither a DNS name nor an IP address", code="TLS-NAMES")
    return x509.DNSName(ascii_name)


def _checked_request(pem: str) -> tuple[x509.CertificateSigningRequest, x509.SubjectAlternativeName]:
    request = _request(pem)
    if not request.is_signature_valid:
        raise VerifyFailed("the signing request is not signed with its own key", code="TLS-CSR")
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise VerifyFailed("the signing request names no host", code="TLS-CSR") from None
    return request, names


def _request(pem: str) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(pem.encode())
    except ValueError:
        raise UsageFault("this is not a PEM certificate signing request", code="TLS-PEM") from None


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise UsageFault("this is not a PEM certificate", code="TLS-PEM") from None


def _signing_key(secret: Secret) -> _PrivateKey:
    try:
        key = load_pem_private_key(secret.reveal(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own text could quote what it was given: a key never stands in an error.
        raise UsageFault("this is not an unencrypted PEM private key", code="TLS-PEM") from None
    if not isinstance(key, _PrivateKey):
        raise UsageFault("this kind of private key cannot be used for TLS", code="TLS-PEM")
    return key


def _digest_for(key: _PrivateKey) -> hashes.SHA256 | None:
    """The digest to sign with; Ed25519 brings its own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _key_secret(key: ec.EllipticCurvePrivateKey) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
