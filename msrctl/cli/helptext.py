"""How help is laid out: like click's, but options are never broken at their hyphens."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import TextWrapper

import click

_GAP = 2
_WIDEST_FIRST = 34


class Formatter(click.HelpFormatter):
    """Writes paragraphs and lists of definitions; a definition may have several paragraphs."""

    def write_text(self, text: str) -> None:
        """Paragraphs, wrapped; they are separated by blank lines, single line breaks do not count."""
        indent = " " * self.current_indent
        paragraphs = [self._wrapped(p, self.width - self.current_indent) for p in text.split("\n\n")]
        self.write("\n\n".join("\n".join(indent + line for line in lines) for lines in paragraphs) + "\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = _WIDEST_FIRST, col_spacing: int = _GAP
    ) -> None:
        """Terms on the left, their meaning on the right."""
        rows = list(rows)
        left = min(max(len(term) for term, _ in rows), col_max) + col_spacing
        indent = " " * self.current_indent
        width = max(self.width - left - self.current_indent, 20)
        for term, meaning in rows:
            lines = [line for p in meaning.split("\n\n") for line in self._wrapped(p, width)] or [""]
            fits = len(term) <= left - col_spacing
            first = f"{term:<{left}}{lines[0]}" if fits else term
            self.write(f"{indent}{first.rstrip()}\n")
            for line in lines[1:] if fits else lines:
                self.write(f"{indent}{'':<{left}}{line}\n")

    @staticmethod
    def _wrapped(paragraph: str, width: int) -> list[str]:
        wrapper = TextWrapper(width, break_on_hyphens=False, break_long_words=False)
        return wrapper.wrap(" ".join(paragraph.split()))


class Context(click.Context):
    """A context whose help is laid out by `Formatter`."""

    formatter_class = Formatter
