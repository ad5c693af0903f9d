"""What both versions of the protocol say about a directory."""

from __future__ import annotations

from dataclasses import dataclass

# Bits of ACCESS; the same in versions 3 and 4.
READ, LOOKUP, MODIFY, EXTEND, DELETE, EXECUTE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
ACCESS_ALL = READ | LOOKUP | MODIFY | EXTEND | DELETE | EXECUTE


@dataclass(frozen=True)
class Rights:
    """What the server would allow the caller to do in a directory."""

    bits: int

    @property
    def read(self) -> bool:
        """List it and go through it."""
        return self.bits & (READ | LOOKUP) == READ | LOOKUP

    @property
    def write(self) -> bool:
        """Make and remove files in it."""
        return self.bits & (MODIFY | EXTEND) == MODIFY | EXTEND


@dataclass(frozen=True)
class Directory:
    """A directory of the server.

    Attributes:
        rights: of the caller.
        read_only: nobody may write, as the export (or the file system under it) is read-only.
    """

    rights: Rights
    read_only: bool = False
