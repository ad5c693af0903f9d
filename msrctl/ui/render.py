"""The one renderer of results: text or the JSON document on stdout, and the exit code that a result means."""

from __future__ import annotations

import sys
from typing import Any

from msrctl.errors import Partial, Unhealthy, VerifyFailed, WrongState
from msrctl.ui import data, failure, logrus, output, prometheus, text, words
from msrctl.ui.reporter import RecordingReporter


def show(
    result: Any,
    *,
    command: str,
    form: str = "text",
    reporter: RecordingReporter,
    on_stdout: bool = True,
) -> int:
    """Shows a command's result.

    Arguments:
        result: one of msrctl.model.results, or of msrctl.images.
        command: without the program's name, such as ``lock status``.
        form: text, json, or of a status prometheus.
        reporter: for warnings of the result that were not reported yet.
        on_stdout: False when stdout carries data: the text goes to stderr.

    Returns:
        the exit code.
    """
    for warning in getattr(result, "warnings", ()):
        if warning not in reporter.warnings:
            reporter.warn(warning)
    exit_code, error = outcome(result)
    if not output.is_terminal():
        # Scripts for the original read these from the log.
        for line in text.closing_lines(result):
            output.note(logrus.line("info", line))
    if form == "prometheus":
        output.result(prometheus.text(result))
    elif form == "json":
        document = output.document(
            command=command,
            exit_code=exit_code,
            data=data.of(result),
            error=error,
            warnings=tuple(dict.fromkeys(reporter.warnings)),
        )
        output.result(document)
    elif shown := text.of(result, marks=words.marks(sys.stdout)):
        (output.result if on_stdout else output.note)(shown)
    return exit_code


def outcome(result: Any) -> tuple[int, dict[str, Any] | None]:
    """The exit code, and the error that goes with it in JSON, that a result means."""
    healthy = getattr(result, "healthy", True)
    if getattr(result, "installed", True) is False:
        missing = WrongState("msrctl is not installed on this swarm", code="NOT-INSTALLED")
        return missing.exit_code, failure.as_data(missing)
    if not healthy:
        trouble = Unhealthy("something is not as it should be; the data say what")
        return trouble.exit_code, failure.as_data(trouble)
    if getattr(result, "passed", True) is False:
        failed = VerifyFailed("the backup did not pass the drill; the data say why", code="DRILL-FAILED")
        return failed.exit_code, failure.as_data(failed)
    if getattr(result, "left", ()):
        partial = Partial("something of the drill is left; the data say what", code="DRILL-LEFT")
        return partial.exit_code, failure.as_data(partial)
    return 0, None
