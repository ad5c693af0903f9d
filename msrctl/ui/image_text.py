"""Results of the image commands as text; imported only when there is one."""

from __future__ import annotations

from typing import Any

from msrctl.images.archive import LoadResult, SaveResult
from msrctl.images.build import BuildResult
from msrctl.images.inventory import ImageEntry
from msrctl.ui import words


def lines(result: Any) -> list[str]:
    """A result of msrctl.images as lines of text."""
    match result:
        case BuildResult():
            how = "built" if result.built else "already there, made from the same things"
            return [f"{result.reference}   {words.size(result.size)}   {how}"]
        case SaveResult():
            return [f"{result.reference} saved to {result.path or 'stdout'} ({words.size(result.written)})"]
        case LoadResult():
            return [_entry(entry) for entry in result.images]
    return str(result).splitlines()


def _entry(entry: ImageEntry) -> str:
    return f"{entry.reference} loaded{'' if entry.size is None else f' ({words.size(entry.size)})'}"
