"""Tells that a task on stores goes on: a line a second, as long as the stores do what they are asked.

A store that hangs, as a hard NFS mount does whose server has gone, answers nothing and fails nothing. Whoever
started the task sees that the lines stop (`stall` of msrctl/engine/oneshot.py).
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from msrctl.transfer.store import Store

SECONDS = 1.0
ALIVE = "alive"
"""Type of the lines; their number says how much was done so far."""

_printing = threading.Lock()


def print_line(data: dict[str, Any]) -> None:
    """Prints one line of JSON, whole, from whatever thread."""
    text = json.dumps(data)
    with _printing:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


class Pulse:
    """Counts what stores have done, and prints the count as long as it grows."""

    def __init__(self) -> None:
        self.count = 0
        self._said = 0

    def say(self, data: dict[str, Any]) -> None:
        """Prints a line that tells more than that something goes on; none of ours is needed then.

        Arguments:
            data: the line.
        """
        self._said += 1
        print_line(data)

    def beat(self) -> None:
        """One more thing was done. From whatever thread: that one is lost now and then does not matter."""
        self.count += 1

    @contextlib.contextmanager
    def printed(self, seconds: float = SECONDS) -> Iterator[None]:
        """Prints a line in every such while in which something was done, for as long as the block runs.

        Arguments:
            seconds: how long to wait between two looks.
        """
        done = threading.Event()

        def run() -> None:
            last, said = self.count, self._said
            while not done.wait(seconds):
                if self.count != last and self._said == said:
                    print_line({"type": ALIVE, "count": self.count})
                last, said = self.count, self._said

        threading.Thread(target=run, daemon=True).start()
        try:
            yield
        finally:
            done.set()


PULSE = Pulse()


class Watched:
    """A store whose every answer is a beat.

    Arguments:
        inner: the store.
        pulse: what counts.
    """

    def __init__(self, inner: Store, pulse: Pulse = PULSE) -> None:
        self._inner = inner
        self._pulse = pulse

    @property
    def words(self) -> str:
        """As the store has it."""
        return self._inner.words

    @property
    def concurrency(self) -> int:
        """As the store has it."""
        return self._inner.concurrency

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """A beat for each key."""
        return self._beating(self._inner.list(prefix))

    def size(self, key: str) -> int | None:
        """A beat when the answer is there."""
        found = self._inner.size(key)
        self._pulse.beat()
        return found

    def read(self, key: str) -> bytes:
        """A beat when the answer is there."""
        found = self._inner.read(key)
        self._pulse.beat()
        return found

    def stream(self, key: str) -> Iterator[bytes]:
        """A beat for each chunk."""
        return self._beating(self._inner.stream(key))

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """A beat for each chunk that is taken, and one when all is there."""
        self._inner.write(key, self._beating(chunks), size)
        self._pulse.beat()

    def delete(self, keys: Iterable[str]) -> None:
        """A beat for each key that is taken."""
        self._inner.delete(self._beating(keys))
        self._pulse.beat()

    def probe(self) -> Iterator[dict[str, Any]]:
        """A beat for each answer."""
        return self._beating(self._inner.probe())

    def _beating(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._pulse.beat()
            yield item
