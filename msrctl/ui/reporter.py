"""Progress on stderr: log lines without a terminal; msrctl.ui.live has the reporter for a terminal."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

from msrctl.plan.step import Plan
from msrctl.ui import logrus, output, words
from msrctl.workflows.reporter import Progress, Reporter

_LEVELS: dict[int, logrus.Level] = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "fatal",
}


class RecordingReporter(Reporter, Protocol):
    """A reporter that remembers its warnings, for the JSON document."""

    warnings: list[str]


class PlainReporter:
    """Log lines as logrus writes them; never asks.

    Arguments:
        show_plans: False when the plan is the result and will be shown as that.
    """

    def __init__(self, *, show_plans: bool = True) -> None:
        self.warnings: list[str] = []
        self._show_plans = show_plans

    @property
    def interactive(self) -> bool:
        """Nobody is there to answer."""
        return False

    def info(self, text: str) -> None:
        """One line about what happens."""
        output.note(logrus.line("info", text))

    def warn(self, text: str) -> None:
        """One line that somebody should act on."""
        self.warnings.append(text)
        output.note(logrus.line("warning", text))

    def plan(self, plan: Plan) -> None:
        """The plan, a line each."""
        if self._show_plans:
            for text in str(plan).splitlines():
                self.info(f"Plan: {text}" if text == plan.title else text.rstrip())

    @contextmanager
    def step(self, title: str, detail: str = "") -> Iterator[Progress]:
        """A line when the step begins, and one when it is done or has failed, with its time."""
        progress = _Detail(detail)
        started = time.monotonic()
        self.info(f"{title}: {detail or 'begins'}")
        try:
            yield progress
        except BaseException:
            output.note(logrus.line("error", _ended(title, "failed", progress.text, started)))
            raise
        self.info(_ended(title, "done", progress.text, started))

    def confirm(self, question: str) -> bool:
        """Never reached by a workflow that looks at `interactive`; the answer is no."""
        self.warn(f"{question} (no terminal to ask on: no)")
        return False


class _Detail:
    def __init__(self, text: str) -> None:
        self.text = text

    def detail(self, text: str) -> None:
        """Replaces the words after the step's title."""
        self.text = text


def _ended(title: str, how: str, detail: str, started: float) -> str:
    return f"{title}: {how}{', ' if detail else ''}{detail} ({words.elapsed(time.monotonic() - started)})"


def make_reporter(*, nocolor: bool = False, show_plans: bool = True) -> RecordingReporter:
    """The reporter for this stderr: live on a terminal, log lines elsewhere."""
    if not output.is_terminal():
        return PlainReporter(show_plans=show_plans)
    from msrctl.ui.live import TerminalReporter

    return TerminalReporter(color=output.colored(nocolor=nocolor), show_plans=show_plans)


class _LogrusHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        level = _LEVELS.get(record.levelno // 10 * 10, "info")
        output.note(logrus.line(level, f"{record.name}: {record.getMessage()}"))


def log_to_stderr() -> None:
    """Sends what msrctl's own modules log (--debug) to stderr, once."""
    logger = logging.getLogger("msrctl")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    if not any(isinstance(handler, _LogrusHandler) for handler in logger.handlers):
        logger.addHandler(_LogrusHandler())


def ask(question: str) -> bool:
    """Asks yes or no on the terminal; only enter means no."""
    return click.confirm(words.clean(question), default=False, err=True)
