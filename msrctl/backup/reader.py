"""Reads a backup file strictly: every byte is accounted for, and what is not of our making is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from msrctl.backup import layout, ustar
from msrctl.backup.faults import fault

if TYPE_CHECKING:
    from msrctl.errors import MsrctlError

PIECE = 1 << 20
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
DTR = ("dtr-backup-v", "ucp-backup", "./dtr-backup-v")
LARGEST_LAYERS = 1 << 50
"""Bytes of all layers together; what says more is a bomb."""


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most so many; none at the end."""


@dataclass(frozen=True)
class Member:
    """One member whose data are at hand piece by piece; take them before the next member.

    Arguments:
        section: which part of the backup it belongs to.
        key: the number of a chunk, or digest and number of a layer's part.
        size: bytes.
        pieces: its data.
    """

    section: str
    key: Any
    size: int
    pieces: Iterator[bytes]

    def data(self) -> bytes:
        """All of it: only for members with small limits."""
        return b"".join(self.pieces)


class Reader:
    """Goes through a backup once; `members` ends only if the whole file is what its checksums say.

    Arguments:
        source: the (decrypted) file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read = 0
        self._sums = hashlib.sha256()
        self._count = 0
        self._last: tuple[int, Any] = (-1, 0)
        self._bytes = 0

    def members(self) -> Iterator[Member]:
        """All members in their order; those that are not read are passed over, and checked all the same.

        Raises:
            MsrctlError: the file is not a whole backup; see msrctl/backup/faults.py for the codes.
        """
        first = True
        while True:
            header = self._header(first=first)
            section, key = self._placed(header)
            if first and section != layout.HEAD:
                raise fault("BACKUP-ORDER", f"it begins with {header.name}")
            first = False
            checksum = hashlib.sha256()
            pieces = self._pieces(header, checksum)
            if section in (layout.CHECKSUMS, layout.MARKER):
                yield from self._closing(section, pieces)
                if section == layout.MARKER:
                    return
                continue
            yield Member(section, key, header.size, pieces)
            for _ in pieces:
                pass
            self._sums.update(f"{checksum.hexdigest()}  {header.name}\n".encode())
            self._count += 1

    def _closing(self, section: str, pieces: Iterator[bytes]) -> Iterator[Member]:
        """The checksums and the marker: compared here, and not handed on."""
        if section == layout.CHECKSUMS:
            found = hashlib.sha256()
            for piece in pieces:
                found.update(piece)
            if found.digest() != self._sums.digest():
                raise fault("BACKUP-DAMAGED", "what it holds is not what its checksums say")
            yield from ()
            return
        try:
            marker = json.loads(b"".join(pieces))
            right = marker == {"members": self._count, "sha256": self._sums.hexdigest()}
        except (ValueError, RecursionError):
            right = False
        if not right:
            raise fault("BACKUP-DAMAGED", "its end marker does not belong to what comes before it")
        if self._exactly(len(ustar.END)) != ustar.END:
            raise fault("BACKUP-DAMAGED", "its end is not what it should be")
        if self._source.read(1):
            raise fault("BACKUP-TRAILING", "something follows its end")

    def _header(self, *, first: bool) -> ustar.Header:
        block = self._some(ustar.BLOCK)
        if first:
            self._refuse_foreign(block)
        if len(block) < ustar.BLOCK:
            raise _truncated(self._read)
        try:
            return ustar.parse(block)
        except ustar.HeaderError as error:
            code = {"checksum": "BACKUP-DAMAGED", "zero": "BACKUP-TRUNCATED"}.get(
                error.reason, "BACKUP-HOSTILE"
            )
            words = "it ends before its end marker" if error.reason == "zero" else str(error)
            raise fault(code, f"at byte {self._read - ustar.BLOCK:,}: {words}") from None

    def _refuse_foreign(self, block: bytes) -> None:
        """Says what the file is, if it is no backup of msrctl's."""
        if not block:
            raise fault("BACKUP-EMPTY", "the backup is empty: it has not a single byte")
        for magic, name in COMPRESSED.items():
            if block.startswith(magic):
                raise fault("BACKUP-COMPRESSED", f"it is compressed with {name}")
        name = ustar.name_of(block)
        if name.startswith(DTR):
            raise fault("BACKUP-OTHER-PRODUCT", f"it is a backup of another product ({name.split('/')[0]})")
        if name.startswith(f"{layout.TOP}/"):
            return
        if name and block[156:157] not in (b"0", b"\0", b"5", b"x", b"g", b"L"):
            raise fault("BACKUP-HOSTILE", f"it begins with {name}, which is no file")
        if name.startswith("/") or ".." in name.split("/"):
            raise fault("BACKUP-HOSTILE", f"it begins with {name}, which would be written elsewhere")
        if name:
            raise fault("BACKUP-FOREIGN", f"it is a tar file, but no backup of msrctl: it begins with {name}")
        if len(block) < ustar.BLOCK and layout.HEAD.encode().startswith(block[: len(layout.HEAD)]):
            raise _truncated(len(block))
        if block.startswith(layout.TOP.encode()):
            raise fault("BACKUP-DAMAGED", "its first header is damaged")
        raise fault("BACKUP-FOREIGN", "it is no backup of msrctl, nor any tar file")

    def _placed(self, header: ustar.Header) -> tuple[str, Any]:
        """Section and key of a member; refuses names, sizes and places that are not ours."""
        found = layout.section_of(header.name)
        if found is None:
            raise fault("BACKUP-HOSTILE", f"it holds {header.name[:100]!r}, which msrctl never writes")
        section, key = found
        if header.size > layout.limit_of(section):
            raise fault("BACKUP-HOSTILE", f"{header.name} claims {header.size:,} bytes")
        place = layout.ORDER.index(section)
        before, last = self._last
        if place < before or (place == before and not _follows(section, last, key)):
            raise fault("BACKUP-ORDER", f"{header.name} is not where it belongs")
        if place > before and not _begins(section, key):
            raise fault("BACKUP-ORDER", f"{header.name} is the first of its kind; the one before is missing")
        skipped = [s for s in layout.ORDER[before + 1 : place] if s in layout.SINGLE]
        if skipped:
            raise fault("BACKUP-ORDER", f"{skipped[0]} is missing before {header.name}")
        self._last = (place, key)
        return section, key

    def _pieces(self, header: ustar.Header, checksum: Any) -> Iterator[bytes]:
        left = header.size
        while left:
            piece = self._exactly(min(left, PIECE))
            checksum.update(piece)
            left -= len(piece)
            yield piece
        if any(self._exactly(-header.size % ustar.BLOCK)):
            raise fault("BACKUP-DAMAGED", f"something stands in the gap after {header.name}")

    def _exactly(self, size: int) -> bytes:
        found = self._some(size)
        if len(found) < size:
            raise _truncated(self._read)
        return found

    def _some(self, size: int) -> bytes:
        parts, have = [], 0
        while have < size and (part := self._source.read(size - have)):
            parts.append(part)
            have += len(part)
        self._read += have
        return b"".join(parts)


def _follows(section: str, last: Any, key: Any) -> bool:
    if section == layout.LAYERS:
        if key[0] == last[0]:
            return bool(key[1] == last[1] + 1)
        return bool(key[0] > last[0] and key[1] == 0)
    return section in layout.CHUNKED and key == last + 1


def _begins(section: str, key: Any) -> bool:
    if section == layout.LAYERS:
        return bool(key[1] == 0)
    return bool(key == 0)


def _truncated(at: int) -> MsrctlError:
    return fault("BACKUP-TRUNCATED", f"it ends after {at:,} bytes, before its end marker")
