"""Status tells what is so now: the task that serves, not one that was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plan_support import CLUSTER, NGINX, REGISTRY, Recorder, an_engine, put, with_settings

from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.state import StateStore
from msrctl.model import names
from msrctl.model.cluster import Cluster
from msrctl.model.requests import CommonRequest, StatusRequest
from msrctl.workflows import status as telling

if TYPE_CHECKING:
    from fakes.engine import FakeEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A deployment that runs and answers."""
    made, cluster = an_engine()
    put(made, cluster)
    StateStore(made).write(cluster.to_json(), 1, cluster=cluster.id)
    seen = [telling.probe.Seen(component, ok=True, detail="answers") for component in names.COMPONENTS]
    monkeypatch.setattr(telling, "open_engine", lambda _: made)
    monkeypatch.setattr(telling.probe, "health", lambda *_: seen)
    return made


def _states() -> dict[str, str]:
    replica = telling.status(StatusRequest(CommonRequest()), Recorder()).replicas[0]
    return {c.component: c.task_state for c in replica.components}


def _task(engine: FakeEngine, name: str, state: str, error: str = "") -> None:
    """A task that is newer than all others."""
    service = engine.find("services", name)
    assert service is not None
    engine.swarm._task(
        service, service["Spec"]["TaskTemplate"]["Placement"]["Constraints"][0][9:], state, error
    )


@pytest.mark.parametrize("state", ["shutdown", "failed", "rejected", "starting"])
def test_the_task_that_runs_counts_and_not_a_newer_one_that_was_given_up(
    engine: FakeEngine, state: str
) -> None:
    _task(engine, REGISTRY, state)
    assert _states() == {"nginx": "running", "registry": "running"}


def test_where_nothing_runs_the_newest_task_tells_why(engine: FakeEngine) -> None:
    for task in engine.swarm.tasks:
        task["Status"]["State"] = "shutdown"
    _task(engine, NGINX, "failed", "the first reason")
    _task(engine, NGINX, "failed", "task: non-zero exit (1)")
    _task(engine, REGISTRY, "pending", "no suitable node")
    _task(engine, REGISTRY, "rejected", "No such image")
    assert _states() == {
        "nginx": "failed: task: non-zero exit (1)",
        "registry": "pending: no suitable node",
    }


def test_a_task_that_was_given_up_before_it_had_a_node_is_not_one_that_may_yet_run(
    engine: FakeEngine,
) -> None:
    for task in engine.swarm.tasks:
        task["Status"]["State"] = "shutdown"
    _task(engine, NGINX, "pending", "host-mode port already in use on 1 node")
    engine.swarm.tasks[-1] |= {"DesiredState": "shutdown", "NodeID": ""}
    _task(engine, NGINX, "failed", "task: non-zero exit (1)")
    assert _states()["nginx"] == "failed: task: non-zero exit (1)"


def test_a_replica_that_a_change_passed_over_is_behind_and_one_that_somebody_changed_is_not(
    engine: FakeEngine,
) -> None:
    cluster = Cluster.from_json(StateStore(engine).read().document)  # type: ignore[union-attr]
    found = engine.find("services", REGISTRY)
    assert found is not None
    by_hand = {**found["Spec"], "TaskTemplate": {**found["Spec"]["TaskTemplate"], "RestartPolicy": {}}}
    engine.update("services", found["ID"], found["Version"]["Index"], by_hand)
    seen = telling.status(StatusRequest(CommonRequest()), Recorder()).replicas[0]
    assert (seen.behind, bool(seen.drift), seen.healthy) == (False, True, False)
    after = with_settings(cluster, http_proxy="http://p:1").next_generation()
    StateStore(engine).write(after.to_json(), 2, cluster=cluster.id)
    seen = telling.status(StatusRequest(CommonRequest()), Recorder()).replicas[0]
    assert (seen.behind, seen.healthy) == (True, False)


@pytest.mark.parametrize("operation", ["join", "reconfigure"])
def test_what_was_interrupted_is_told_with_every_way_on(engine: FakeEngine, operation: str) -> None:
    Journal.create(
        engine, JournalHeader(operation, f"msrctl {operation} --x", "me@here", CLUSTER, steps=("a",))
    )
    told = telling.status(StatusRequest(CommonRequest()), Recorder()).interrupted
    assert told is not None
    assert "--resume" in told
    assert "--undo" in told
    assert ("msrctl join, which then begins anew" in told) == (operation == "join")


@pytest.mark.parametrize("operation", ["install", "restore"])
def test_what_has_served_nobody_is_begun_again_by_its_own_command(engine: FakeEngine, operation: str) -> None:
    header = JournalHeader(operation, f"msrctl {operation}", "me@here", CLUSTER, steps=("a",))
    Journal.create(engine, header)
    told = telling.status(StatusRequest(CommonRequest()), Recorder()).interrupted
    assert told is not None
    assert f"msrctl {operation} takes away what is left" in told
    assert "--resume" not in told
