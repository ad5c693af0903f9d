"""Carries a plan out, step by step, with an undo recorded before each step acts. It decides nothing.

On a failure or a signal everything that was begun is undone, last in, first out, while further signals wait.
A run that is killed leaves its journal; the next run finishes or undoes it (msrctl/workflows/recover.py).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from msrctl.engine.converge import task_ids, wait_running
from msrctl.engine.gate import set_gate
from msrctl.engine.protocol import OutOfSequence
from msrctl.engine.state import SECRET_LIMIT
from msrctl.engine.undo import committed, remove, undo
from msrctl.errors import (
    INTERNAL,
    INTERNAL_HINT,
    Interrupted,
    Locked,
    MsrctlError,
    Partial,
    PreflightFailed,
    RolledBack,
    Unreachable,
    VerifyFailed,
    WrongState,
    words,
)
from msrctl.workflows.signals import signals_raise, signals_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from msrctl.engine.journal import Entry, Journal
    from msrctl.engine.lock import Lock
    from msrctl.engine.protocol import JSON, Engine, Kind
    from msrctl.plan.planner import Observed
    from msrctl.plan.step import Plan, Step
    from msrctl.secret import Secret
    from msrctl.workflows.reporter import Reporter

KINDS: dict[str, Kind] = {
    "network": "networks",
    "secret": "secrets",
    "config": "configs",
    "service": "services",
}

UPDATE_ATTEMPTS = 5

SERVING = frozenset(
    {
        ("create", "service"),
        ("update", "service"),
        ("remove", "service"),
        ("close", "gate"),
        ("switch", "proxy"),
    }
)
"""Steps that touch what serves: from then on a failure is a rollback, before it nothing has happened."""


class Execution:
    """One plan being carried out.

    Arguments:
        engine: a manager.
        report: where progress goes.
        journal: the open journal of this operation.
        observed: what the plan was made from; previous specs for the undo come from it.
        secrets: material of the secrets that the plan creates, by name, with their labels.
        write_document: writes the new cluster document and returns the name of its config.
        probe: checks a service over HTTP after it runs; returns a few words about what it saw.
        images: by node, the image id with msrctl in it that is there, for what an undo has to do on it.
        max_wait: seconds for one service to come up.
        lock: checked before each step, so that a run that lost its lock stops.
        actions: what to do for steps of further kinds, by action and kind.
        fresh: whether all volumes of the services are new with this plan, so that an undo takes them away.
            Only an install may say so: a volume that was there before holds images.
    """

    def __init__(
        self,
        engine: Engine,
        report: Reporter,
        journal: Journal,
        observed: Observed,
        *,
        secrets: Mapping[str, tuple[Secret, dict[str, str]]],
        write_document: Callable[[], str],
        document_name: str,
        probe: Callable[[str], str],
        images: Mapping[str, str],
        max_wait: float,
        lock: Lock,
        actions: Mapping[tuple[str, str], Callable[[Step], None]] | None = None,
        fresh: bool = False,
    ) -> None:
        self._engine = engine
        self._report = report
        self._journal = journal
        self._observed = observed
        self._secrets = secrets
        self._write_document = write_document
        self._document_name = document_name
        self._probe = probe
        self._images = images
        self._max_wait = max_wait
        self._lock = lock
        self._actions = actions or {}
        self._fresh = fresh
        self._served = False
        self._tasks_before: dict[str, frozenset[str]] = {}
        self._replica = ""
        self._done: list[str] = []
        self._barrier = 0

    def run(self, plan: Plan) -> None:
        """All steps in order.

        Raises:
            PreflightFailed, VerifyFailed: a check failed before anything that serves was touched.
            RolledBack: a step failed, also by a defect (code INTERNAL); everything is as before.
            Partial: a step failed after the point from which only forward loses nothing.
            Interrupted: a signal came; everything is as before.
            Locked: somebody took the lock away; the journal tells the next run what there is to undo.
        """
        try:
            with signals_raise():
                # A resumed operation goes on counting, so that its undo stays last in, first out.
                begun = self._journal.begun()
                for number, step in enumerate(plan, begun[0].step + 1 if begun else 1):
                    self._turn(number, step)
                    self._lock.check()
                    self._require_unchanged(step)
                    self._journal.begin(number, self._undo_of(step))
                    self._served = self._served or (step.action, step.kind) in SERVING
                    self._act(step)
        except Locked as error:
            self._stop(error)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a defect must not leave half a change
            with signals_wait():
                self._go_back(error)

    def _turn(self, number: int, step: Step) -> None:
        """Notes when a rolling change goes on to the next replica: the ones before are done and serve."""
        if self._replica and step.replica != self._replica:
            self._done.append(self._replica)
            self._barrier = number
        self._replica = step.replica

    def _stop(self, error: Locked) -> None:
        """Ends without undoing anything: whoever has the lock now may be at work on the same objects."""
        if not self._journal.begun():
            self._journal.close()
            state = "Nothing was changed."
        else:
            state = "This run stopped between two steps and undid nothing; its journal is kept."
        raise Locked(error.message, code=error.code, state=state, hint=error.hint) from error

    def _go_back(self, error: BaseException) -> None:
        try:
            begun = self._journal.begun()
        except Unreachable as lost:
            raise self._left_as_it_is(lost) from error
        if committed(begun):
            raise Partial(
                words(error),
                state="The new store serves and holds everything; nothing is lost. Until this is finished "
                "pushes may still be answered with 503.",
                hint="Finish it with msrctl reconfigure --resume.",
            ) from error
        if self._done:
            self._leave_the_done(error, [entry for entry in begun if entry.step >= self._barrier])
        if begun:
            self._report.warn("Going back: what was begun is being undone.")
        undo(self._engine, begun, self._report.warn)
        self._journal.close()
        if isinstance(error, Interrupted | KeyboardInterrupt):
            raise Interrupted(
                "interrupted", state="What had been begun was undone; everything is as before."
            ) from error
        if isinstance(error, PreflightFailed | VerifyFailed) and not self._served:
            raise error
        fault = error if isinstance(error, MsrctlError) else _unexpected(error)
        raise RolledBack(
            fault.message,
            code=fault.code,
            state="Everything that had been begun was undone; what ran before still runs.",
            hint=fault.hint,
            details=fault.details,
        ) from error

    def _left_as_it_is(self, lost: Unreachable) -> Unreachable:
        """The engine went away in the middle: nobody can be asked to take anything back."""
        after = self._journal.header.way_on()
        return Unreachable(
            lost.message,
            code=lost.code,
            state="The change had been begun and could not be taken back; its journal is in the swarm.",
            hint=f"When the engine answers again: {after}. {lost.hint or ''}".rstrip(),
        )

    def _leave_the_done(self, error: BaseException, entries: list[Entry]) -> NoReturn:
        """A rolling change that failed at a later replica: that one goes back, those that are done stay."""
        failed = self._replica
        self._report.warn(f"Going back at replica {failed or 'none'}; {', '.join(self._done)} stay changed.")
        undo(self._engine, entries, self._report.warn)
        self._journal.close()
        fault = error if isinstance(error, MsrctlError) else _unexpected(error)
        raise Partial(
            fault.message,
            code=fault.code,
            state=f"Changed and serving: {', '.join(self._done)}. "
            + (f"Back as it was: {failed}. " if failed else "")
            + "Every other replica serves as before.",
            hint=(f"{fault.hint} " if fault.hint else "")
            + "Mend the cause, then msrctl reconfigure goes on with the rest.",
            details=fault.details,
        ) from error

    def _act(self, step: Step) -> None:
        special = self._actions.get((step.action, step.kind))
        if special:
            special(step)
            return
        match step.action, step.kind:
            case "create", "secret":
                material, labels = self._secrets[step.name]
                self._engine.create("secrets", secret_body(step.name, material, labels))
            case "create", kind:
                assert step.spec is not None
                self._tasks_before[step.name] = frozenset()
                self._engine.create(KINDS[kind], step.spec)
            case "write", "document":
                self._write_document()
            case "update", "service":
                assert step.spec is not None
                self._tasks_before[step.name] = task_ids(self._engine, step.name)
                self._update(step.name, step.spec)
            case "remove", "service":
                remove(self._engine, "services", step.name)
            case "check", "service":
                with self._report.step(step.name) as progress:
                    # Of a service that this run neither makes nor updates, a roll back is long past: it may
                    # have stayed in force since a change that failed, and is what the document asks for.
                    wait_running(
                        self._engine,
                        step.name,
                        self._max_wait,
                        before=self._tasks_before.get(step.name, ()),
                        going_back=step.name not in self._tasks_before,
                    )
                    progress.detail(self._probe(step.name))
            case "close", "health":
                assert step.spec is not None
                with self._report.step("drain", step.name) as progress:
                    set_gate(self._engine, step.spec["gate"], set=["draining"])
                    time.sleep(step.spec["seconds"])
                    progress.detail(f"{step.name} told balancers to go elsewhere")
            case "open", "health":
                assert step.spec is not None
                set_gate(self._engine, step.spec["gate"], clear=["draining"])
            case _:  # pragma: no cover - the planner makes no other steps
                raise AssertionError(step)

    def _require_unchanged(self, step: Step) -> None:
        """Before an undo of it is written down, which would take away what somebody else has done."""
        if (step.action, step.kind) != ("update", "service"):
            return
        found = self._engine.find("services", step.name)
        if found is None or found["Spec"] != self._observed.services[step.name]["Spec"]:
            raise WrongState(
                f"service {step.name} was changed by somebody else since the plan was made",
                code="SERVICE-CHANGED",
                hint="Run this again: it will start from what is there now.",
            )

    def _update(self, name: str, spec: JSON) -> None:
        """Replaces a spec. The version may have gone on: the engine writes into a service how an earlier
        update of it went, some seconds after that.
        """
        for left in reversed(range(UPDATE_ATTEMPTS)):
            found = self._engine.find("services", name) or self._observed.services[name]
            try:
                self._engine.update("services", found["ID"], found["Version"]["Index"], spec)
            except OutOfSequence:
                if not left:
                    raise
            else:
                return

    def _undo_of(self, step: Step) -> list[JSON]:
        if step.undo:
            return list(step.undo)
        match step.action, step.kind:
            case "create", "service":
                made = volumes_undo(step, self._images) if self._fresh else []
                return [{"op": "remove", "kind": "services", "name": step.name}, *made]
            case "create", kind if kind in KINDS:
                return [{"op": "remove", "kind": KINDS[kind], "name": step.name}]
            case "write", "document":
                return [{"op": "remove", "kind": "configs", "name": self._document_name}]
            case "update", "service":
                spec = self._observed.services[step.name]["Spec"]
                return [{"op": "restore", "kind": "services", "name": step.name, "spec": spec}]
            case _:
                return []


def _unexpected(error: BaseException) -> MsrctlError:
    """What the system refused, in its own words, or a defect of msrctl."""
    if isinstance(error, OSError):
        return RolledBack(words(error))
    return RolledBack(words(error), code=INTERNAL, hint=INTERNAL_HINT)


def secret_body(name: str, material: Secret, labels: dict[str, str]) -> dict[str, Any]:
    """The body that creates a secret: the only place where secret material becomes a request.

    Raises:
        MsrctlError: the swarm would refuse its size.
    """
    import base64

    data = material.reveal()
    if not 0 < len(data) < SECRET_LIMIT:
        raise MsrctlError(f"secret {name}: swarm takes 1 to {SECRET_LIMIT - 1:,} bytes")
    return {"Name": name, "Data": base64.b64encode(data).decode(), "Labels": labels}


def volumes_undo(step: Step, images: Mapping[str, str], only: Collection[str] | None = None) -> list[JSON]:
    """Undo of the volumes that the engine makes because a service mounts them; only ours, by label.

    Arguments:
        step: creates the service.
        images: by node, the image id with msrctl in it, to remove a volume there with.
        only: names of the volumes to take away; None: all.
    """
    assert step.spec is not None
    template = step.spec["TaskTemplate"]
    node = template["Placement"]["Constraints"][0].removeprefix("node.id==")
    return [
        {
            "op": "remove-volume",
            "name": m["Source"],
            "node": node,
            "labels": m["VolumeOptions"]["Labels"],
            "image": images[node],
        }
        for m in template["ContainerSpec"]["Mounts"]
        if m["Type"] == "volume" and (only is None or m["Source"] in only)
    ]
