"""Obligations of our own certificate authority."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tls_factory import client_context, server_context, shake_hands

from msrctl.errors import UsageFault, VerifyFailed
from msrctl.secret import Secret
from msrctl.tls.authority import create_authority, key_fingerprint, new_key, sign, signing_request

NAMES = ["registry.example.com", "node-1", "10.0.0.5", "2001:db8::5"]


def issue(*names: str, days: int = 825, authority_days: int = 3650) -> tuple[str, Secret, str]:
    authority = create_authority("msrctl test", days=authority_days)
    key = new_key()
    certificate = sign(authority.certificate, authority.key, signing_request(key, names), days=days)
    return certificate, key, authority.certificate


def test_a_certificate_has_exactly_the_names_that_were_asked_for() -> None:
    certificate, _, _ = issue(*NAMES)
    names = (
        x509.load_pem_x509_certificate(certificate.encode())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert names.get_values_for_type(x509.DNSName) == NAMES[:2]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == NAMES[2:]


@pytest.mark.parametrize("host", [*NAMES, "other.example.com"])
def test_openssl_in_its_strict_mode_accepts_it_for_its_names_and_no_other(host: str) -> None:
    certificate, key, authority = issue(*NAMES)
    client, server = client_context(authority), server_context(certificate, key)
    if host in NAMES:
        shake_hands(client, server, host)
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            shake_hands(client, server, host)


def test_a_certificate_is_for_servers_and_is_no_authority() -> None:
    certificate = x509.load_pem_x509_certificate(issue("a.example.com")[0].encode())
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]


def test_the_certificate_points_at_its_authority_by_key_identifier() -> None:
    pem, _, authority_pem = issue("a.example.com")
    certificate = x509.load_pem_x509_certificate(pem.encode())
    authority = x509.load_pem_x509_certificate(authority_pem.encode())
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    above = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert above.key_identifier == own.digest


def test_a_certificate_lasts_825_days_and_is_valid_where_the_clock_is_hours_behind() -> None:
    certificate, _, authority = map(_loaded, issue("a.example.com"))
    assert certificate is not None
    assert authority is not None
    now = datetime.now(UTC)
    for one in (certificate, authority):
        assert one.not_valid_before_utc < now - timedelta(hours=23)
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=824) < lasts <= timedelta(days=825)


def _loaded(pem: str | Secret) -> x509.Certificate | None:
    return x509.load_pem_x509_certificate(pem.encode()) if isinstance(pem, str) else None


def test_a_certificate_never_outlives_its_authority() -> None:
    pem, _, authority_pem = issue("a.example.com", days=825, authority_days=10)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    authority = x509.load_pem_x509_certificate(authority_pem.encode())
    assert certificate.not_valid_after_utc == authority.not_valid_after_utc


def test_a_request_that_asks_to_be_an_authority_is_signed_as_a_plain_server() -> None:
    authority = create_authority("ours")
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("evil.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    certificate = x509.load_pem_x509_certificate(sign(authority.certificate, authority.key, request).encode())
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_request_whose_signature_is_wrong_is_refused() -> None:
    authority = create_authority("ours")
    der = bytearray(
        x509.load_pem_x509_csr(signing_request(new_key(), ["a.example.com"]).encode()).public_bytes(
            Encoding.DER
        )
    )
    der[der.index(b"a.example.com")] = ord("b")
    request = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(VerifyFailed, match="not signed with its own key"):
        sign(authority.certificate, authority.key, request)


def test_a_request_without_names_is_refused() -> None:
    authority = create_authority("ours")
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    with pytest.raises(VerifyFailed, match="names no host"):
        sign(authority.certificate, authority.key, request)


def test_signing_with_another_authoritys_key_is_refused() -> None:
    one, other = create_authority("one"), create_authority("other")
    with pytest.raises(UsageFault, match="does not belong"):
        sign(one.certificate, other.key, signing_request(new_key(), ["a.example.com"]))


@pytest.mark.parametrize(
    "names", [[], [""], ["bad name"], ["-dash.example.com"], ["a..b"], ["https://x"], ["x" * 64]]
)
def test_what_is_not_a_host_name_is_refused_in_a_request(names: list[str]) -> None:
    with pytest.raises(UsageFault):
        signing_request(new_key(), names)


def test_a_name_too_long_for_a_common_name_still_gets_a_certificate() -> None:
    long = ".".join(["a" * 30] * 4)
    certificate = x509.load_pem_x509_certificate(issue(long)[0].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [long]
    assert names.critical


def test_a_name_given_twice_stands_once() -> None:
    request = x509.load_pem_x509_csr(signing_request(new_key(), ["a.b", "a.b", "10.0.0.1"]).encode())
    assert len(list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)) == 2


def test_a_key_its_request_and_its_certificate_have_one_fingerprint_and_another_key_another() -> None:
    certificate, key, authority = issue("a.example.com")
    fingerprint = key_fingerprint(certificate)
    assert len(fingerprint) == 64
    assert key_fingerprint(key) == key_fingerprint(key.reveal_text()) == fingerprint
    assert key_fingerprint(signing_request(key, ["x"])) == fingerprint
    assert key_fingerprint(authority) != fingerprint


@pytest.mark.parametrize(
    "private",
    [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()],
    ids=["rsa", "ed25519"],
)
def test_an_operators_rsa_or_ed25519_key_can_be_requested_for(
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    authority = create_authority("ours")
    key = Secret(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate = sign(authority.certificate, authority.key, signing_request(key, ["a.example.com"]))
    assert key_fingerprint(certificate) == key_fingerprint(key)


def test_keys_never_show() -> None:
    authority = create_authority("ours")
    assert "PRIVATE" not in repr(authority)
    assert load_pem_private_key(authority.key.reveal(), None)
    damaged = Secret(authority.key.reveal().replace(b"MI", b"!!"))
    with pytest.raises(UsageFault) as caught:
        signing_request(damaged, ["a.example.com"])
    assert damaged.reveal_text().splitlines()[1] not in str(caught.value)
    assert caught.value.__cause__ is None
