"""Obligations of an engine about services: what becomes of their tasks."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from subjects import states

from labs.system import eventually
from msrctl.engine.protocol import Conflict, NotFound, OutOfSequence

if TYPE_CHECKING:
    from subjects import Subject

    from msrctl.engine.protocol import JSON

UNKNOWN_NODE = "jjjjjjjjjjjjjjjjjjjjjjjjj"
UNKNOWN_IMAGE = "sha256:" + "b" * 64
BINDS_A_PORT = {
    "Ports": [{"TargetPort": 80, "PublishedPort": 18080, "PublishMode": "host", "Protocol": "tcp"}]
}


def running(subject: Subject, service: str) -> JSON:
    """The newest task of a service, once it runs."""
    eventually(lambda: "running" in states(subject.engine.tasks(service)), 30, what=f"{service} runs")
    task = subject.engine.tasks(service)[0]
    assert task["Status"]["State"] == "running"
    return task


def pending(subject: Subject, service: str) -> str:
    """Why the newest task of a service waits."""
    eventually(lambda: "no suitable node" in error_of(subject, service), 30, what=f"{service} waits")
    assert subject.engine.tasks(service)[0]["Status"]["State"] == "pending"
    return error_of(subject, service)


def error_of(subject: Subject, service: str) -> str:
    tasks = subject.engine.tasks(service)
    return str(tasks[0]["Status"].get("Err", "")) if tasks else ""


def test_a_service_runs_on_its_node_and_its_container_carries_the_labels(subject: Subject) -> None:
    ident = subject.engine.create("services", subject.service("svc"))
    task = running(subject, "svc")
    assert task["NodeID"] == subject.here
    assert task["ServiceID"] == ident
    (container,) = subject.engine.containers({"test": "svc"})
    assert container["State"] == "running"
    assert container["Labels"]["com.docker.swarm.service.id"] == ident
    assert subject.engine.containers({"test": "other"}) == []
    assert [s["Spec"]["Name"] for s in subject.engine.list("services", {"test": None})] == ["svc"]


def test_a_taken_name_is_a_conflict(subject: Subject) -> None:
    subject.engine.create("services", subject.service("svc"))
    with pytest.raises(Conflict):
        subject.engine.create("services", subject.service("svc"))


def test_a_service_for_an_unknown_node_is_accepted_and_waits_for_ever(subject: Subject) -> None:
    spec = subject.service("svc")
    spec["TaskTemplate"]["Placement"] = {"Constraints": [f"node.id=={UNKNOWN_NODE}"]}
    subject.engine.create("services", spec)
    assert "no suitable node" in pending(subject, "svc")


def test_a_taken_host_port_leaves_the_second_service_waiting(subject: Subject) -> None:
    for name in ("first", "second"):
        spec = subject.service(name)
        spec["EndpointSpec"] |= BINDS_A_PORT
        subject.engine.create("services", spec)
        if name == "first":
            running(subject, name)
    assert "host-mode port already in use" in pending(subject, "second")
    subject.engine.remove("services", "first")
    running(subject, "second")


def test_an_image_that_the_node_has_not_is_rejected_in_words(subject: Subject) -> None:
    subject.engine.create("services", subject.service("svc", Image=UNKNOWN_IMAGE))
    eventually(lambda: "No such image" in error_of(subject, "svc") or None, 30, what="the task is rejected")
    eventually(
        lambda: states(subject.engine.tasks("svc")).count("rejected") >= 2, 30, what="it is tried again"
    )


def test_an_update_replaces_the_task_and_the_newest_comes_first(subject: Subject) -> None:
    ident = subject.engine.create("services", subject.service("svc"))
    first = running(subject, "svc")
    found = subject.engine.find("services", "svc")
    assert found is not None
    spec = found["Spec"]
    spec["TaskTemplate"]["ContainerSpec"]["Env"] = ["CHANGED=1"]
    subject.engine.update("services", ident, found["Version"]["Index"], spec)
    eventually(
        lambda: subject.engine.tasks("svc")[0]["ID"] != first["ID"] and running(subject, "svc"),
        30,
        what="a new task runs",
    )
    tasks = subject.engine.tasks(ident)
    assert tasks[0]["Spec"]["ContainerSpec"]["Env"] == ["CHANGED=1"]
    eventually(lambda: states(subject.engine.tasks("svc"))[1:] == ["shutdown"], 30, what="the old one ended")
    with pytest.raises(OutOfSequence):
        subject.engine.update("services", ident, found["Version"]["Index"], spec)


def test_what_was_updated_can_be_put_back_as_the_previous_spec(subject: Subject) -> None:
    ident = subject.engine.create("services", subject.service("svc"))
    running(subject, "svc")
    first = subject.engine.find("services", "svc")
    assert first is not None
    spec = copy.deepcopy(first["Spec"])
    spec["TaskTemplate"]["ContainerSpec"]["Env"] = ["CHANGED=1"]
    subject.engine.update("services", ident, first["Version"]["Index"], spec)
    second = subject.engine.find("services", "svc")
    assert second is not None
    assert second["PreviousSpec"] == first["Spec"]
    subject.engine.update("services", ident, second["Version"]["Index"], second["PreviousSpec"], back=True)
    third = subject.engine.find("services", "svc")
    assert third is not None
    assert third["Spec"] == first["Spec"]
    eventually(lambda: "running" in states(subject.engine.tasks("svc")), 30, what="it runs as before")


def test_removing_a_service_takes_its_tasks_along(subject: Subject) -> None:
    ident = subject.engine.create("services", subject.service("svc"))
    running(subject, "svc")
    assert subject.engine.remove("services", "svc")
    eventually(lambda: not subject.engine.tasks(ident), 30, what="its tasks are gone")
    eventually(lambda: not subject.engine.containers({"test": "svc"}), 30, what="its containers are gone")


def test_tasks_and_log_of_an_unknown_service(subject: Subject) -> None:
    assert subject.engine.tasks("unknown") == []
    with pytest.raises(NotFound):
        list(subject.engine.logs("unknown"))


def test_an_image_is_found_by_id_and_by_name_or_not_at_all(subject: Subject) -> None:
    image = subject.engine.image(subject.image)
    assert image is not None
    assert image["Id"] == subject.image
    named = subject.engine.image(image["RepoTags"][0])
    assert named is not None
    assert named["Id"] == subject.image
    assert subject.engine.image(UNKNOWN_IMAGE) is None
    assert subject.engine.image("nobody/nothing:1") is None
