"""Log lines in the text form of logrus, which scripts for the original parse."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

Level = Literal["debug", "info", "warning", "error", "fatal"]

_SHORT = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    "\\": r"\\", '"': r"\"",
}  # fmt: skip


def line(level: Level, message: str, *, at: datetime | None = None) -> str:
    """One line: ``time="2026-01-02T03:04:05Z" level=info msg="..."``.

    Arguments:
        at: a time with its zone; None: now.
    """
    moment = (at or datetime.now().astimezone()).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f'time="{moment}" level={level} msg={quote(message)}'


def quote(text: str) -> str:
    """Text in quotation marks, as Go's strconv.Quote writes it (https://pkg.go.dev/strconv#Quote).

    Bytes that were not UTF-8 (Python's surrogate escapes) become ``\\x..`` again.
    """
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF:
        return "\\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
