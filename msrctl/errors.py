"""Errors by remedy: each says what failed and where, what state things are in now, and what to do.

The exit codes here are the only ones that msrctl uses; `msrctl --help` prints `EXIT_CODES`.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_CODES: dict[int, str] = {
    0: "done, or nothing to do",
    1: "failed",
    2: "usage: an argument, a file or their combination is wrong; nothing was touched",
    3: "preflight: a check failed before anything was changed",
    4: "locked: another msrctl is at work",
    5: "unreachable: the engine, a node or a store does not answer, or may not be used",
    6: "state: what is there does not allow this command (already installed, not installed, interrupted)",
    7: "verify: what was found is not what is wanted (a store is not an exact copy, a probe failed)",
    8: "rolled back: a step failed; the state from before is serving again",
    9: "partial: some replicas are done, others are not; the report says which",
    10: "unhealthy: status found a component that does not answer, or drift",
    130: "interrupted by a signal; what had been begun was undone",
}


class MsrctlError(Exception):
    """Root of all errors that a user sees without a traceback.

    Arguments:
        message: what failed and where, one sentence, no secret in it.
        code: a short stable name for scripts and documentation, like ``PRE-PORT``.
        state: what state things are in now ("nothing was changed").
        hint: what to do about it.
        details: further lines shown under the message, for example one per error of a file.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "FAILED"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        state: str | None = None,
        hint: str | None = None,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.state = state
        self.hint = hint
        self.details = details


class UsageFault(MsrctlError):
    """Wrong input that the parser could not refuse, such as the contents of a file."""

    exit_code = 2
    default_code = "USAGE"


class PreflightFailed(MsrctlError):
    """A check failed before anything was changed."""

    exit_code = 3
    default_code = "PREFLIGHT"


class Locked(MsrctlError):
    """Another msrctl holds the lock."""

    exit_code = 4
    default_code = "LOCKED"


class Unreachable(MsrctlError):
    """An engine, a node or a store does not answer, or may not be used."""

    exit_code = 5
    default_code = "UNREACHABLE"


class WrongState(MsrctlError):
    """What is there does not allow the command: already installed, not installed, interrupted."""

    exit_code = 6
    default_code = "STATE"


class VerifyFailed(MsrctlError):
    """What was found is not what is wanted."""

    exit_code = 7
    default_code = "VERIFY"


class RolledBack(MsrctlError):
    """A step failed and everything before it was undone."""

    exit_code = 8
    default_code = "ROLLED-BACK"


class Partial(MsrctlError):
    """Some replicas are done, others are not."""

    exit_code = 9
    default_code = "PARTIAL"


class Unhealthy(MsrctlError):
    """Status found a component that does not answer, or drift."""

    exit_code = 10
    default_code = "UNHEALTHY"


class Interrupted(MsrctlError):
    """A signal ended the command; what had been begun was undone."""

    exit_code = 130
    default_code = "INTERRUPTED"


INTERNAL = "INTERNAL"
"""Code of an error that only a defect of msrctl explains."""
INTERNAL_HINT = "This is a defect of msrctl. Run it again with --debug to see the traceback, and report that."


def internal(error: BaseException) -> str:
    """An exception that nobody expected, with its place but without its text, which may hold anything."""
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    place = f" in {last.tb_frame.f_code.co_filename.rpartition('/')[2]}:{last.tb_lineno}" if last else ""
    return f"internal error: {type(error).__name__}{place}"


def words(error: BaseException) -> str:
    """An exception as a user may see it."""
    return str(error) if isinstance(error, MsrctlError | OSError) else internal(error)
