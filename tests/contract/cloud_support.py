"""What the tests of the stores at Azure and Google share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

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
