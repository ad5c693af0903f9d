"""Lines out of the engine's log stream: frames of several tasks, in parts and out of order."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEADER = struct.Struct(">BxxxL")
_STREAMS = {1: "stdout", 2: "stderr"}
ENGINE_STREAM = "engine"
"""Stream of what the engine itself has to say about a log, for example that a node did not send its part."""


class Record(NamedTuple):
    """One line of a service's log.

    Arguments:
        time: when the engine took it, RFC 3339 in UTC with nanoseconds; "" for the engine's own words.
        stream: stdout, stderr, or `ENGINE_STREAM`.
        task: id of the task that wrote it, if the details name it.
        text: the line without its end.
    """

    time: str
    stream: str
    task: str
    text: str


class LogReader:
    """Takes the bytes of a log that was asked for with `timestamps` and `details`, as they come.

    The engine cuts a line longer than 16 KiB into several frames, each with prefixes of its own, and only the
    last ends with a newline; frames of several tasks come interleaved. The details name the task.

    Source: Engine API, "Attach to a container", stream format; service logs use the same, and frames of
    stream 3 for errors (moby, pkg/stdcopy: Systemerr).
    """

    def __init__(self) -> None:
        self._data = b""
        self._begun: dict[tuple[int, bytes], tuple[bytes, bytes]] = {}

    def feed(self, data: bytes) -> list[Record]:
        """Lines that are whole now, in the order in which they came."""
        self._data += data
        found: list[Record] = []
        at = 0
        while at + _HEADER.size <= len(self._data):
            stream, length = _HEADER.unpack_from(self._data, at)
            if at + _HEADER.size + length > len(self._data):
                break
            at += _HEADER.size
            found += self._frame(stream, self._data[at : at + length])
            at += length
        self._data = self._data[at:]
        return found

    def rest(self) -> list[Record]:
        """What was begun when the stream ended."""
        found: list[Record] = []
        if len(self._data) > _HEADER.size:
            found += self._frame(_HEADER.unpack_from(self._data)[0], self._data[_HEADER.size :])
        found += [_record(stamp, key, text) for key, (stamp, text) in self._begun.items()]
        self._data, self._begun = b"", {}
        return found

    def _frame(self, stream: int, payload: bytes) -> list[Record]:
        if stream not in _STREAMS:
            said = payload.decode(errors="replace").strip()
            return [Record("", ENGINE_STREAM, "", said)] if said else []
        stamp, _, rest = payload.partition(b" ")
        details, _, text = rest.partition(b" ")
        key = (stream, details)
        first, before = self._begun.pop(key, (stamp, b""))
        if text.endswith(b"\n"):
            return [_record(first, key, before + text[:-1])]
        self._begun[key] = (first, before + text)
        return []


def records_of(data: bytes) -> list[Record]:
    """All lines of a log, oldest first; the engine's own words come last."""
    reader = LogReader()
    # Stamps are of fixed width and UTC, so they sort as text; sorted() keeps the order of equal ones.
    return sorted([*reader.feed(data), *reader.rest()], key=lambda record: record.time or "~")


def records_as_they_come(chunks: Iterable[bytes]) -> Iterator[Record]:
    """Lines of a log that is being followed, each as soon as it is whole."""
    reader = LogReader()
    for chunk in chunks:
        yield from reader.feed(chunk)


def unix_stamp(moment: str) -> str:
    """A time (RFC 3339, UTC, ending in Z) as the engine takes it for `since`: seconds since 1970."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return f"{seconds}.{fraction[:9]:0<9}"


def lines_of(data: bytes) -> list[str]:
    """Texts of all lines of a log, oldest first."""
    return [record.text for record in records_of(data)]


def _record(stamp: bytes, key: tuple[int, bytes], text: bytes) -> Record:
    stream, details = key
    named = dict(part.partition("=")[::2] for part in details.decode(errors="replace").split(","))
    return Record(
        stamp.decode(errors="replace"),
        _STREAMS[stream],
        named.get("com.docker.swarm.task.id", ""),
        text.decode(errors="replace").rstrip("\r"),
    )
