"""From a server's certificate up to an authority: which certificates a client would find on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Longer chains do not occur; this ends the search in certificates that sign each other.
_LONGEST = 10


@dataclass(frozen=True)
class Chain:
    """How far a certificate's chain goes.

    Arguments:
        top: the last certificate that was found among those that the server sends.
        anchor: the given authority that issued (or is) `top`; None when there is none.
        lacks_intermediate: the anchor is an intermediate authority that the server does not send,
            so that a client which knows only the root finds no way up.
    """

    top: x509.Certificate
    anchor: x509.Certificate | None
    lacks_intermediate: bool


def build_chain(
    leaf: x509.Certificate, sent: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> Chain:
    """Walk from the leaf up through what the server sends until an authority has issued it.

    Arguments:
        leaf: the server's certificate.
        sent: further certificates that the server sends, in any order.
        authorities: what a client trusts, roots or not.
    """
    top = leaf
    for _ in range(_LONGEST):
        if top in authorities:
            return Chain(top, top, lacks_intermediate=False)
        anchor = _issuer_of(top, authorities)
        if anchor is not None:
            lacking = not is_self_signed(anchor) and anchor not in sent
            return Chain(top, anchor, lacks_intermediate=lacking)
        above = None if is_self_signed(top) else _issuer_of(top, sent)
        if above is None:
            break
        top = above
    return Chain(top, None, lacks_intermediate=False)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether a certificate is signed with its own key, as roots are."""
    return certificate.subject == certificate.issuer and _issued(certificate, certificate)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate may issue others (basicConstraints, and keyUsage where it is listed)."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        # Old roots of X.509 version 1 cannot say it; clients take them when they are trusted.
        return certificate.version is x509.Version.v1 and is_self_signed(certificate)
    except ValueError:
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return constraints.ca
    return constraints.ca and usage.key_cert_sign


def _issuer_of(
    certificate: x509.Certificate, candidates: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    for candidate in candidates:
        if candidate != certificate and is_authority(candidate) and _issued(candidate, certificate):
            return candidate
    return None


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
