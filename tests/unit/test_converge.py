"""A service runs what its spec says only when its task does: ports, log driver and resources too."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import pytest
from plan_support import an_engine, put

from msrctl.engine.converge import task_ids, wait_gone, wait_placed, wait_running
from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from fakes.engine import FakeEngine


def a_proxy() -> tuple[FakeEngine, str, dict[str, Any]]:
    """A replica that runs; the name of its proxy's service, and that service."""
    engine, cluster = an_engine()
    put(engine, cluster)
    name = f"dtr-nginx-{cluster.replicas[0].id}"
    service = engine.find("services", name)
    assert service is not None
    return engine, name, service


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        (lambda spec: spec["EndpointSpec"]["Ports"][0].update(PublishedPort=8080), True),
        (lambda spec: spec["TaskTemplate"].update(LogDriver={"Name": "syslog"}), True),
        (lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Env=["A=b"]), True),
        (lambda spec: spec["TaskTemplate"].update(Resources={"Limits": {"MemoryBytes": 1 << 29}}), True),
        (lambda spec: spec["Labels"].update(a="b"), False),
        (lambda spec: spec["UpdateConfig"].update(Monitor=1_000_000_000), False),
    ],
)
def test_a_task_of_the_spec_before_is_not_taken_for_the_new_one(change: Any, replaced: bool) -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    name = f"dtr-nginx-{cluster.replicas[0].id}"
    wait_running(engine, name, 1)
    # The moment after an update was accepted and before the swarm does anything.
    change(engine.swarm.objects["services"][engine.find("services", name)["ID"]]["Spec"])  # type: ignore[index]
    if not replaced:
        assert wait_running(engine, name, 1)
        return
    with pytest.raises(MsrctlError, match="does not run after"):
        wait_running(engine, name, 0.3)


def test_a_task_whose_node_has_forgotten_its_ports_runs_all_the_same() -> None:
    """As after the demotion and promotion of its node (20.10): PortStatus is empty from then on."""
    engine, name, _ = a_proxy()
    for task in engine.swarm.tasks:
        task["Status"]["PortStatus"] = {}
    assert wait_running(engine, name, 1)
    service = engine.find("services", name)
    assert service is not None
    labels = {**service["Spec"], "Labels": {**service["Spec"]["Labels"], "a": "b"}}
    engine.update("services", service["ID"], service["Version"]["Index"], labels)
    assert wait_running(engine, name, 1)


def test_a_task_that_has_forgotten_its_ports_is_not_taken_for_one_with_other_ports() -> None:
    engine, name, service = a_proxy()
    wanted = copy.deepcopy(service["Spec"])
    wanted["EndpointSpec"]["Ports"][0]["PublishedPort"] = 8080
    before = copy.deepcopy(engine.swarm.tasks)
    engine.update("services", service["ID"], service["Version"]["Index"], wanted)
    after = wait_running(engine, name, 1)
    assert after["ID"] not in {task["ID"] for task in before}
    after["Status"]["PortStatus"] = {}
    for task in before:
        task["Status"]["PortStatus"] = {}
    engine.swarm.tasks[:] = [*before, *engine.swarm.tasks[-1:]]
    with pytest.raises(MsrctlError, match="does not run after"):
        wait_running(engine, name, 0.3)


def test_failures_of_the_same_spec_from_before_the_update_do_not_count() -> None:
    """A spec that is asked for again: the swarm still lists how it once failed, while its new task starts."""
    engine, name, service = a_proxy()
    (node,) = (n["ID"] for n in engine.nodes())
    engine.swarm._end([t for t in engine.swarm.tasks if t["ServiceID"] == service["ID"]])
    for _ in range(3):
        engine.swarm._task(service, node, "failed", "the store was away")
    with pytest.raises(MsrctlError, match="its tasks fail: the store was away"):
        wait_running(engine, name, 1)
    before = task_ids(engine, name)
    assert len(before) == 4
    engine.swarm._task(service, node, "starting")
    with pytest.raises(MsrctlError, match="does not run after"):
        wait_running(engine, name, 0.3, before=before)
    engine.swarm.tasks[-1]["Status"]["State"] = "failed"
    engine.swarm._task(service, node, "failed", "and now for another reason")
    with pytest.raises(MsrctlError, match="its tasks fail: and now for another reason"):
        wait_running(engine, name, 1, before=before)


