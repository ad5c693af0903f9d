"""The one place where exceptions become messages and exit codes."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from msrctl.cli.invocation import Invocation
from msrctl.errors import INTERNAL, INTERNAL_HINT, Interrupted, MsrctlError, UsageFault, internal


def exit_code_of(run: Callable[[], Any], invocation: Invocation) -> int:
    """Runs a command line and shows what it raises.

    Arguments:
        run: returns an exit code, or None for 0.
        invocation: in which form to show an error.

    Returns:
        the exit code, one of msrctl.errors.EXIT_CODES.
    """
    try:
        try:
            result = run()
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            return 1
        except Exception as error:  # noqa: BLE001 - the last resort: no traceback without --debug
            return _show(error, invocation)
    except KeyboardInterrupt as interrupt:
        return _show(interrupt, invocation)
    return result if isinstance(result, int) else 0


def _show(error: BaseException, invocation: Invocation) -> int:
    from msrctl.ui import failure

    if invocation.debug and not isinstance(error, click.exceptions.Exit):
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    fault = as_fault(error)
    try:
        failure.show(
            fault,
            command=invocation.command,
            json=invocation.json,
            nocolor=invocation.nocolor,
            warnings=tuple(invocation.warnings),
        )
    except BrokenPipeError:
        _forget_stdout()
    return fault.exit_code


def as_fault(error: BaseException) -> MsrctlError:
    """Any exception as an error that says what failed and what to do.

    An unexpected one is named with its place but without its text, which may hold anything.
    """
    if isinstance(error, MsrctlError):
        return error
    if isinstance(error, click.UsageError):
        return _usage(error)
    if isinstance(error, click.ClickException):
        return MsrctlError(error.format_message())
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Interrupted("interrupted")
    return MsrctlError(
        internal(error),
        code=INTERNAL,
        state="It is not known how far the command got; msrctl status shows what is there.",
        hint=INTERNAL_HINT,
    )


def _usage(error: click.UsageError) -> UsageFault:
    lines = error.format_message().splitlines() or ["wrong usage"]
    hint = None
    if error.ctx is not None:
        hint = f"{error.ctx.get_usage()}\nSee {error.ctx.command_path} --help."
    if len(lines) == 1:
        return UsageFault(lines[0].removesuffix("."), hint=hint)
    return UsageFault(f"{len(lines)} things are wrong with the arguments", hint=hint, details=tuple(lines))


def _forget_stdout() -> None:
    """Keeps the interpreter from complaining at its end about a pipe that nobody reads."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
