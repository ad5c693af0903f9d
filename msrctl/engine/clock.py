"""Times as the engine tells them (never compared with local clocks), and durations in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msrctl.engine.protocol import Engine


def moment(text: str) -> datetime:
    """A time stamp of the Engine API (RFC 3339 with up to nine digits of a second)."""
    return datetime.fromisoformat(text)


def now(engine: Engine) -> datetime:
    """The engine's own time, `GET /info` SystemTime."""
    return moment(engine.info()["SystemTime"])


def in_words(seconds: float) -> str:
    """A duration for people: ``3 s``, ``2 min 10 s``, ``1 h 5 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for i, (unit, size) in enumerate(units):
        if whole >= size:
            most, rest = divmod(whole, size)
            lesser = rest // units[i + 1][1] if i + 1 < len(units) else 0
            return f"{most} {unit} {lesser} {units[i + 1][0]}" if lesser else f"{most} {unit}"
    return "0 s"
