"""Free ports and waiting for servers."""

from __future__ import annotations

import contextlib
import socket

import requests


def free_ports(address: str, count: int) -> list[int]:
    """Ports that nothing listens on at an address of this machine, all different.

    Somebody else may take one before it is used; with the machine's ten thousands of ports that is rare.
    """
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind((address, 0))
            ports.append(listener.getsockname()[1])
        return ports


def listens(address: str, port: int) -> bool:
    """Whether something accepts connections there now."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


def answers(url: str) -> bool:
    """Whether a server answers there without an error now."""
    with requests.Session() as session, contextlib.suppress(requests.RequestException):
        session.trust_env = False  # neither proxies nor a ~/.netrc
        return session.get(url, timeout=2).ok
    return False
