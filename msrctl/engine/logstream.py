"""Lines out of the engine's log stream: frames of several tasks, in parts and out of order."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = struct.Struct(">BxxxL")


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(stream, payload) of each frame; stream 1 is stdout, 2 is stderr.

    Source: Engine API, "Attach to a container", stream format; service logs use the same.
    """
    at = 0
    while at + _HEADER.size <= len(data):
        stream, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        yield stream, data[at : at + length]
        at += length


def lines_of(data: bytes) -> list[str]:
    """Lines of a log that was asked for with `timestamps` and `details`, oldest first.

    The engine cuts a line longer than 16 KiB into several frames, each with prefixes of its own, and only the
    last ends with a newline; frames of several tasks come interleaved. The details name the task.
    """
    begun: dict[tuple[int, bytes], tuple[bytes, bytes]] = {}
    lines: list[tuple[bytes, bytes]] = []
    for stream, payload in frames(data):
        stamp, _, rest = payload.partition(b" ")
        details, _, text = rest.partition(b" ")
        key = (stream, details)
        first, before = begun.pop(key, (stamp, b""))
        if text.endswith(b"\n"):
            lines.append((first, before + text[:-1]))
        else:
            begun[key] = (first, before + text)
    lines += begun.values()
    # Stamps are of fixed width and UTC, so they sort as bytes; sorted() keeps the order of equal ones.
    return [line.decode(errors="replace").rstrip("\r") for _, line in sorted(lines, key=lambda pair: pair[0])]
