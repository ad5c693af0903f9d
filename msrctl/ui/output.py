"""Writing to stdout and stderr, and the JSON document that `--output json` promises."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click


def colored(*, nocolor: bool) -> bool:
    """Whether stderr shows colours: a terminal, and nobody said no (--nocolor, NO_COLOR, TERM=dumb)."""
    return (
        is_terminal() and not nocolor and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def is_terminal() -> bool:
    """Whether stderr is a terminal."""
    try:
        return sys.stderr.isatty()
    except ValueError:  # closed
        return False


def result(text: str) -> None:
    """Writes a result to stdout."""
    click.echo(text)


def note(text: str, *, color: bool = False) -> None:
    """Writes a line to stderr."""
    click.echo(text, err=True, color=color)


def document(
    *,
    command: str,
    exit_code: int,
    data: Any = None,
    error: dict[str, Any] | None = None,
    warnings: tuple[str, ...] = (),
) -> str:
    """The one JSON document of a run.

    Arguments:
        command: without the program's name, such as ``lock status``.
        data: the result as JSON data, None if there is none.
        error: code, message, state, hint, details; None when all went well.
    """
    return json.dumps(
        {
            "command": command,
            "ok": exit_code == 0,
            "exit_code": exit_code,
            "data": data,
            "error": error,
            "warnings": list(warnings),
        },
        indent=2,
        ensure_ascii=False,
    )
