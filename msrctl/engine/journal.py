"""What an operation has begun and how to undo it, kept in the swarm: a config with progress in its labels."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from msrctl.engine.protocol import JSON, Conflict, Engine, NotFound, OutOfSequence
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_PREFIX = "io.msrctl.step."
# Labels travel in one Raft entry; swarm refuses an object of about a megabyte. Half of it leaves room.
LABELS_LIMIT = 500_000
ATTEMPTS = 5

State = Literal["begun", "done"]


UNFINISHED_IS_NOTHING = frozenset({"install", "restore"})
"""Operations that, until they are finished, have served nobody: nothing can be lost by starting afresh."""


@dataclass(frozen=True)
class JournalHeader:
    """What the operation is; it never changes.

    Arguments:
        operation: install, reconfigure, ...
        command: the command line, without secrets.
        holder: ``user@host``.
        cluster: the cluster's id.
        before: name of the cluster document that was there, if any.
        after: name of the document that is wanted; None for a destroy.
        steps: titles of the steps, in order.
        extra: what the workflow needs to go on after a kill; JSON data, no secrets.
    """

    operation: str
    command: str
    holder: str
    cluster: str
    before: str | None = None
    after: str | None = None
    steps: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def way_on(self) -> str:
        """What a user runs after an interruption, and what that does; without a full stop."""
        if self.operation in UNFINISHED_IS_NOTHING:
            return f"msrctl {self.operation} takes away what is left and starts afresh"
        anew = ", and so does msrctl join, which then begins anew" if self.operation == "join" else ""
        return f"msrctl reconfigure --resume finishes it; msrctl reconfigure --undo goes back{anew}"


class Entry(NamedTuple):
    """One step that was begun.

    Arguments:
        step: its number, from 0.
        state: begun, or done.
        undo: records of how to undo it, in the order in which to carry them out.
    """

    step: int
    state: State
    undo: list[JSON]


class Journal:
    """The journal of an operation that is going on or was interrupted. Get it from `create` or `open`."""

    def __init__(self, engine: Engine, ident: str, header: JournalHeader, since: str) -> None:
        self._engine = engine
        self.ident = ident
        self.header = header
        self.since = since

    @classmethod
    def open(cls, engine: Engine) -> Journal | None:
        """The journal that is there; None if nothing is going on and nothing was interrupted.

        Raises:
            WrongState: it is there, and cannot be read (code JOURNAL-DAMAGED).
        """
        found = engine.find("configs", names.JOURNAL)
        if found is None:
            return None
        try:
            data = json.loads(base64.b64decode(found["Spec"]["Data"]))
            header = JournalHeader(**{**data, "steps": tuple(data["steps"])})
        except (ValueError, KeyError, TypeError) as error:
            raise WrongState(
                f"the journal (config {names.JOURNAL}) cannot be read: {error}",
                code="JOURNAL-DAMAGED",
                hint="Was it made by a later msrctl? Then use that one.",
            ) from error
        return cls(engine, found["ID"], header, found["CreatedAt"])

    @classmethod
    def create(cls, engine: Engine, header: JournalHeader) -> Journal:
        """Begins an operation.

        Raises:
            WrongState: another one was interrupted and must be finished or undone first (code INTERRUPTED).
        """
        spec = {
            "Name": names.JOURNAL,
            "Labels": {names.LABEL_COMPONENT: "journal", names.LABEL_CLUSTER: header.cluster},
            "Data": base64.b64encode(json.dumps(asdict(header), sort_keys=True).encode()).decode(),
        }
        try:
            ident = engine.create("configs", spec)
        except Conflict:
            before = cls.open(engine)
            what = f"{before.header.operation} by {before.header.holder}" if before else "operation"
            raise WrongState(
                f"an interrupted {what} must be finished or undone first",
                code="INTERRUPTED",
                hint="msrctl status says what there is and how to go on.",
            ) from None
        found = engine.find("configs", names.JOURNAL)
        return cls(engine, ident, header, found["CreatedAt"] if found else "")

    def begin(self, step: int, undo: Sequence[JSON] = ()) -> None:
        """Writes down that a step is about to act, and how to undo it.

        A step that was begun before keeps its first records: what they restore is the state before the
        operation, and a second run of the step has not seen that state.

        Raises:
            WrongState: the journal is gone (code JOURNAL-LOST) or full (code JOURNAL-FULL).
        """
        self._write(step, "begun", undo)

    def done(self, step: int) -> None:
        """Writes down that a step has acted.

        Raises:
            WrongState: the journal is gone.
        """
        self._write(step, "done", ())

    def begun(self) -> list[Entry]:
        """All steps that were begun, the last one first.

        Raises:
            WrongState: the journal is gone.
        """
        labels = self._found()["Spec"].get("Labels") or {}
        entries = [_entry(key, value) for key, value in labels.items() if key.startswith(STEP_PREFIX)]
        return sorted(entries, key=lambda entry: entry.step, reverse=True)

    def close(self) -> None:
        """Ends the operation: finished, or undone. The journal is removed."""
        self._engine.remove("configs", self.ident)

    def _found(self) -> JSON:
        found = self._engine.find("configs", names.JOURNAL)
        if found is None or found["ID"] != self.ident:
            raise _lost()
        return found

    def _write(self, step: int, state: State, undo: Sequence[JSON]) -> None:
        for _ in range(ATTEMPTS):
            found = self._found()
            labels = dict(found["Spec"].get("Labels") or {})
            key = f"{STEP_PREFIX}{step:03d}"
            before = _entry(key, labels[key]).undo if key in labels else []
            records = [record for record in undo if record not in before] + before
            labels[key] = json.dumps({"state": state, "undo": records}, separators=(",", ":"))
            size = sum(len(k.encode()) + len(v.encode()) for k, v in labels.items())
            if size > LABELS_LIMIT:
                raise WrongState(
                    f"the journal is full: step {step} would make it {size:,} of {LABELS_LIMIT:,} bytes",
                    code="JOURNAL-FULL",
                )
            spec = {"Name": names.JOURNAL, "Labels": labels}
            try:
                self._engine.update("configs", self.ident, found["Version"]["Index"], spec)
            except OutOfSequence:
                continue  # somebody touched it in between: read it again, so that nothing is overwritten
            except NotFound:
                raise _lost() from None
            return
        raise MsrctlError(
            "the journal changes all the time: is another msrctl writing it?", code="JOURNAL-BUSY"
        )


def _entry(key: str, value: str) -> Entry:
    data = json.loads(value)
    return Entry(int(key.removeprefix(STEP_PREFIX)), cast("State", data["state"]), list(data["undo"]))


def _lost() -> WrongState:
    return WrongState(
        f"the journal (config {names.JOURNAL}) is gone: somebody ended this operation",
        code="JOURNAL-LOST",
        hint="msrctl status says what state things are in.",
    )
