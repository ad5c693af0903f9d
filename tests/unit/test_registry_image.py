"""`--registry-image`: its program is asked for its version on the replica's node, before anything changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from plan_support import REGISTRY, a_cluster, an_engine, put

from fakes.swarm import OneShot
from msrctl.errors import PreflightFailed, Unreachable, UsageFault
from msrctl.model.cluster import Storage
from msrctl.plan.desired import desired
from msrctl.workflows.registry_image import (
    OWN,
    RegistryImage,
    by_name,
    find,
    reconfigured,
    require_driver,
    require_on,
)
from msrctl.workflows.swarm import Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.engine import FakeEngine
    from msrctl.model.cluster import Cluster

OTHER = "sha256:" + "b" * 64
REFERENCE = "registry:2.8.3"
SWIFT = Storage("swift", {"authurl": "https://k.example.com/v3", "container": "images"})


def _engine(says: str = "registry github.com/docker/distribution v2.8.3", **outcome: Any) -> FakeEngine:
    """A swarm with another registry's image, and what its program says."""
    engine, _ = an_engine()
    engine.swarm.images[OTHER] = {"Id": OTHER, "RepoTags": [REFERENCE]}
    engine.swarm.oneshot = lambda _: OneShot(lines=(says,), **outcome)
    return engine


def _node(engine: FakeEngine) -> Node:
    return Node(engine.nodes()[0]["ID"], "node-1", "10.0.0.2", is_endpoint=True)


def _find(
    engine: FakeEngine, reference: str | None = REFERENCE, storage: Storage | None = None
) -> RegistryImage:
    return find(engine, reference, _node(engine), storage or Storage())


def test_the_program_in_the_image_is_asked_on_the_node() -> None:
    engine = _engine("registry github.com/distribution/distribution/v3 v3.1.1")
    ran: list[dict[str, Any]] = []

    def answer(spec: dict[str, Any]) -> OneShot:
        ran.append(spec["TaskTemplate"])
        return OneShot(lines=("registry github.com/distribution/distribution/v3 v3.1.1",))

    engine.swarm.oneshot = answer
    assert _find(engine) == RegistryImage(OTHER, REFERENCE, "3.1.1")
    container = ran[0]["ContainerSpec"]
    assert (container["Image"], container["Command"], container["Args"]) == (
        OTHER,
        ["registry"],
        ["--version"],
    )
    assert ran[0]["Placement"]["Constraints"] == [f"node.id=={engine.nodes()[0]['ID']}"]
    assert engine.list("services") == []


@pytest.mark.parametrize("reference", [None, ""])
def test_without_one_it_is_the_registry_in_msrctl_s_own_image(reference: str | None) -> None:
    assert _find(_engine(), reference) == by_name(reference) == OWN


