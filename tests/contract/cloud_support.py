"""What the tests of the stores at Azure and Google share: servers on loopback, and names for this process."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from msrctl.transfer.store import Store

PROBE_SECONDS = 10
"""Within which every failure is told."""


def own_loopback() -> str:
    """An address of this machine that no other run of tests has: both servers insist on port 443."""
    chosen = random.Random(os.getpid())
    return f"127.{chosen.randrange(1, 255)}.{chosen.randrange(1, 255)}.{chosen.randrange(2, 255)}"


@contextlib.contextmanager
def names_known(names: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Resolves names for this process as a user's DNS does.

    Arguments:
        names: pairs of name and address, as in `ObjectStore.needs_hosts`.
    """
    known, resolve = dict(names), socket.getaddrinfo

    def answer(host: Any, *rest: Any, **options: Any) -> Any:
        return resolve(known.get(host, host), *rest, **options)

    with mock.patch("socket.getaddrinfo", answer):
        yield


def failures(store: Store) -> list[dict[str, Any]]:
    """The failed checks of a store's probe; each has to say what to do, and all of them in time."""
    began = time.monotonic()
    checks = list(store.probe())
    assert time.monotonic() - began < PROBE_SECONDS
    failed = [check for check in checks if not check["ok"]]
    for check in failed:
        assert check["detail"]
        assert check["hint"]
    return failed


def only_failure(store: Store) -> dict[str, Any]:
    """The one failed check of a store's probe."""
    (failure,) = failures(store)
    return failure


def broken_off(data: bytes) -> Iterator[bytes]:
    """Chunks of a source that fails when all but the end was handed over."""
    yield data
    raise RuntimeError("the source failed")
