"""Certificates for stores: one private authority for each test run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from msrctl.tls.authority import Authority, create_authority, new_key, sign, signing_request

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ServerFiles:
    """What a server with TLS is started with.

    Attributes:
        certificate: file with its certificate, PEM.
        key: file with its private key, PEM.
        ca: the CA that clients must trust, PEM.
    """

    certificate: Path
    key: Path
    ca: str


@cache
def stores_authority() -> Authority:
    """The authority that all stores of this process have their certificates from."""
    return create_authority("msrctl test stores", days=30)


def server_files(directory: Path, *names: str) -> ServerFiles:
    """Makes a key and a certificate.

    Arguments:
        directory: where the two files are written.
        names: the DNS names and IP addresses that the certificate is for.
    """
    authority, key = stores_authority(), new_key()
    pem = sign(authority.certificate, authority.key, signing_request(key, names), days=30)
    files = ServerFiles(directory / "server.crt", directory / "server.key", authority.certificate)
    files.certificate.write_text(pem)
    files.key.touch(0o600)
    files.key.write_bytes(key.reveal())
    return files
