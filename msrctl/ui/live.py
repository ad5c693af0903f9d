"""Progress on a terminal: the running step turns, a finished one stays as a line with its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.status import Status
from rich.text import Text

from msrctl.plan.step import Plan
from msrctl.ui import words
from msrctl.ui.reporter import ask
from msrctl.workflows.reporter import Progress

_TITLE = 26
"""Columns of a title and the space after it: the name of a service, `dtr-registry-` and twelve hex digits."""
_DETAIL = 40


class TerminalReporter:
    """Shows progress on a terminal, and asks there.

    Arguments:
        color: False also keeps the progress from moving.
        stream: where to write; None: stderr.
        show_plans: False when the plan is the result and will be shown as that.
    """

    def __init__(self, *, color: bool, stream: IO[str] | None = None, show_plans: bool = True) -> None:
        target = stream or sys.stderr
        self.warnings: list[str] = []
        self._console = Console(
            file=target,
            force_terminal=color or None,
            no_color=not color,
            highlight=False,
            soft_wrap=True,
        )
        self._moving = color
        self._good, self._bad = words.marks(target)
        self._show_plans = show_plans
        self._running: list[_Step] = []
        self._status: Status | None = None

    @property
    def interactive(self) -> bool:
        """Whether somebody can also type: stdin is a terminal as well."""
        return bool(sys.stdin and sys.stdin.isatty())

    def info(self, text: str) -> None:
        """One line about what happens."""
        self._print(text)

    def warn(self, text: str) -> None:
        """One line that somebody should act on."""
        self.warnings.append(text)
        self._print(f"! {text}", style="yellow")

    def plan(self, plan: Plan) -> None:
        """The plan before it is carried out."""
        if self._show_plans:
            self._print(f"Plan: {plan}")

    @contextmanager
    def step(self, title: str, detail: str = "") -> Iterator[Progress]:
        """A turning line while the block runs, then one with its outcome and time."""
        step = _Step(self, title, detail)
        self._running.append(step)
        self.refresh()
        started = time.monotonic()
        good = False
        try:
            yield step
            good = True
        finally:
            self._running.remove(step)
            self._finish(step, good=good, seconds=time.monotonic() - started)
            self.refresh()

    def confirm(self, question: str) -> bool:
        """Asks yes or no."""
        self._stop()
        try:
            return ask(question)
        finally:
            self.refresh()

    def refresh(self) -> None:
        """Shows the innermost running step, or nothing when none runs."""
        if not self._running:
            self._stop()
        elif self._moving:
            text = Text(self._running[-1].line())
            if self._status is None:
                self._status = self._console.status(text, spinner="dots")
                self._status.start()
            else:
                self._status.update(text)

    def _finish(self, step: _Step, *, good: bool, seconds: float) -> None:
        mark = self._good if good else self._bad
        text = Text(" ")
        text.append(mark, style="green" if good else "red")
        text.append(f" {step.line():<{_TITLE + _DETAIL}} {words.elapsed(seconds)}")
        self._console.print(text)

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(words.clean(text), style=style))

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Step:
    def __init__(self, reporter: TerminalReporter, title: str, text: str) -> None:
        self._reporter = reporter
        self._title = title
        self._text = text

    def detail(self, text: str) -> None:
        """Replaces the words after the step's title."""
        self._text = text
        self._reporter.refresh()

    def line(self) -> str:
        """Title and detail, aligned."""
        return words.clean(f"{self._title:<{_TITLE - 1}} {self._text}").rstrip()
