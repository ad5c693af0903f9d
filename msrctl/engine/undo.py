"""Carries out undo records: small JSON bodies that a journal keeps, each safe to run twice.

``{"op": "remove", "kind", "name"}``, ``{"op": "restore", "kind": "services", "name", "spec"}``,
``{"op": "remove-volume", "name", "node", "labels", "image"}``,
``{"op": "gate", "name", "gate", "set", "clear"}``,
``{"op": "commit", "name"}``: from there on nothing is undone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msrctl.engine.converge import down_nodes, task_ids, wait_gone, wait_placed, wait_running
from msrctl.engine.gate import set_gate
from msrctl.engine.protocol import Conflict, OutOfSequence
from msrctl.engine.removal import IN_USE_SECONDS, remove_when_free
from msrctl.engine.volumes import remove_volume
from msrctl.errors import MsrctlError, WrongState, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msrctl.engine.protocol import JSON, Engine, Kind

RESTORE_SECONDS = 120.0
LATE_SECONDS = 3.0
"""How long an object may take to appear whose `create` a signal cut off: the engine goes on with it."""


def undo(engine: Engine, entries: Iterable[tuple[int, str, list[JSON]]], warn: Callable[[str], None]) -> None:
    """Undoes journal entries in the order given (a journal gives them last in, first out).

    Arguments:
        engine: a manager.
        entries: (number, state, records) as `Journal.begun` gives them.
        warn: told about what could not be undone; the rest is undone all the same.

    Raises:
        MsrctlError: at least one record could not be undone; the message names each.
    """
    entries = list(entries)
    if committed(entries):
        raise WrongState(
            "this change is past the point from which going back would lose pushes",
            code="COMMITTED",
            state="The new store serves and holds everything.",
            hint="Finish it with msrctl reconfigure --resume; then msrctl storage revert can go back.",
        )
    failed: list[str] = []
    for _, state, records in entries:
        for record in records:
            try:
                if state == "begun" and record["op"] == "remove":
                    _wait_for_late(engine, record["kind"], record["name"])
                undo_one(engine, record)
            except Exception as error:  # noqa: BLE001 - the other records are undone all the same
                failed.append(f"{record.get('op')} {record.get('name')}: {words(error)}")
                warn(f"not undone: {failed[-1]}")
    if failed:
        raise MsrctlError(
            "some steps could not be undone",
            code="UNDO-INCOMPLETE",
            details=tuple(failed),
            hint="Mend the cause, then run the command with --undo again; the journal is kept.",
        )


def committed(entries: Iterable[tuple[int, str, list[JSON]]]) -> bool:
    """Whether a step was begun after which the state before must not be restored."""
    return any(record["op"] == "commit" for _, _, records in entries for record in records)


def undo_one(engine: Engine, record: JSON) -> None:
    """Undoes one record; nothing happens if it is undone already."""
    match record["op"]:
        case "remove":
            remove(engine, record["kind"], record["name"])
        case "restore":
            restore_service(engine, record["name"], record["spec"])
        case "remove-volume":
            remove_volume(engine, record["name"], record["node"], record["labels"], image=record["image"])
        case "gate":
            set_gate(engine, record["gate"], set=record.get("set", ()), clear=record.get("clear", ()))
        case other:
            raise MsrctlError(
                f"the journal has an undo that this msrctl does not know: {other}", code="JOURNAL-NEWER"
            )


def remove(engine: Engine, kind: Kind, name: str) -> None:
    """Removes an object by exact name, waiting while tasks that end still use it."""
    found = engine.find(kind, name)
    if found is None:
        return
    ident = found.get("ID") or found.get("Id") or name
    remove_when_free(engine, kind, ident)
    if kind == "services":
        wait_gone(engine, [ident], IN_USE_SECONDS)


def _wait_for_late(engine: Engine, kind: Kind, name: str) -> None:
    """Gives an object of a step that did not end time to appear."""
    for _ in range(int(LATE_SECONDS / 0.2)):
        if engine.find(kind, name):
            return
        time.sleep(0.2)


def restore_service(engine: Engine, name: str, spec: JSON) -> None:
    """Puts a service back to an earlier spec and waits until it runs it; creates it anew if it is gone.

    On a node that is down nothing runs, and what will run when it returns is what is put back now.
    """
    before = task_ids(engine, name)
    for left in reversed(range(20)):
        found = engine.find("services", name)
        try:
            if found is None:
                engine.create("services", spec)
            elif found["Spec"] != spec:
                wait_placed(engine, name)
                back = found.get("PreviousSpec") == spec
                engine.update("services", found["ID"], found["Version"]["Index"], spec, back=back)
            break
        except (OutOfSequence, Conflict):
            if not left:
                raise
            time.sleep(0.2)  # the engine itself is rolling it back at this moment
    if not _is_down(engine, spec):
        wait_running(engine, name, RESTORE_SECONDS, before=before, going_back=True)


def _is_down(engine: Engine, spec: JSON) -> bool:
    """Whether the node that a service is pinned to is known to be down."""
    down = {f"node.id=={ident}" for ident in down_nodes(engine)}
    placement = spec.get("TaskTemplate", {}).get("Placement") or {}
    return any(constraint in down for constraint in placement.get("Constraints") or [])
