"""What SIGINT, SIGTERM and SIGHUP do while something is changed, and while it is undone."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msrctl.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def signals_raise() -> Iterator[None]:
    """Turns SIGINT, SIGTERM and SIGHUP into Interrupted while the block runs."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature that signal wants
        raise Interrupted(f"interrupted by {signal.Signals(number).name}")

    with _handler(stop):
        yield


@contextmanager
def signals_wait() -> Iterator[None]:
    """Keeps SIGINT, SIGTERM and SIGHUP from ending an undo halfway."""
    with _handler(signal.SIG_IGN):
        yield


@contextmanager
def _handler(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, handler) for n in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
