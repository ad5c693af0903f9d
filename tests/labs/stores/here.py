"""Stores on this machine's loopback, for tests that need no engine."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator


def own_loopback() -> str:
    """An address of this machine that no other run of tests has: some servers insist on port 443."""
    chosen = random.Random(os.getpid())
    return f"127.{chosen.randrange(1, 255)}.{chosen.randrange(1, 255)}.{chosen.randrange(2, 255)}"


@contextlib.contextmanager
def names_known(*needed: tuple[str, str]) -> Iterator[None]:
    """Resolves names for this process as a user's DNS does.

    Arguments:
        needed: pairs of name and address, as in `ObjectStore.needs_hosts`.
    """
    known, resolve = dict(needed), socket.getaddrinfo

    def answer(host: Any, *rest: Any, **options: Any) -> Any:
        return resolve(known.get(host, host), *rest, **options)

    with mock.patch("socket.getaddrinfo", answer):
        yield
