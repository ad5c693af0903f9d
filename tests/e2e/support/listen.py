"""Listens on the machine: a syslog server that keeps what it gets, and a watch on all command lines."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class _Background:
    """A thread that runs `_run` while in its block."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)


class Syslog(_Background):
    """A syslog server for one protocol; `text` is all that it got."""

    def __init__(self, address: str, protocol: str) -> None:
        super().__init__()
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.bind((address, 0))
        self._socket.settimeout(0.2)
        self._stream = protocol == "tcp"
        if self._stream:
            self._socket.listen()
        self.host = f"{address}:{self._socket.getsockname()[1]}"
        self._pieces: list[bytes] = []

    @property
    def text(self) -> str:
        return b"".join(self._pieces).decode(errors="replace")

    def _run(self) -> None:
        connections = [self._socket]
        while not self._stop.is_set():
            for one in tuple(connections):
                try:
                    if self._stream and one is self._socket:
                        new = one.accept()[0]
                        new.settimeout(0.05)
                        connections.append(new)
                    elif piece := one.recv(65536):
                        self._pieces.append(piece)
                    else:
                        connections.remove(one)
                except TimeoutError:
                    continue
        for one in connections:
            one.close()
        self._socket.close()


class CommandLines(_Background):
    """All command lines of the machine's processes, of containers too, seen while in the block."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue
