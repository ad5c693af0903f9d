"""Single judgements about a certificate: each adds what it finds, with option and remedy in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from msrctl.tls.chain import is_authority, is_self_signed
from msrctl.tls.hosts import ascii_host, covers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_EXPIRES_SOON = timedelta(days=30)
# Debian's OpenSSL (security level 2) refuses to serve or to accept shorter RSA keys.
_RSA_BITS = 2048


@dataclass
class Findings:
    """Errors and warnings in the order in which they are found."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def judge_authorities(
    certificates: Sequence[x509.Certificate], option: str, now: datetime, found: Findings
) -> None:
    """Every certificate of a bundle has to be an authority, and one of them valid now.

    Bundles carry old and new roots while one replaces the other, and a system's bundle has expired ones.
    """
    dates = Findings()
    for certificate in certificates:
        judge_dates(certificate, option, now, dates)
        judge_strength(certificate, option, found)
        if not is_authority(certificate):
            found.errors.append(
                f"{option}: {line(certificate.subject)} is not an authority (its basicConstraints do not say "
                f"CA): give the certificate of the authority that signed it"
            )
    one_is_valid = any(is_valid(certificate, now) for certificate in certificates)
    (found.warnings if one_is_valid else found.errors).extend(dates.errors)
    found.warnings += dates.warnings


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate has begun and not ended."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def judge_dates(certificate: x509.Certificate, option: str, now: datetime, found: Findings) -> None:
    """Expired and not yet valid are errors, close to the end is a warning."""
    who = f"{option}: {line(certificate.subject)}"
    end = certificate.not_valid_after_utc
    if now > end:
        found.errors.append(f"{who} expired on {end:%Y-%m-%d %H:%M} UTC: renew it")
    elif now < certificate.not_valid_before_utc:
        found.errors.append(
            f"{who} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC: wait, or "
            f"check the clock of this machine"
        )
    elif end - now < _EXPIRES_SOON:
        found.warnings.append(
            f"{who} expires in {(end - now).days} days, on {end:%Y-%m-%d %H:%M} UTC: renew it soon"
        )


def judge_strength(certificate: x509.Certificate, option: str, found: Findings) -> None:
    """Keys and signatures that OpenSSL refuses at its default level are errors."""
    who = f"{option}: {line(certificate.subject)}"
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        found.errors.append(
            f"{who} has an RSA key of {key.key_size} bits, which OpenSSL refuses: make one of "
            f"{_RSA_BITS} or more"
        )
    # A root's signature of itself is not checked by anybody.
    if not is_self_signed(certificate) and isinstance(
        certificate.signature_hash_algorithm, hashes.MD5 | hashes.SHA1
    ):
        found.errors.append(
            f"{who} is signed with {certificate.signature_hash_algorithm.name}, which clients refuse: "
            f"renew it"
        )


def judge_purpose(leaf: x509.Certificate, option: str, found: Findings) -> None:
    """A certificate that is expressly for something else than servers is an error."""
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        usages = None
    allowed = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usages is not None and not allowed & set(usages):
        found.errors.append(
            f"{option}: the certificate is not for servers (its extendedKeyUsage lacks serverAuth): "
            f"request a server certificate"
        )
    if is_authority(leaf) and not is_self_signed(leaf):
        found.warnings.append(
            f"{option}: the server's certificate is itself an authority: request a plain one"
        )


def judge_host(leaf: x509.Certificate, option: str, host: str | None, found: Findings) -> None:
    """Its names have to stand for the host; a name in the subject alone is not looked at by clients."""
    names = subject_names(leaf)
    if names:
        if host is not None and not covers(names, host):
            found.errors.append(
                f"{option} does not stand for {host} but for {', '.join(names)}: request one with this name, "
                f"or use one of these in --dtr-external-url"
            )
        return
    common = [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if host is None or any(ascii_host(name) == ascii_host(host) for name in common):
        found.warnings.append(
            f"{option} has its name in the subject only, which clients refuse: request one with a subject "
            f"alternative name"
        )
    else:
        found.errors.append(
            f"{option} does not stand for {host}: it has no subject alternative name at all, request one "
            f"with this name"
        )


def subject_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """A certificate's subject alternative names: DNS names and IP addresses, as text."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    dns = tuple(names.get_values_for_type(x509.DNSName))
    return dns + tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))


def line(name: x509.Name) -> str:
    """A distinguished name for people: the common name, else the whole of it."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string() or "(no name)"
