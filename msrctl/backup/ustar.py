"""The few bytes of the tar format that a backup uses: regular files with short names, and nothing else.

A reader of its own rather than a library's: what it does not know it refuses, so that no link, device, path
or extension can do anything. Source: "ustar Interchange Format" in
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 512
LARGEST = 8**11 - 1
"""Bytes: what eleven octal digits can say."""
END = bytes(2 * BLOCK)
_MAGIC = b"ustar\x0000"


class HeaderError(Exception):
    """A block that is no header of ours.

    Arguments:
        reason: checksum, format, kind or zero.
        text: in words.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Header:
    """What a header says that matters here."""

    name: str
    size: int


def header(name: str, size: int, *, mtime: int) -> bytes:
    """The block before a file's data.

    Arguments:
        name: at most 100 bytes of ASCII.
        size: bytes that follow.
        mtime: seconds since 1970.
    """
    raw = name.encode("ascii")
    if len(raw) > 100 or not 0 <= size <= LARGEST:
        raise ValueError(f"{name}, {size} bytes: not for this format")
    block = bytearray(BLOCK)
    block[0 : len(raw)] = raw
    block[100:108] = b"0000600\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % mtime
    block[148:156] = b" " * 8
    block[156:157] = b"0"
    block[257:265] = _MAGIC
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padding(size: int) -> bytes:
    """The zeros after a file's data."""
    return bytes(-size % BLOCK)


def parse(block: bytes) -> Header:
    """The header in a block.

    Raises:
        HeaderError: it is none, its checksum is wrong, or it is not of a regular file.
    """
    if not any(block):
        raise HeaderError("zero", "a block of zeros")
    said = _octal(block[148:156])
    if said != sum(block[:148]) + 8 * 32 + sum(block[156:]):
        raise HeaderError("checksum", "a header's checksum is wrong")
    name = block[:100].rstrip(b"\0").decode("utf-8", "replace")
    if block[156:157] not in (b"0", b"\0"):
        raise HeaderError("kind", f"{_printable(name)} is {_kind(block[156:157])}")
    if block[257:262] != b"ustar" or any(block[345:500]) or any(block[157:257]):
        raise HeaderError("format", f"{_printable(name)} has a header of another program")
    if block[148:156] != b"%06o\0 " % said:
        # The sum does not cover itself: what follows its digits would be nobody's.
        raise HeaderError("checksum", "a header's checksum is not written as this format has it")
    return Header(name, _octal(block[124:136]))


def name_of(block: bytes) -> str:
    """The name in a block that may be any tar's header, for telling whose it is; "" if it is none."""
    if len(block) < BLOCK or _octal_or_none(block[148:156]) is None:
        return ""
    if _octal_or_none(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
        return ""
    return _printable(block[:100].rstrip(b"\0").decode("utf-8", "replace"))


def _octal(field: bytes) -> int:
    found = _octal_or_none(field)
    if found is None:
        raise HeaderError("checksum", "a header holds what is no number")
    return found


def _octal_or_none(field: bytes) -> int | None:
    text = field.strip(b"\0 ")
    if not text or any(digit not in b"01234567" for digit in text):
        return None
    return int(text, 8)


def _kind(flag: bytes) -> str:
    kinds = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device"}
    return kinds.get(flag, "a directory" if flag == b"5" else "no regular file")


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)
