"""Reading PEM text that an operator gave: what is in it, and what is wrong with it in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from msrctl.secret import Secret

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[ \t]*\r?\n(.+?)-----END CERTIFICATE-----", re.ASCII | re.DOTALL
)
_PRIVATE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True)
class LoadedCertificates:
    """Certificates that could be read, in order, and what was wrong with the rest."""

    certificates: tuple[x509.Certificate, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True)
class LoadedKey:
    """A private key, or what was wrong with it."""

    key: PrivateKeyTypes | None
    error: str | None


def pem_certificates(text: str) -> tuple[str, ...]:
    """The certificates of a PEM text, each as PEM with one line end at its end, in order.

    Text between them (such as the comments of a system's bundle) and Windows line ends are dropped. Whether
    they can be parsed is not looked at.
    """
    return tuple(
        "-----BEGIN CERTIFICATE-----\n"
        + "".join(f"{line.strip()}\n" for line in body.splitlines() if line.strip())
        + "-----END CERTIFICATE-----\n"
        for body in _CERTIFICATE.findall(text)
    )


def load_certificates(text: str, option: str) -> LoadedCertificates:
    """Parse every certificate of an option's text; each problem names the option and the remedy.

    Arguments:
        text: what the option was given.
        option: its name, such as ``--dtr-cert``.
    """
    certificates: list[x509.Certificate] = []
    errors: list[str] = []
    if _PRIVATE.search(text):
        errors.append(
            f"{option} contains a private key: certificates are public, remove the key from this text and "
            f"keep it out of sight"
        )
    blocks = pem_certificates(text)
    if not blocks:
        errors.append(f"{option} holds no PEM certificate: {_how_to_give(text, option)}")
    for number, block in enumerate(blocks, 1):
        try:
            certificates.append(x509.load_pem_x509_certificate(block.encode()))
        except ValueError:
            which = f"certificate {number} of {len(blocks)} in {option}" if len(blocks) > 1 else f"{option}"
            errors.append(f"{which} cannot be parsed: it is damaged or cut short, copy the file again")
    return LoadedCertificates(tuple(certificates), tuple(errors))


def load_key(secret: Secret, option: str) -> LoadedKey:
    """Parse a private key; the problem names the option and the remedy, and never quotes the key.

    Arguments:
        secret: what the option was given.
        option: its name, such as ``--dtr-key``.
    """
    data = secret.reveal()
    try:
        return LoadedKey(load_pem_private_key(data, password=None), None)
    except TypeError:
        return LoadedKey(
            None,
            f"{option} is encrypted with a passphrase, which a server that starts by itself cannot ask for: "
            f"decrypt it first (openssl pkey -in key.pem -out plain.pem)",
        )
    except (ValueError, UnsupportedAlgorithm):
        pass
    if b"PRIVATE KEY-----" in data:
        return LoadedKey(None, f"{option} cannot be parsed: it is damaged or cut short, copy the file again")
    if b"BEGIN CERTIFICATE-----" in data:
        return LoadedKey(
            None, f"{option} holds a certificate, not a private key: give the key that belongs to it"
        )
    return LoadedKey(None, f"{option} holds no PEM private key: {_how_to_give('', option)}")


def _how_to_give(text: str, option: str) -> str:
    if "BEGIN TRUSTED CERTIFICATE" in text:
        return "convert OpenSSL's own form with: openssl x509 -in FILE -out cert.pem"
    return f'it takes the text of the file, not its name: {option} "$(cat FILE.pem)"'
