"""Writes a backup file: members as they come, their checksums, the end marker."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

from msrctl.backup import layout, ustar

if TYPE_CHECKING:
    from collections.abc import Iterable


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Takes all of them."""


class Writer:
    """Streams a backup; nothing is kept but one line of checksum a member.

    Arguments:
        sink: takes the bytes.
        mtime: seconds since 1970, the same for all members.
    """

    def __init__(self, sink: Sink, *, mtime: int) -> None:
        self._sink = sink
        self.mtime = mtime
        self._sums: list[str] = []
        self._numbers: dict[str, int] = {}
        self.written = 0

    def json(self, name: str, data: Any) -> None:
        """A member that holds JSON."""
        self.member(name, [json.dumps(data, sort_keys=True, indent=1).encode() + b"\n"])

    def chunk(self, section: str, data: bytes) -> None:
        """The next chunk of a section."""
        number = self._numbers.get(section, 0)
        self._numbers[section] = number + 1
        self.member(layout.chunk_name(section, number), [data])

    def member(self, name: str, pieces: Iterable[bytes], size: int | None = None) -> None:
        """One member.

        Arguments:
            name: from msrctl.backup.layout.
            pieces: its bytes.
            size: how many that are; None: the pieces are at hand and are counted.

        Raises:
            ValueError: there are more or less of them.
        """
        if size is None:
            pieces = list(pieces)
            size = sum(map(len, pieces))
        checksum, seen = hashlib.sha256(), 0
        self.raw(ustar.header(name, size, mtime=self.mtime))
        for piece in pieces:
            seen += len(piece)
            checksum.update(piece)
            self.raw(piece)
        if seen != size:
            raise ValueError(f"{name}: {seen} bytes instead of {size}")
        self.raw(ustar.padding(size))
        self.sum(name, checksum.hexdigest())

    def layer(self, digest: str, size: int) -> LayerWriter:
        """A layer whose bytes come in pieces; call its `close` at the end.

        Arguments:
            digest: ``sha256:...``.
            size: bytes.
        """
        return LayerWriter(self, digest, size)

    def finish(self, summary: dict[str, Any]) -> None:
        """Summary, checksums of all members before, and the end marker, which names theirs."""
        self.json(layout.SUMMARY, summary)
        sums = "".join(self._sums).encode()
        members = len(self._sums)
        self.member(layout.CHECKSUMS, [sums])
        self.json(layout.MARKER, {"members": members, "sha256": hashlib.sha256(sums).hexdigest()})
        self.raw(ustar.END)

    def sum(self, name: str, checksum: str) -> None:
        """Notes the checksum of a member that was written."""
        self._sums.append(f"{checksum}  {name}\n")

    def raw(self, data: bytes) -> None:
        """Bytes as they are; only for what keeps the format."""
        self._sink.write(data)
        self.written += len(data)


class LayerWriter:
    """Takes the bytes of one layer and cuts them into members.

    Arguments:
        writer: of the backup.
        digest: of the layer.
        size: bytes that will come.
    """

    def __init__(self, writer: Writer, digest: str, size: int) -> None:
        self._writer = writer
        self._digest = digest
        self._left = size
        self._part = -1
        self._room = 0
        self._sum = hashlib.sha256()
        self._begin()

    def write(self, data: bytes) -> None:
        """Takes the next bytes.

        Raises:
            ValueError: there are more of them than was said.
        """
        while data:
            if not self._room:
                if not self._left:
                    raise ValueError(f"{self._digest}: more bytes than expected")
                self._begin()
            piece, data = data[: self._room], data[self._room :]
            self._sum.update(piece)
            self._writer.raw(piece)
            self._room -= len(piece)
            if not self._room:
                self._end()

    def close(self) -> None:
        """Ends it.

        Raises:
            ValueError: there were less bytes than was said.
        """
        if self._room or self._left:
            raise ValueError(f"{self._digest}: {self._room + self._left} bytes are missing")
        if not self._size:
            self._end()

    def _begin(self) -> None:
        self._part += 1
        self._size = self._room = min(self._left, layout.PART)
        self._left -= self._size
        self._sum = hashlib.sha256()
        self._name = layout.layer_name(self._digest, self._part)
        self._writer.raw(ustar.header(self._name, self._size, mtime=self._writer.mtime))

    def _end(self) -> None:
        self._writer.raw(ustar.padding(self._size))
        self._writer.sum(self._name, self._sum.hexdigest())
