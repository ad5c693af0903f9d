"""How a workflow tells a person what it does; `msrctl.ui` has the real ones, tests a recording one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from msrctl.plan.step import Plan


class Progress(Protocol):
    """A step under way."""

    def detail(self, text: str) -> None:
        """Replaces the words after the step's title ("healthy, an upload opens")."""


class Reporter(Protocol):
    """Progress and questions. Everything goes to stderr; results are returned, not reported."""

    @property
    def interactive(self) -> bool:
        """Whether questions can be asked: a terminal on both stdin and stderr."""

    def info(self, text: str) -> None:
        """One line about what happens."""

    def warn(self, text: str) -> None:
        """One line that somebody should act on."""

    def plan(self, plan: Plan) -> None:
        """Shows a plan before it is carried out."""

    def step(self, title: str, detail: str = "") -> AbstractContextManager[Progress]:
        """Shows a step while its block runs: done when it ends, failed when it raises."""

    def confirm(self, question: str) -> bool:
        """Asks yes or no; call it only if `interactive`."""
