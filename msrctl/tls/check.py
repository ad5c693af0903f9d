"""Checks of certificates and keys that an operator brings: every problem at once, each with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from msrctl.tls.authority import spki
from msrctl.tls.chain import build_chain, is_authority, is_self_signed
from msrctl.tls.judge import (
    Findings,
    is_valid,
    judge_authorities,
    judge_dates,
    judge_host,
    judge_purpose,
    judge_strength,
    line,
    subject_names,
)
from msrctl.tls.pem import load_certificates, load_key, pem_certificates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from msrctl.secret import Secret

__all__ = ["BundleReport", "TlsReport", "check_ca_bundle", "check_pair", "pem_certificates"]

_CERT = "--dtr-cert"
_KEY = "--dtr-key"
_CA = "--dtr-ca"


@dataclass(frozen=True)
class TlsReport:
    """What was found about a certificate, its key and its authority.

    Arguments:
        errors: what makes them unusable; each names the option, what is wrong and the remedy.
        warnings: what works today but deserves a look.
        names: the certificate's subject alternative names.
        not_after: when it expires (UTC); None when there is no readable certificate.
        issuer: who issued it, in one line; empty when there is no readable certificate.
        fingerprint: SHA-256 of the certificate (DER), 64 hex digits, as
            ``openssl x509 -fingerprint -sha256`` shows it; empty when there is no readable certificate.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    names: tuple[str, ...]
    not_after: datetime | None
    issuer: str
    fingerprint: str


@dataclass(frozen=True)
class BundleReport:
    """What was found about a bundle of authorities.

    Arguments:
        errors: what makes it unusable; each names the option, what is wrong and the remedy.
        warnings: what works today but deserves a look.
        certificates: the certificates, PEM each, without what stood between them.
        subjects: whom they belong to, one line each.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    certificates: tuple[str, ...]
    subjects: tuple[str, ...]


def check_pair(
    cert_pem: str, key: Secret, *, ca_pem: str | None, host: str | None, now: datetime | None = None
) -> TlsReport:
    """Check a server's certificate, its private key and the authority that clients will be told to trust.

    Arguments:
        cert_pem: text of ``--dtr-cert``: the server's certificate first, then intermediate ones.
        key: text of ``--dtr-key``.
        ca_pem: text of ``--dtr-ca``; None: the certificate's authority is one that clients know already.
        host: the name or IP address, without a port, that clients will use; None: not known yet.
        now: the time to check dates against; by default the present.

    Returns:
        All problems, not the first one. Nothing is raised for wrong input.
    """
    moment = now or datetime.now(UTC)
    found = Findings()
    loaded = load_certificates(cert_pem, _CERT)
    private = load_key(key, _KEY)
    found.errors += [*loaded.errors, *((private.error,) if private.error else ())]
    leaf = _find_leaf(loaded.certificates, private.key, found)
    if leaf is not None:
        judge_purpose(leaf, _CERT, found)
        judge_host(leaf, _CERT, host, found)
    for certificate in loaded.certificates:
        judge_dates(certificate, _CERT, moment, found)
        judge_strength(certificate, _CERT, found)
    trusted = _check_authorities(ca_pem, leaf, moment, found)
    if leaf is None:
        return TlsReport(tuple(found.errors), tuple(found.warnings), (), None, "", "")
    if ca_pem is None or trusted:
        others = [certificate for certificate in loaded.certificates if certificate != leaf]
        _judge_chain(leaf, others, trusted, found)
    return TlsReport(
        tuple(found.errors),
        tuple(found.warnings),
        subject_names(leaf),
        leaf.not_valid_after_utc,
        line(leaf.issuer),
        leaf.fingerprint(hashes.SHA256()).hex(),
    )


def check_ca_bundle(text: str, option: str, *, now: datetime | None = None) -> BundleReport:
    """Check a bundle of authorities: ``--custom-ca-cert-bundle``, ``--client-cert-auth-ca``, ``--ucp-ca``.

    Arguments:
        text: what the option was given, PEM.
        option: the option's name, for the messages.
        now: the time to check dates against; by default the present.
    """
    loaded = load_certificates(text, option)
    found = Findings(errors=list(loaded.errors))
    judge_authorities(loaded.certificates, option, now or datetime.now(UTC), found)
    return BundleReport(
        tuple(found.errors),
        tuple(found.warnings),
        pem_certificates(text),
        tuple(line(certificate.subject) for certificate in loaded.certificates),
    )


def _find_leaf(
    certificates: Sequence[x509.Certificate], key: PrivateKeyTypes | None, found: Findings
) -> x509.Certificate | None:
    """The certificate that belongs to the key; without a readable key the first one that is no authority."""
    if not certificates:
        return None
    first = certificates[0]
    if key is None:
        owner = next((each for each in certificates if not is_authority(each)), first)
    else:
        wanted = spki(key.public_key())
        owners = [each for each in certificates if spki(each.public_key()) == wanted]
        if not owners:
            found.errors.append(
                f"{_KEY} does not belong to {_CERT} ({line(first.subject)}): give the key from which this "
                f"certificate was requested"
            )
        owner = owners[0] if owners else first
    if owner is not first:
        found.errors.append(
            f"{_CERT} has the server's certificate in place {certificates.index(owner) + 1}: it has to come "
            f"first, followed by the intermediate ones"
        )
    return owner


def _check_authorities(
    ca_pem: str | None, leaf: x509.Certificate | None, now: datetime, found: Findings
) -> tuple[x509.Certificate, ...]:
    if ca_pem is None:
        return ()
    bundle = load_certificates(ca_pem, _CA)
    found.errors += bundle.errors
    # A self-signed server certificate may stand as its own authority: clients accept it once they have it.
    own = leaf if leaf is not None and is_self_signed(leaf) else None
    judge_authorities([each for each in bundle.certificates if each != own], _CA, now, found)
    return tuple(each for each in bundle.certificates if is_valid(each, now)) or bundle.certificates


def _judge_chain(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    found: Findings,
) -> None:
    chain = build_chain(leaf, others, trusted)
    if not trusted:
        if is_self_signed(chain.top):
            found.warnings.append(
                f"{_CERT}: its authority {line(chain.top.subject)} is a private one: give it with {_CA} "
                f"too, or clients refuse the server"
            )
    elif chain.anchor is None:
        found.errors.append(_broken_chain(chain.top, leaf))
    elif chain.lacks_intermediate:
        found.warnings.append(
            f"{_CERT} lacks the intermediate certificate {line(chain.anchor.subject)}, which stands only in "
            f"{_CA}: append it to {_CERT}, or clients that know only the root refuse the server"
        )


def _broken_chain(top: x509.Certificate, leaf: x509.Certificate) -> str:
    if is_self_signed(top):
        return f"{_CERT} leads up to {line(top.subject)}, which is not in {_CA}: give that authority in {_CA}"
    which = "it" if top == leaf else f"its intermediate {line(top.subject)}"
    return (
        f"{_CERT} does not lead up to {_CA}: {which} was issued by {line(top.issuer)}, which is in neither: "
        f"append the missing intermediate to {_CERT}, or give the right {_CA}"
    )
