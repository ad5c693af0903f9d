"""Why a store's certificate is not accepted, in words, with the remedy."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

    from msrctl.transfer.endpoint import Setting

# Numbers of OpenSSL's x509_vfy.h (X509_V_ERR_*).
_EARLY, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64
_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}


def explain(
    error: ssl.SSLCertVerificationError, der: bytes | None, setting: Setting, where: str, *, given: bool
) -> tuple[str, str, str]:
    """Code, detail and hint.

    Arguments:
        error: of the handshake.
        der: the server's certificate, if it could be had.
        setting: names of the keys of the configuration.
        where: host and port.
        given: whether a CA was given.
    """
    certificate = _parse(der)
    number = error.verify_code
    if number in {_EARLY, _EXPIRED}:
        return _dates(certificate, setting, where, number)
    if number in {_HOST, _ADDRESS}:
        names = f"; it is for {', '.join(_names(certificate))}" if _names(certificate) else ""
        key = setting.address or "the address"
        hint = f"Write a name that the certificate has into {key}, or give the store one for this name."
        return "PRE-STORE-TLS-NAME", f"{where}: the certificate is for another name{names}", hint
    if number in _UNKNOWN_AUTHORITY:
        by = f", {certificate.issuer.rfc4514_string()}" if certificate else ""
        hint = f"Put the certificate of that authority (PEM) into {setting.root_ca}"
        hint += ": what is there now is of another one." if given else "."
        detail = f"{where}: the certificate is from an authority that is not trusted{by}"
        return "PRE-STORE-TLS-CA", detail, hint
    return (
        "PRE-STORE-TLS-OTHER",
        f"{where}: the certificate is not accepted: {error.verify_message}",
        "Give the store a certificate that is in order.",
    )


def _dates(
    certificate: x509.Certificate | None, setting: Setting, where: str, number: int
) -> tuple[str, str, str]:
    if number == _EXPIRED:
        end = certificate.not_valid_after_utc if certificate else None
        own = end is not None and end < datetime.now(UTC)
        what = f"the certificate expired on {end:%Y-%m-%d %H:%M} UTC" if own else "an authority expired"
        hint = "Renew the store's certificate" if own else f"Renew the authority's ({setting.root_ca})"
        return "PRE-STORE-TLS-EXPIRED", f"{where}: {what}", f"{hint}, or set that node's clock right."
    when = f" before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC" if certificate else " yet"
    return (
        "PRE-STORE-TLS-EARLY",
        f"{where}: the certificate is not valid{when}",
        "Set that node's clock right, or wait until the certificate begins.",
    )


def _parse(der: bytes | None) -> x509.Certificate | None:
    from cryptography import x509

    try:
        return x509.load_der_x509_certificate(der) if der else None
    except ValueError:
        return None


def _names(certificate: x509.Certificate | None) -> list[str]:
    from cryptography import x509

    if certificate is None:
        return []
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
