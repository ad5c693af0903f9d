"""Runs a workflow for a command: makes the reporter, shows the result, answers with the exit code."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from msrctl.cli.base import Given
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
    from msrctl.ui.reporter import log_to_stderr, make_reporter

    invocation = given.invocation
    reporter = make_reporter(nocolor=invocation.nocolor, show_plans=not dry_run)
    if invocation.debug:
        log_to_stderr()
    pending, invocation.warnings = invocation.warnings, reporter.warnings
    for warning in pending:
        reporter.warn(warning)
    result = workflow(reporter)
    return render.show(
        result,
        command=invocation.command,
        json=invocation.json,
        reporter=reporter,
        on_stdout=result_on_stdout,
    )
