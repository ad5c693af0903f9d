"""Runs a workflow for a command: makes the reporter, shows the result, answers with the exit code."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from msrctl.cli.base import Given
    from msrctl.ui.reporter import RecordingReporter
    from msrctl.workflows.reporter import Reporter

Result = TypeVar("Result")


def run(
    given: Given,
    workflow: Callable[[Reporter], Result],
    *,
    dry_run: bool = False,
    result_on_stdout: bool = True,
) -> int:
    """Runs a workflow and shows its result.

    Arguments:
        workflow: takes the reporter and returns a frozen result.
        dry_run: the plan is the result, so it is not reported as progress as well.
        result_on_stdout: False when stdout carries data; the result is told on stderr then.

    Returns:
        the exit code, which the result decides.
    """
    from msrctl.ui import render

    reporter = _reporter(given, show_plans=not dry_run)
    result = workflow(reporter)
    return render.show(
        result,
        command=given.invocation.command,
        form=given.invocation.output,
        reporter=reporter,
        on_stdout=result_on_stdout,
    )


def stream(given: Given, workflow: Callable[[Reporter], None]) -> int:
    """Runs what shows something again and again until Ctrl-C, which is its ordinary end.

    Returns:
        the exit code.
    """
    with contextlib.suppress(KeyboardInterrupt):
        workflow(_reporter(given))
    return 0


def _reporter(given: Given, *, show_plans: bool = True) -> RecordingReporter:
    """The reporter of a run; it begins with the warnings from parsing."""
    from msrctl.ui.reporter import log_to_stderr, make_reporter

    invocation = given.invocation
    reporter = make_reporter(nocolor=invocation.nocolor, show_plans=show_plans)
    if invocation.debug:
        log_to_stderr()
    pending, invocation.warnings = invocation.warnings, reporter.warnings
    for warning in pending:
        reporter.warn(warning)
    return reporter
