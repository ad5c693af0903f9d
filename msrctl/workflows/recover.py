"""Finds an operation that was interrupted, and undoes it or hands it over to be finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine.journal import UNFINISHED_IS_NOTHING, Journal
from msrctl.engine.undo import undo
from msrctl.errors import WrongState
from msrctl.workflows.session import describe_interrupted, lock
from msrctl.workflows.signals import signals_wait

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.requests import CommonRequest
    from msrctl.workflows.reporter import Reporter


def interrupted(engine: DockerEngine) -> tuple[Journal, str] | None:
    """The journal of an interrupted operation and a sentence about it; None if there is none."""
    journal = Journal.open(engine)
    if journal is None:
        return None
    begun = journal.begun()
    # A resumed run counts on, beyond the steps that the header names.
    step = min(begun[0].step, len(journal.header.steps)) if begun else 0
    return journal, describe_interrupted(journal, step)


def undo_interrupted_install(engine: DockerEngine, common: CommonRequest, report: Reporter) -> bool:
    """Takes away what an interrupted install left; True if there was one.

    An install that did not finish has served nobody, so nothing can be lost by starting afresh.
    """
    found = interrupted(engine)
    if found is None or found[0].header.operation not in UNFINISHED_IS_NOTHING:
        return False
    with lock(engine, common, report):
        again = interrupted(engine)
        if again is None or again[0].ident != found[0].ident:
            return False
        report.warn(f"{found[1]}. What it left is being taken away.")
        undo_journal(engine, found[0], report)
    return True


def undo_journal(engine: DockerEngine, journal: Journal, report: Reporter) -> None:
    """Undoes everything that a journal says was begun, and ends it. Call it under the lock."""
    with signals_wait():
        undo(engine, journal.begun(), report.warn)
        journal.close()


def not_resumable(sentence: str) -> WrongState:
    """A change that was cut short before anything of it was written down from which it could be finished."""
    return WrongState(
        f"{sentence}, before its new settings were written down; it cannot be finished",
        code="NOT-RESUMABLE",
        state="No service was touched; the registry serves as before.",
        hint="msrctl reconfigure --undo takes away what it prepared; then give the settings again.",
    )


def refuse_if_interrupted(engine: DockerEngine) -> None:
    """Raises WrongState if an operation was interrupted: it must be finished or undone first."""
    found = interrupted(engine)
    if found:
        raise WrongState(
            found[1],
            code="INTERRUPTED",
            state="The registry serves; nothing was changed now.",
            hint="Finish it with msrctl reconfigure --resume, or go back with msrctl reconfigure --undo.",
        )
