"""An interrupted operation: found, told in a sentence, undone; and what a finished change cleans up."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from plan_support import NGINX, Recorder, an_engine, put, with_settings

from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.observe import observe
from msrctl.engine.protocol import ApiError
from msrctl.engine.state import StateStore
from msrctl.errors import Partial, RolledBack, Unreachable
from msrctl.model import names
from msrctl.model.requests import CommonRequest
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan
from msrctl.secret import Secret
from msrctl.workflows import recover
from msrctl.workflows.apply import Transition, apply, sweep
from msrctl.workflows.signals import signals_raise

if TYPE_CHECKING:
    from fakes.engine import FakeEngine
    from msrctl.engine.lock import Lock
    from msrctl.model.cluster import Cluster
    from msrctl.plan.step import Plan


class Held:
    def check(self) -> None:
        """Never lost."""


def _header(
    operation: str, steps: tuple[str, ...] = ("create config a", "update service b")
) -> JournalHeader:
    return JournalHeader(operation, f"msrctl {operation}", "me@here", "c0ffee000001", steps=steps)


def _deployed() -> tuple[FakeEngine, Cluster]:
    engine, cluster = an_engine()
    put(engine, cluster)
    StateStore(engine).write(cluster.to_json(), 1, cluster=cluster.id)
    return engine, cluster


def _apply(
    engine: FakeEngine, cluster: Cluster, operation: str = "reconfigure", report: Recorder | None = None
) -> Plan:
    wanted = desired(cluster)
    observed = observe(engine, cluster.id, wanted)
    missing = sorted(n for n in wanted.secrets if n not in observed.secrets)
    labels = names.labels(cluster.id, "0.1.0", component="secret")
    steps = plan("x", wanted, observed, dict.fromkeys(missing, "w"), f"generation {cluster.generation}")
    change = Transition(
        operation,
        cluster,
        steps,
        observed,
        {n: (Secret("x"), labels) for n in missing},
        probe=lambda _: "ok",
    )
    held: Lock = Held()  # type: ignore[assignment]
    apply(engine, report or Recorder(), held, CommonRequest(max_wait=2.0), change)  # type: ignore[arg-type]
    return steps


def _names(engine: FakeEngine, kind: str) -> set[str]:
    return {o["Spec"]["Name"] for o in engine.list(kind)}  # type: ignore[arg-type]


def test_there_is_no_interrupted_operation_at_first() -> None:
    assert recover.interrupted(_deployed()[0]) is None  # type: ignore[arg-type]


def test_an_interrupted_operation_is_told_in_a_sentence() -> None:
    engine, _ = _deployed()
    journal = Journal.create(engine, _header("reconfigure"))
    found = recover.interrupted(engine)  # type: ignore[arg-type]
    assert found is not None
    assert "before step 1 of 2" in found[1]
    journal.begin(2)
    found = recover.interrupted(engine)  # type: ignore[arg-type]
    assert found is not None
    assert '"msrctl reconfigure" by me@here' in found[1]
    assert "in step 2 of 2 (update service b)" in found[1]


def test_an_operation_that_was_interrupted_again_while_resumed_is_told_too() -> None:
    """A resumed run counts on, beyond the steps that the journal's header names."""
    engine, _ = _deployed()
    Journal.create(engine, _header("reconfigure")).begin(5)
    found = recover.interrupted(engine)  # type: ignore[arg-type]
    assert found is not None
    assert "was interrupted" in found[1]


def test_an_interrupted_install_is_taken_away() -> None:
    engine, _ = _deployed()
    spec = engine.list("services")[0]["Spec"]
    journal = Journal.create(engine, _header("install"))
    journal.begin(1, [{"op": "remove", "kind": "services", "name": spec["Name"]}])
    report = Recorder()
    assert recover.undo_interrupted_install(engine, CommonRequest(), report)  # type: ignore[arg-type]
    assert spec["Name"] not in _names(engine, "services")
    assert Journal.open(engine) is None
    assert engine.find("configs", names.LOCK) is None
    assert "is being taken away" in report.warnings[0]


