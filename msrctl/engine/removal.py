"""Removes objects that tasks on their way out may still use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msrctl.engine.protocol import ApiError

if TYPE_CHECKING:
    from msrctl.engine.protocol import Engine, Kind

IN_USE_SECONDS = 45.0
"""Longer than the stop grace period: until then an object may still be in use by a task that drains."""
IN_USE = frozenset({400, 403, 409})
"""What the engine answers then: 400 for configs and secrets, 403 or 409 for networks, 409 for volumes."""


def remove_when_free(engine: Engine, kind: Kind, ident: str, seconds: float = IN_USE_SECONDS) -> bool:
    """Removes an object by id or name, waiting while it is in use; False if there was none.

    Arguments:
        engine: a manager.
        kind: of object.
        ident: its id or name.
        seconds: how long to wait at most.

    Raises:
        ApiError: it is still in use after that, or the engine refuses for another reason.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return engine.remove(kind, ident)
        except ApiError as error:
            if error.status not in IN_USE or time.monotonic() > end:
                raise
            time.sleep(0.3)
