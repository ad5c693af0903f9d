"""`msrctl status --watch`: the status again and again, over one connection."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from msrctl.errors import MsrctlError
from msrctl.workflows.session import open_engine
from msrctl.workflows.status import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from msrctl.model.requests import StatusRequest
    from msrctl.model.results import StatusResult


def watch(
    request: StatusRequest, interval: float, pause: Callable[[float], None] = time.sleep
) -> Iterator[StatusResult | MsrctlError]:
    """What status finds, or why it finds nothing; without end.

    Arguments:
        request: as for `status`.
        interval: seconds between two looks.
        pause: waits for seconds.

    Raises:
        MsrctlError: there was no first look: an engine that never answered is not watched.
    """
    engine = open_engine(request.common)
    yield look(engine, request)
    while True:
        pause(interval)
        try:
            seen: StatusResult | MsrctlError = look(engine, request)
        except MsrctlError as error:
            seen = error
        yield seen


def changes(
    seen: Iterator[StatusResult | MsrctlError],
) -> Iterator[StatusResult | MsrctlError]:
    """The first of what is seen, and then only what differs from the one before.

    That time goes by is no change: not the age of the lock and of its last heartbeat.
    """
    before: object = None
    for one in seen:
        now = _lasting(one)
        if now != before:
            before = now
            yield one


def _lasting(seen: StatusResult | MsrctlError) -> object:
    if isinstance(seen, MsrctlError):
        return seen.code, seen.message
    # The words of a lock end in its age; what comes before is who holds it and for what.
    return replace(seen, lock=seen.lock and seen.lock.rpartition(" for ")[0])