def test_a_task_that_was_given_up_before_it_had_a_node_is_not_waited_for() -> None:
    """Seen: the way back took two minutes and then failed, with the proxy up for one of them."""
    engine, name, service = a_proxy()
    old = copy.deepcopy(service)
    old["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = ["OF=before"]
    engine.swarm._task(old, engine.nodes()[0]["ID"], "pending", "host-mode port already in use on 1 node")
    with pytest.raises(MsrctlError, match="does not run after"):
        wait_running(engine, name, 0.3)
    engine.swarm.tasks[-1] |= {"DesiredState": "shutdown", "NodeID": ""}
    assert wait_running(engine, name, 1)


def test_a_service_that_is_not_there_has_no_tasks() -> None:
    assert task_ids(an_engine()[0], "dtr-nginx-0") == frozenset()


@pytest.mark.parametrize(("state", "waits"), [("ready", True), ("down", False)])
def test_tasks_of_a_node_that_is_down_are_not_waited_for(
    state: str, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks stay "running" until it returns: remove --force took 45 s for each of its services."""
    engine, _ = an_engine()
    node = engine.swarm.add_node("node-2", state=state)
    monkeypatch.setattr(engine, "tasks", lambda _: [{"NodeID": node, "Status": {"State": "running"}}])
    began = time.monotonic()
    wait_gone(engine, ["removed"], 0.5)
    assert (time.monotonic() - began >= 0.5) is waits


def test_the_end_of_a_task_that_was_given_up_before_it_had_a_node_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, _ = an_engine()
    given_up = {"DesiredState": "remove", "NodeID": "", "Status": {"State": "pending"}}
    monkeypatch.setattr(engine, "tasks", lambda _: [given_up])
    began = time.monotonic()
    wait_gone(engine, ["removed"], 5)
    assert time.monotonic() - began < 1


def test_a_task_that_is_about_to_be_stopped_is_not_the_one_that_runs() -> None:
    """Seen: a change was taken back before its proxy had been replaced; the old task, with the very spec that
    was restored, ran for one more second, and msrctl said that all was as before.
    """
    engine, name, service = a_proxy()
    old = next(t for t in engine.swarm.tasks if t["ServiceID"] == service["ID"])
    old["DesiredState"] = "shutdown"
    with pytest.raises(MsrctlError, match="does not run after"):
        wait_running(engine, name, 0.3)
    engine.swarm._task(service, engine.nodes()[0]["ID"], "running")
    assert wait_running(engine, name, 1)["ID"] != old["ID"]


def test_an_update_waits_until_the_one_before_has_a_place() -> None:
    """Swarm waits a minute for the end of a task without a node: seen, and nothing ran in that minute."""
    engine, name, service = a_proxy()
    assert _seconds(engine, name) < 0.1, "its task has a place"
    (old,) = (t for t in engine.swarm.tasks if t["ServiceID"] == service["ID"])
    service["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = ["OF=now"]
    engine.update("services", service["ID"], service["Version"]["Index"], service["Spec"])
    new = engine.swarm.tasks[-1]
    node = new.pop("NodeID")
    new["Status"] = {"State": "pending", "Err": "host-mode port already in use on 1 node"}
    old["Status"]["State"] = "running"  # it holds the port still
    assert _seconds(engine, name, 0.5) >= 0.5
    new["NodeID"] = node
    assert _seconds(engine, name) < 0.1


def test_an_update_does_not_wait_for_a_place_that_somebody_else_has(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, name, service = a_proxy()
    (task,) = (t for t in engine.swarm.tasks if t["ServiceID"] == service["ID"])
    task["Status"]["State"] = "pending"
    del task["NodeID"]
    monkeypatch.setattr("msrctl.engine.converge.SETTLED_SECONDS", 0.3)
    assert 0.3 <= _seconds(engine, name) < 1


def _seconds(engine: Any, name: str, timeout: float = 5.0) -> float:
    began = time.monotonic()
    wait_placed(engine, name, timeout)
    return time.monotonic() - began