@pytest.mark.parametrize(
    ("engine", "code", "part"),
    [
        (_engine("registry github.com/docker/distribution v2.7.1"), "PRE-REGISTRY-VERSION", "version 2.7.1"),
        (_engine("some other program"), "PRE-REGISTRY-VERSION", "no version"),
        (_engine(error='exec: "registry": executable file not found'), "PRE-REGISTRY-IMAGE", "not found"),
        (_engine("unknown flag", exit_code=1), "PRE-REGISTRY-IMAGE", "node-1"),
        (_engine(error=f"No such image: {OTHER}"), "PRE-IMAGE", "not on node node-1"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused_and_nothing_is_left(
    engine: FakeEngine, code: str, part: str
) -> None:
    with pytest.raises(PreflightFailed) as error:
        _find(engine)
    assert (error.value.code, error.value.state) == (code, "Nothing was changed.")
    assert part in error.value.message
    assert error.value.hint
    assert engine.list("services") == []


def test_an_image_that_is_not_there_is_refused_and_nothing_is_run() -> None:
    engine = _engine()
    with pytest.raises(PreflightFailed, match="registry:9 is not on the engine") as error:
        _find(engine, "registry:9")
    assert error.value.code == "PRE-IMAGE"
    assert "docker pull registry:9" in (error.value.hint or "")
    assert engine.swarm.tasks == []


def test_a_registry_without_a_driver_for_the_store_is_refused() -> None:
    assert _find(_engine(), storage=SWIFT).version == "2.8.3"
    with pytest.raises(UsageFault, match="no swift driver"):
        _find(_engine("registry x/v3 v3.1.1"), storage=SWIFT)


@pytest.mark.parametrize("kind", ["azure", "gcs"])
def test_msrctl_s_own_registry_without_a_driver_for_the_store_is_refused(kind: str) -> None:
    store = Storage(kind, {"accountname": "contoso", "container": "images", "bucket": "images"})
    engine = _engine()
    before = _deployed(engine)
    there = replace(before, replicas=(replace(before.replicas[0], registry_image=OTHER),), storage=store)
    refused: list[Callable[[], object]] = [
        lambda: _find(engine, None, store),
        lambda: by_name("", store),
        lambda: require_driver(before, None, store),
        lambda: require_driver(there, "", store),
        lambda: reconfigured(engine, "", there, there, []),
    ]
    for ask in refused:
        with pytest.raises(PreflightFailed, match=f"no {kind} driver") as error:
            ask()
        assert (error.value.code, error.value.state) == ("PRE-REGISTRY-DRIVER", "Nothing was changed.")
        assert "--registry-image registry:2.8.3" in (error.value.hint or "")
    assert _find(engine, REFERENCE, store).version == by_name(REFERENCE, store).version == "2.8.3"
    require_driver(before, REFERENCE, store)
    require_driver(there, None, store)
    require_driver(there, "", SWIFT)


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("registry:3.1.1", "3.1.1"),
        ("reg.example.com:5000/registry:2.8.3", "2.8.3"),
        ("reg.example.com:5000/registry", "2.8.3"),
        ("registry:2", "2.8.3"),
    ],
)
def test_a_dry_run_without_a_swarm_goes_by_the_tag(reference: str, version: str) -> None:
    assert by_name(reference).version == version


def _deployed(engine: FakeEngine) -> Cluster:
    cluster = a_cluster(engine.nodes()[0]["ID"])
    put(engine, cluster)
    return cluster


def test_reconfigure_takes_another_registry_and_only_its_service_changes() -> None:
    engine = _engine("registry x/v3 v3.1.1")
    before = _deployed(engine)
    why: list[str] = []
    after = reconfigured(engine, REFERENCE, before, before, why)
    assert (after.generation, why) == (2, ["registry image"])
    assert (after.replicas[0].registry_image, after.replicas[0].registry_version) == (OTHER, "3.1.1")
    old, new = desired(before).services, desired(after).services
    assert [name for name in old if old[name] != new[name]] == [REGISTRY]
    back = reconfigured(engine, "", after, after, [])
    assert back.replicas == before.replicas


def test_reconfigure_adds_to_what_else_changes() -> None:
    engine = _engine()
    before = _deployed(engine)
    changed = replace(before, generation=2, read_only=True)
    after = reconfigured(engine, REFERENCE, before, changed, [])
    assert (after.generation, after.read_only) == (2, True)
    assert after.replicas[0].registry_image == OTHER


@pytest.mark.parametrize("reference", [None, REFERENCE])
def test_reconfigure_without_one_or_with_that_in_force_changes_nothing(reference: str | None) -> None:
    engine = _engine()
    plain = _deployed(engine)
    before = replace(
        plain, replicas=(replace(plain.replicas[0], registry_image=OTHER, registry_version="2.8.3"),)
    )
    why: list[str] = []
    assert reconfigured(engine, reference, before, before, why) is before
    assert why == []


def test_a_node_that_lacks_the_other_registry_gets_no_replica() -> None:
    engine = _engine(error=f"No such image: {OTHER}")
    with pytest.raises(PreflightFailed, match="not on node node-1") as error:
        require_on(engine, OTHER, _node(engine))
    assert error.value.code == "PRE-IMAGE"
    assert "docker load on node-1" in (error.value.hint or "")
    require_on(engine, None, _node(engine))
    require_on(_engine(), OTHER, _node(engine))
    assert engine.list("services") == []


def test_a_replica_whose_node_is_gone_is_named() -> None:
    engine = _engine()
    cluster = a_cluster("gone")
    with pytest.raises(Unreachable, match="replica 5f0c2a9be417 on node-1") as error:
        reconfigured(engine, REFERENCE, cluster, cluster, [])
    assert error.value.code == "NODE-DOWN"