def test_an_interrupted_reconfigure_is_not_undone_by_an_install() -> None:
    engine, _ = _deployed()
    Journal.create(engine, _header("reconfigure"))
    assert not recover.undo_interrupted_install(engine, CommonRequest(), Recorder())  # type: ignore[arg-type]
    assert Journal.open(engine) is not None


def test_an_undo_that_fails_keeps_the_journal() -> None:
    engine, _ = _deployed()
    journal = Journal.create(engine, _header("reconfigure"))
    journal.begin(1, [{"op": "unscrew", "name": "x"}])
    with pytest.raises(Exception, match="could not be undone"):
        recover.undo_journal(engine, journal, Recorder())  # type: ignore[arg-type]
    assert Journal.open(engine) is not None


def test_a_finished_change_leaves_only_what_is_wanted_and_the_document_before() -> None:
    engine, cluster = _deployed()
    after = cluster
    for level in ("debug", "warn", "error"):
        after = with_settings(after, log_level=level).next_generation()
        _apply(engine, after)
    wanted = desired(after)
    documents = {n for n in _names(engine, "configs") if n.startswith("msrctl-state-")}
    assert {n.split("-")[2] for n in documents} == {"3", "4"}
    assert _names(engine, "configs") - documents == wanted.configs.keys()
    assert _names(engine, "secrets") == wanted.secrets
    assert Journal.open(engine) is None


@pytest.mark.parametrize("fault", [Unreachable("gone"), ZeroDivisionError(), None])
def test_a_change_that_is_done_stays_done_whatever_tidying_meets(fault: Exception | None) -> None:
    """None: a signal comes in the middle of it."""
    engine, cluster = _deployed()
    after = with_settings(cluster, log_level="debug").next_generation()
    report = Recorder()

    def before(verb: str, kind: str, name: str) -> None:
        if verb == "remove" and Journal.open(engine) is None:
            if fault:
                raise fault
            os.kill(os.getpid(), signal.SIGTERM)

    engine.swarm.before = before
    with signals_raise():
        _apply(engine, after, report=report)
    assert bool(report.warnings) is bool(fault)
    assert "It is done" in " ".join(report.warnings) or fault is None
    stored = StateStore(engine).read()
    assert stored is not None
    assert stored.generation == 2
    assert not plan("x", desired(after), observe(engine, after.id, desired(after)), {}, "")


def test_a_journal_that_cannot_be_taken_away_is_told_with_what_serves() -> None:
    engine, cluster = _deployed()

    def before(verb: str, kind: str, name: str) -> None:
        journal = engine.find("configs", names.JOURNAL)
        if verb == "remove" and journal and journal["ID"] == name:
            raise ApiError(500, "raft is gone", "remove")

    engine.swarm.before = before
    with pytest.raises(Partial) as error:
        _apply(engine, with_settings(cluster, log_level="debug").next_generation())
    assert error.value.code == "JOURNAL-LEFT"
    assert "serves" in (error.value.state or "")
    assert names.JOURNAL in (error.value.hint or "")


def test_a_config_that_is_still_used_stays_until_the_next_change() -> None:
    engine, cluster = _deployed()
    sweep(engine, with_settings(cluster, log_level="debug"))  # type: ignore[arg-type]
    assert _names(engine, "configs") > desired(cluster).configs.keys()


def test_the_journal_says_what_was_there_and_what_is_wanted_before_anything_acts() -> None:
    engine, cluster = _deployed()
    seen: list[str] = []
    engine.swarm.before = lambda verb, _, name: seen.append(f"{verb} {name}")
    steps = _apply(engine, with_settings(cluster, log_level="debug").next_generation())
    assert steps
    assert seen[0] == f"create {names.JOURNAL}"


@pytest.mark.parametrize(("operation", "kept"), [("install", False), ("reconfigure", True)])
def test_only_an_install_takes_volumes_away_again(operation: str, kept: bool) -> None:
    engine, cluster = an_engine()

    def before(verb: str, kind: str, name: str) -> None:
        if verb == "create" and name == NGINX:
            raise ApiError(500, "the disk is full", "create")

    engine.swarm.before = before
    with pytest.raises(RolledBack):
        _apply(engine, cluster, operation)
    assert bool(engine.list("volumes")) is kept
