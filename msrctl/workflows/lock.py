"""`msrctl lock status` and `msrctl lock release`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine import lock as locking
from msrctl.model.results import LockResult
from msrctl.workflows.session import open_engine
from msrctl.workflows.swarm import swarm_state

if TYPE_CHECKING:
    from msrctl.engine.lock import LockStatus
    from msrctl.model.requests import CommonRequest


def lock_status(common: CommonRequest) -> LockResult:
    """Who holds the lock."""
    engine = open_engine(common)
    held = None if swarm_state(engine) == "inactive" else locking.status(engine)
    return _result(held)


def lock_release(common: CommonRequest, *, force: bool) -> LockResult:
    """Takes the lock away from a holder that is gone, or with `force` from one that lives.

    Raises:
        Locked: the holder is alive and `force` is not given.
    """
    engine = open_engine(common)
    if swarm_state(engine) == "inactive":
        return _result(None)
    return _result(locking.release(engine, force=force), released=True)


def _result(held: LockStatus | None, *, released: bool = False) -> LockResult:
    if held is None:
        return LockResult(held=False)
    return LockResult(
        held=not released,
        holder=held.holder,
        command=held.command,
        since=held.since,
        last_heartbeat=f"{held.heartbeat_age:.0f} s ago",
        stale=held.stale or held.dead,
        released=released,
    )
