"""Addresses of NFS exports: `nfs://host/directory`, read strictly, with all problems named."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from msrctl.errors import UsageFault

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST_LABEL = r"[A-Za-z0-9](?:[\w-]{0,61}[A-Za-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){HOST_LABEL}(?:\.{HOST_LABEL})*\.?", re.ASCII)
EXAMPLE = "Write nfs://host/directory, for example nfs://nas.example.com/images."


@dataclass(frozen=True)
class NfsAddress:
    """An exported directory: the server (an IPv6 address without brackets) and the path on it."""

    host: str
    export: str

    @property
    def url(self) -> str:
        """In the form that `parse_url` takes."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        directory = re.sub("[%?#]", lambda mark: f"%{ord(mark[0]):02X}", self.export)
        return f"nfs://{host}{directory}"


def parse_url(text: str) -> NfsAddress:
    """Reads nfs://host/directory; %XX in the directory stands for a byte (RFC 2224).

    Raises:
        UsageFault: USAGE-NFS-URL; its details name every problem.
    """
    problems = tuple(url_problems(text))
    if problems:
        raise UsageFault(
            f"{text!r} is not the address of an NFS export: {problems[0]}",
            code="USAGE-NFS-URL",
            hint=EXAMPLE,
            details=problems if len(problems) > 1 else (),
        )
    authority, path = _split(text)
    host = authority.strip("[]").lower()
    export = posixpath.normpath("/" + _decoded(path).lstrip("/"))
    return NfsAddress(str(ipaddress.ip_address(host)) if ":" in host else host, export)


def url_problems(text: str) -> Iterator[str]:
    """All that is wrong with the address of an export, in words; nothing if it is right."""
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        yield "it holds control characters"
        return
    scheme, separator, _ = text.partition("://")
    if not separator or scheme.lower() != "nfs":
        yield "it does not begin with nfs://"
        return
    authority, path = _split(text)
    yield from _authority_problems(authority)
    if not path:
        yield "it names no directory"
    yield from _path_problems(path)


def _split(text: str) -> tuple[str, str]:
    """Host (with all that does not belong there) and path (likewise)."""
    rest = text.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return authority, rest[len(authority) :]


def _authority_problems(authority: str) -> Iterator[str]:
    _, at, server = authority.rpartition("@")
    if at:
        yield "it holds a user name or a password, which NFS has no use for"
    host, port = server, ""
    if server.startswith("["):
        host, _, port = server.partition("]")
        host += "]"
        port = port.removeprefix(":") if port else ""
    elif server.count(":") == 1:
        host, _, port = server.partition(":")
    if port or server.endswith(":"):
        yield f"it holds a port: that goes into --nfs-options, as port={port or 2049}"
    if not host:
        yield "it names no host"
    elif not _is_host(host):
        yield f"{host!r} is neither a host name nor an address (an IPv6 address stands in brackets)"


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _is_address(host.removeprefix("[").removesuffix("]"), ipaddress.IPv6Address)
    if re.fullmatch(r"[0-9.]+", host):
        return _is_address(host, ipaddress.IPv4Address)
    return HOST_NAME.fullmatch(host) is not None


def _is_address(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return "%" not in text  # a zone is an interface of one node, and there are several


def _path_problems(path: str) -> Iterator[str]:
    for mark, name in (("?", "a query"), ("#", "a fragment")):
        if mark in path:
            code = f"%{ord(mark):02X}"
            yield f"it holds {name}; if {mark} belongs to the directory's name, write {code}"
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        yield "it holds a % without two hexadecimal digits; a % in the directory's name is %25"
        return
    try:
        decoded = _decoded(path)
    except UnicodeDecodeError:
        yield "the directory is not UTF-8"
        return
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in decoded):
        yield "the directory holds control characters"
    if ".." in decoded.split("/"):
        yield "the directory holds .."


def _decoded(path: str) -> str:
    return unquote_to_bytes(path).decode()
