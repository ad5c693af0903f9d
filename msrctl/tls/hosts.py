"""Which host names a certificate stands for, by the rules of Docker clients (RFC 6125, RFC 9525)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def covers(names: Iterable[str], host: str) -> bool:
    """Whether one of a certificate's subject alternative names stands for a host.

    A wildcard stands for exactly one whole leftmost label and needs two labels after it; it never stands for
    an IP address. IP addresses match by value, names without regard to case.

    Arguments:
        names: the certificate's names, DNS names and IP addresses as text.
        host: a host name or an IP address (IPv6 with or without brackets), no port.
    """
    address = _address(host)
    if address is not None:
        return any(_address(name) == address for name in names)
    wanted = ascii_host(host)
    return bool(wanted) and any(_matches(name.lower(), wanted) for name in names)


def ascii_host(host: str) -> str:
    """A host name as it is compared: lower case, international names encoded, no dot at its end."""
    name = host.removesuffix(".").lower()
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def _matches(pattern: str, host: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == host and "*" not in pattern
    parent = pattern[2:]
    label, dot, rest = host.partition(".")
    return bool(label and dot) and rest == parent and "." in parent and "*" not in parent


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
