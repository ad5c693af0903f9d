"""Small forms of data for people: sizes, times, tables, text that cannot harm a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(count: int) -> str:
    """A number of bytes in binary units: ``1.5 GiB``."""
    value, unit = float(count), 0
    # 1023.95 and above would be shown as 1024.0 of the smaller unit.
    while abs(value) >= (1023.95 if unit else 1024) and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count:,} B" if unit == 0 else f"{value:,.1f} {_UNITS[unit]}"


def elapsed(seconds: float) -> str:
    """How long something took: ``0.4 s`` or ``2 min 05 s``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def clean(text: str) -> str:
    """Text of unknown origin without what a terminal would obey; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def value(found: Any) -> str:
    """A value of a drift or a change, as a word or two."""
    if found is None:
        return "(absent)"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, list | tuple):
        return ", ".join(value(item) for item in found) or "(none)"
    text = " ".join(clean(str(found)).split())
    return text if len(text) <= 60 else text[:57] + "..."


def marks(stream: IO[str]) -> tuple[str, str]:
    """The signs for good and bad that a stream can show."""
    try:
        "✓✗".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return "ok", "FAILED"
    return "✓", "✗"


def table(rows: Sequence[Sequence[str]], *, indent: str = "", right: Sequence[int] = ()) -> list[str]:
    """Rows as lines with aligned columns.

    Arguments:
        right: numbers of the columns that are aligned to the right.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "   ".join(cells)).rstrip())
    return lines
