"""What the tests of the stores at Azure and Google share."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import requests

from msrctl.transfer import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.transfer.store import Store

PROBE_SECONDS = 10
"""Within which every failure is told."""


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


@contextlib.contextmanager
def every_other_request_fails() -> Iterator[list[str]]:
    """Breaks the connection of every other request; yields the methods of those that were broken.

    Nobody waits between two tries meanwhile.
    """
    broken: list[str] = []
    turn = itertools.count()
    send = web._Adapter.send

    def faltering(self: Any, request: Any, *rest: Any, **options: Any) -> Any:
        if next(turn) % 2 == 0:
            broken.append(request.method)
            raise requests.ConnectionError(
                "('Connection aborted.', ConnectionResetError(104, 'reset by peer'))"
            )
        return send(self, request, *rest, **options)

    with mock.patch.object(web._Adapter, "send", faltering), mock.patch("time.sleep"):
        yield broken


def goes_on_after_faults(store: Store, large: int) -> None:
    """Writes, reads and deletes with a connection that breaks again and again."""
    data = os.urandom(large)
    with every_other_request_fails() as broken:
        store.write("docker/small", [b"x"], 1)
        store.write("docker/large", [data], large)
        assert store.read("docker/small") == b"x"
        assert b"".join(store.stream("docker/large")) == data
        assert store.size("docker/large") == large
        assert dict(store.list("docker")) == {"docker/small": 1, "docker/large": large}
        store.delete(["docker/small", "docker/large"])
        assert list(store.list("docker")) == []
    assert {"GET", "PUT", "DELETE"} <= set(broken)
