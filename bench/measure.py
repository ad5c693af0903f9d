"""What every measurement shares: a figure with its target, and pairs taken in turn."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Figure:
    """One measured figure against what a user would use instead.

    Arguments:
        name: what was measured.
        ours: msrctl's values, one a pair, in `unit`.
        theirs: the other side's values, in the same order.
        unit: ``s`` or ``MB/s``.
        commands: the command behind `ours`, and the one behind `theirs`.
        most: the ratio ours/theirs may be at most this; None: no such limit.
        least: the ratio must be at least this; None: no such limit. With neither it is there to explain.
        limit: msrctl's own value may be at most this, in `unit`; None: no such limit.
        note: what a reader has to know, a line.
    """

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    unit: str
    commands: tuple[str, str]
    most: float | None = None
    least: float | None = None
    limit: float | None = None
    note: str = field(default="")

    @property
    def ratios(self) -> list[float]:
        """ours/theirs of each pair."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """Median over the pairs: what slows the machine for a while slows both halves of a pair."""
        return statistics.median(self.ratios)

    @property
    def target(self) -> str:
        """The limit in words."""
        if self.limit is not None:
            return f"<= {self.limit:g} {self.unit}"
        if self.most is not None:
            return f"<= {self.most:g}"
        return f">= {self.least:g}" if self.least is not None else ""

    @property
    def good(self) -> bool:
        """Whether the ratio keeps its target; a figure without one always does."""
        return (
            (self.most is None or self.ratio <= self.most)
            and (self.least is None or self.ratio >= self.least)
            and (self.limit is None or max(self.ours) <= self.limit)
        )

    @property
    def verdict(self) -> str:
        """``ok``, or on which side of the target it is; empty without a target."""
        if not self.target:
            return ""
        return "ok" if self.good else "UNDER" if self.least is not None else "OVER"


def pairs(
    count: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measures both sides in turn, each first in every other pair.

    Arguments:
        count: how many pairs.
        ours: measures msrctl once.
        theirs: measures the other side once.
    """
    first: list[float] = []
    second: list[float] = []
    for number in range(count):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            (second if side else first).append(theirs() if side else ours())
    return tuple(first), tuple(second)


def table(figures: list[Figure]) -> str:
    """The figures as text: the table, then each one's spread, commands and note."""
    rows = [("figure", "msrctl", "instead", "ratio", "target", "")]
    rows += [
        (f.name, _value(f.ours, f.unit), _value(f.theirs, f.unit), f"{f.ratio:.2f}", f.target, f.verdict)
        for f in figures
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    lines += ["", "Medians of pairs taken in turn; the ratio is the median of the pairs' own ratios."]
    for f in figures:
        spread = f"{min(f.ratios):.2f} to {max(f.ratios):.2f} over {len(f.ratios)} pairs"
        lines += ["", f"{f.name}: {spread}", f"  msrctl:  {f.commands[0]}", f"  instead: {f.commands[1]}"]
        lines += [f"  {f.note}"] if f.note else []
    return "\n".join(lines)


def _value(values: tuple[float, ...], unit: str) -> str:
    middle = statistics.median(values)
    return f"{middle:.0f} {unit}" if middle >= 100 else f"{middle:.3g} {unit}"
