"""How an error looks: what failed, what state things are in, what to do; or the same in JSON."""

from __future__ import annotations

from typing import Any

import click

from msrctl.errors import MsrctlError
from msrctl.ui import logrus, output, words


def show(
    error: MsrctlError,
    *,
    command: str,
    json: bool,
    nocolor: bool,
    warnings: tuple[str, ...] = (),
) -> None:
    """Shows an error on stderr, and as the JSON document on stdout if that was asked for.

    Without a terminal, a last line has level fatal: automation for the original looks for that.
    """
    output.note(as_text(error, color=output.colored(nocolor=nocolor)), color=output.colored(nocolor=nocolor))
    if not output.is_terminal():
        output.note(logrus.line("fatal", f"{error.message} ({error.code})"))
    if json:
        output.result(
            output.document(
                command=command, exit_code=error.exit_code, error=as_data(error), warnings=warnings
            )
        )


def as_text(error: MsrctlError, *, color: bool = False) -> str:
    """`Error: message (CODE)`, then details, state and hint, indented."""
    word = click.style("Error:", fg="red", bold=True) if color else "Error:"
    lines = [f"{word} {words.clean(error.message)} ({error.code})"]
    for text, indent in (*((detail, 4) for detail in error.details), (error.state, 2), (error.hint, 2)):
        lines += [" " * indent + line for line in words.clean(text or "").splitlines()]
    return "\n".join(lines)


def as_data(error: MsrctlError) -> dict[str, Any]:
    """The error for the JSON document."""
    return {
        "code": error.code,
        "message": error.message,
        "state": error.state,
        "hint": error.hint,
        "details": list(error.details),
    }
