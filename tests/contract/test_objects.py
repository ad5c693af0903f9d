"""Obligations of an engine about objects: names, versions, labels, use."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest

from msrctl.engine import clock
from msrctl.engine.protocol import ApiError, Conflict, Engine, NotFound, OutOfSequence

if TYPE_CHECKING:
    from subjects import Subject

    from msrctl.engine.protocol import JSON, Kind


def body(name: str, data: bytes = b"content", **labels: str) -> JSON:
    return {"Name": name, "Labels": labels, "Data": base64.b64encode(data).decode()}


def index(found: JSON | None) -> int:
    assert found is not None
    return int(found["Version"]["Index"])


def test_an_engine_is_an_engine(subject: Subject) -> None:
    assert isinstance(subject.engine, Engine)
    assert isinstance(subject.engine.clone(), Engine)


def test_info_tells_the_node_and_a_time_that_goes_on(subject: Subject) -> None:
    before = clock.now(subject.engine)
    assert subject.engine.info()["Swarm"]["NodeID"] == subject.here
    assert subject.engine.info()["Swarm"]["LocalNodeState"] == "active"
    assert clock.now(subject.engine) > before


def test_nodes_are_ready_and_have_host_names(subject: Subject) -> None:
    nodes = {node["ID"]: node for node in subject.engine.nodes()}
    assert set(nodes) == {subject.here, subject.other}
    for node in nodes.values():
        assert node["Status"]["State"] == "ready"
        assert node["Spec"]["Availability"] == "active"
        assert node["Description"]["Hostname"]


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_a_name_is_found_exactly_and_not_by_its_beginning(subject: Subject, kind: Kind) -> None:
    ident = subject.engine.create(kind, body("settings-1"))
    found = subject.engine.find(kind, "settings-1")
    assert found is not None
    assert found["ID"] == ident
    assert subject.engine.find(kind, "settings") is None


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_a_taken_name_is_a_conflict(subject: Subject, kind: Kind) -> None:
    subject.engine.create(kind, body("one"))
    with pytest.raises(Conflict):
        subject.engine.create(kind, body("one", b"other"))


def test_a_config_gives_its_data_back(subject: Subject) -> None:
    subject.engine.create("configs", body("one", b"\x00\xff text"))
    found = subject.engine.find("configs", "one")
    assert found is not None
    assert base64.b64decode(found["Spec"]["Data"]) == b"\x00\xff text"


def test_a_secret_cannot_be_read(subject: Subject) -> None:
    subject.engine.create("secrets", body("one", b"hidden"))
    found = subject.engine.find("secrets", "one")
    assert found is not None
    assert not found["Spec"].get("Data")


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_labels_change_at_a_known_version_only(subject: Subject, kind: Kind) -> None:
    ident = subject.engine.create(kind, body("one", step="1"))
    first = subject.engine.find(kind, "one")
    subject.engine.update(kind, ident, index(first), {"Name": "one", "Labels": {"step": "2"}})
    second = subject.engine.find(kind, "one")
    assert second is not None
    assert first is not None
    assert second["Spec"]["Labels"] == {"step": "2"}
    assert index(second) > index(first)
    assert clock.moment(second["UpdatedAt"]) > clock.moment(first["UpdatedAt"])
    assert second["CreatedAt"] == first["CreatedAt"]
    with pytest.raises(OutOfSequence):
        subject.engine.update(kind, ident, index(first), {"Name": "one", "Labels": {"step": "3"}})
    assert subject.engine.find(kind, "one") == second


def test_data_of_a_config_never_change(subject: Subject) -> None:
    ident = subject.engine.create("configs", body("one", b"old"))
    found = subject.engine.find("configs", "one")
    with pytest.raises(ApiError):
        subject.engine.update("configs", ident, index(found), body("one", b"new"))
    assert subject.engine.find("configs", "one") == found


def test_updating_what_is_gone_says_so(subject: Subject) -> None:
    ident = subject.engine.create("configs", body("one"))
    found = subject.engine.find("configs", "one")
    subject.engine.remove("configs", ident)
    with pytest.raises(NotFound):
        subject.engine.update("configs", ident, index(found), {"Name": "one", "Labels": {}})


@pytest.mark.parametrize("kind", ["configs", "secrets"])
@pytest.mark.parametrize("data", [b"", b"x" * 1_100_000], ids=["empty", "too large"])
def test_data_must_have_a_size_that_swarm_takes(subject: Subject, kind: Kind, data: bytes) -> None:
    with pytest.raises(ApiError):
        subject.engine.create(kind, body("one", data))
    assert subject.engine.list(kind) == []


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_names_have_at_most_64_characters(subject: Subject, kind: Kind) -> None:
    subject.engine.create(kind, body("n" * 64))
    with pytest.raises(ApiError):
        subject.engine.create(kind, body("n" * 65))


def test_lists_are_filtered_by_all_labels_and_a_label_without_value_means_any(subject: Subject) -> None:
    subject.engine.create("configs", body("one", a="1", b="1"))
    subject.engine.create("configs", body("two", a="2", b="1"))
    subject.engine.create("configs", body("three", c="1"))

    def found(**labels: str | None) -> set[str]:
        return {config["Spec"]["Name"] for config in subject.engine.list("configs", labels)}

    assert found() == {"one", "two", "three"}
    assert found(a=None) == {"one", "two"}
    assert found(a="1") == {"one"}
    assert found(a="2", b="1") == {"two"}
    assert found(a="1", c=None) == set()


@pytest.mark.parametrize("kind", ["configs", "secrets", "networks", "volumes"])
def test_removing_says_whether_there_was_something(subject: Subject, kind: Kind) -> None:
    bodies: dict[str, JSON] = {
        "networks": {"Name": "one", "Driver": "overlay", "Attachable": True, "Labels": {"a": "1"}},
        "volumes": {"Name": "one", "Labels": {"a": "1"}},
    }
    ident = subject.engine.create(kind, bodies.get(kind, body("one", a="1")))
    assert len(subject.engine.list(kind, {"a": "1"})) == 1
    assert subject.engine.remove(kind, "on") is False
    assert subject.engine.remove(kind, ident) is True
    assert subject.engine.remove(kind, ident) is False
    subject.engine.create(kind, bodies.get(kind, body("one")))
    assert subject.engine.remove(kind, "one") is True
    assert subject.engine.find(kind, "one") is None


def test_a_network_of_the_same_name_is_a_conflict(subject: Subject) -> None:
    spec = {"Name": "over", "Driver": "overlay", "Attachable": True, "Labels": {"a": "1"}}
    ident = subject.engine.create("networks", spec)
    with pytest.raises(Conflict):
        subject.engine.create("networks", spec)
    found = subject.engine.find("networks", "over")
    assert found is not None
    assert (found["Id"], found["Labels"], found["Scope"]) == (ident, {"a": "1"}, "swarm")


def test_a_volume_that_exists_keeps_its_options_without_a_word(subject: Subject) -> None:
    subject.engine.create("volumes", {"Name": "vol", "DriverOpts": {"type": "tmpfs", "device": "one"}})
    assert subject.engine.create("volumes", {"Name": "vol", "DriverOpts": {"device": "two"}}) == "vol"
    found = subject.engine.find("volumes", "vol")
    assert found is not None
    assert found["Options"]["device"] == "one"


def test_a_volume_s_name_needs_two_characters(subject: Subject) -> None:
    with pytest.raises(ApiError):
        subject.engine.create("volumes", {"Name": "v"})


def test_networks_and_volumes_cannot_be_updated(subject: Subject) -> None:
    with pytest.raises(ApiError):
        subject.engine.update("volumes", "vol", 1, {"Name": "vol"})


def test_what_a_service_uses_cannot_be_removed(subject: Subject) -> None:
    engine = subject.engine
    engine.create("networks", {"Name": "over", "Driver": "overlay", "Attachable": True})
    engine.create("configs", body("conf"))
    engine.create("secrets", body("secr"))
    file = {"Name": "f", "UID": "0", "GID": "0", "Mode": 0o400}
    spec = subject.service(
        "user",
        Configs=[{"ConfigName": "conf", "File": file}],
        Secrets=[{"SecretName": "secr", "File": file}],
    )
    spec["TaskTemplate"]["Networks"] = [{"Target": "over"}]
    ident = engine.create("services", spec)
    used: tuple[tuple[Kind, str], ...] = (("configs", "conf"), ("secrets", "secr"), ("networks", "over"))
    for kind, name in used:
        with pytest.raises(Conflict):
            engine.remove(kind, name)
    engine.remove("services", ident)
    assert engine.remove("configs", "conf")
    assert engine.remove("secrets", "secr")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:  # in use for a moment after its last task
            engine.remove("networks", "over")
            break
        except ApiError:
            time.sleep(0.2)
    assert engine.find("networks", "over") is None


def test_a_service_s_references_become_ids_and_unknown_ones_are_refused(subject: Subject) -> None:
    engine = subject.engine
    network = engine.create("networks", {"Name": "over", "Driver": "overlay", "Attachable": True})
    config = engine.create("configs", body("conf"))
    file = {"Name": "f", "UID": "0", "GID": "0", "Mode": 0o400}
    spec = subject.service("user", Configs=[{"ConfigName": "conf", "File": file}])
    spec["TaskTemplate"]["Networks"] = [{"Target": "over"}]
    engine.create("services", spec)
    found = engine.find("services", "user")
    assert found is not None
    template = found["Spec"]["TaskTemplate"]
    assert template["Networks"][0]["Target"] == network
    assert template["ContainerSpec"]["Configs"][0]["ConfigID"] == config
    # The body that was given is not changed: a plan holds it.
    assert spec["TaskTemplate"]["Networks"] == [{"Target": "over"}]
    with pytest.raises(NotFound):
        engine.create("services", subject.service("bad", Configs=[{"ConfigName": "none", "File": file}]))
    assert engine.find("services", "bad") is None
