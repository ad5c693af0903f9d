"""Upgrades: which way is safe, that every replica moves, and what is refused before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest
from plan_support import REPLICA, Recorder, two_replicas

from fakes.engine import FakeEngine
from fakes.swarm import IMAGE_ID
from msrctl.engine.state import StateStore
from msrctl.errors import Partial, PreflightFailed, RolledBack, Unreachable, VerifyFailed, WrongState
from msrctl.model import names
from msrctl.model.cluster import Cluster
from msrctl.model.requests import CommonRequest, UpgradeRequest
from msrctl.model.results import UpgradeResult
from msrctl.plan import planner
from msrctl.workflows import execute, preflight
from msrctl.workflows import upgrade as upgrading

SECOND = "feed00000002"
NEWER = "sha256:" + "b" * 64


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Two replicas on two nodes, and an image that was made anew."""
    made, _ = two_replicas(SECOND)
    add_image(made, "0.1.0")
    monkeypatch.setattr(upgrading, "open_engine", lambda _: made)
    monkeypatch.setattr(upgrading.probe, "prober", lambda *_: lambda _: "healthy")
    monkeypatch.setattr(preflight, "check_node", lambda *_, **__: [])
    monkeypatch.setattr(execute, "set_gate", lambda *_, **__: [])
    monkeypatch.setattr("msrctl.engine.undo.set_gate", lambda *_, **__: [])
    monkeypatch.setattr(planner, "DRAIN_SECONDS", 0.0)
    return made


def add_image(engine: FakeEngine, version: str) -> None:
    engine.swarm.images[NEWER] = {
        "Id": NEWER,
        "RepoTags": ["msrctl/msr:newer"],
        "Config": {"Labels": {names.LABEL_VERSION: version}},
    }


def upgrade(image: str | None = "msrctl/msr:newer", **options: Any) -> UpgradeResult:
    return upgrading.upgrade(UpgradeRequest(CommonRequest(), image=image, **options), Recorder())


def images(engine: FakeEngine) -> dict[str, set[str]]:
    """Images of the services of each replica."""
    out: dict[str, set[str]] = {}
    for service in engine.list("services"):
        spec = service["Spec"]
        image = spec["TaskTemplate"]["ContainerSpec"]["Image"]
        out.setdefault(spec["Labels"][names.LABEL_REPLICA], set()).add(image)
    return out


def document(engine: FakeEngine) -> Cluster:
    stored = StateStore(engine).read()
    assert stored
    return Cluster.from_json(stored.document)


def test_every_replica_moves_and_the_document_says_so(engine: FakeEngine) -> None:
    done = upgrade()
    assert done.changed
    assert images(engine) == {REPLICA: {NEWER}, SECOND: {NEWER}}
    assert {(r.image, r.image_reference) for r in document(engine).replicas} == {(NEWER, "msrctl/msr:newer")}
    assert not upgrade().changed


def test_a_dry_run_changes_nothing(engine: FakeEngine) -> None:
    assert upgrade(dry_run=True).plan
    assert images(engine) == {REPLICA: {IMAGE_ID}, SECOND: {IMAGE_ID}}


def test_the_first_replica_is_a_barrier(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def sick(name: str) -> str:
        raise VerifyFailed(f"{name} does not answer")

    monkeypatch.setattr(upgrading.probe, "prober", lambda *_: sick)
    with pytest.raises(RolledBack):
        upgrade()
    assert images(engine) == {REPLICA: {IMAGE_ID}, SECOND: {IMAGE_ID}}
    assert document(engine).generation == 1


def test_a_later_replica_that_fails_goes_back_alone(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sick(name: str) -> str:
        if SECOND in name:
            raise VerifyFailed(f"{name} does not answer")
        return "healthy"

    monkeypatch.setattr(upgrading.probe, "prober", lambda *_: sick)
    with pytest.raises(Partial) as told:
        upgrade()
    assert images(engine) == {REPLICA: {NEWER}, SECOND: {IMAGE_ID}}
    assert REPLICA in str(told.value.state)
    monkeypatch.setattr(upgrading.probe, "prober", lambda *_: lambda _: "healthy")
    upgrade()
    assert images(engine) == {REPLICA: {NEWER}, SECOND: {NEWER}}


def test_an_image_that_is_not_there_is_named(engine: FakeEngine) -> None:
    with pytest.raises(PreflightFailed) as refused:
        upgrade("msrctl/msr:nowhere")
    assert refused.value.code == "PRE-IMAGE"
    assert "msrctl/msr:nowhere" in refused.value.message


def test_a_node_that_has_left_the_swarm_is_named(engine: FakeEngine) -> None:
    engine.swarm.nodes.pop()
    with pytest.raises(Unreachable) as refused:
        upgrade()
    assert refused.value.code == "NODE-DOWN"
    assert "node-2" in refused.value.message
    assert images(engine)[REPLICA] == {IMAGE_ID}


def test_a_node_that_is_down_is_passed_over_when_told_so_and_the_document_is_for_all(
    engine: FakeEngine,
) -> None:
    engine.swarm.nodes[1]["Status"]["State"] = "down"
    with pytest.raises(Unreachable, match=SECOND):
        upgrade()
    assert images(engine) == {REPLICA: {IMAGE_ID}, SECOND: {IMAGE_ID}}
    done = upgrade(skip_unreachable=True)
    assert (done.replicas, done.skipped) == ((REPLICA,), (SECOND,))
    assert SECOND in done.warnings[0]
    assert images(engine) == {REPLICA: {NEWER}, SECOND: {IMAGE_ID}}
    assert {r.image for r in document(engine).replicas} == {NEWER}


@pytest.mark.parametrize(
    ("before", "after", "safe"),
    [
        ("0.1.0", "0.1.0", True),
        ("0.1.0", "0.1.9", True),
        ("0.1.3", "0.2.0", True),
        ("0.1.0", "0.3.0", False),
        ("0.2.0", "0.1.9", False),
        ("0.1.1", "0.1.0", False),
        ("0.9.0", "1.0.0", False),
        ("0.1.0.dev3", "0.1.0", True),
        ("unknown", "0.1.0", True),
    ],
)
def test_patch_versions_may_be_skipped_minor_versions_not(before: str, after: str, safe: bool) -> None:
    if safe:
        upgrading.refuse_unsafe_jump(before, after)
        return
    with pytest.raises(WrongState) as refused:
        upgrading.refuse_unsafe_jump(before, after)
    assert refused.value.code == "UPGRADE-JUMP"


def test_an_unsafe_jump_touches_nothing(engine: FakeEngine) -> None:
    add_image(engine, "0.3.0")
    with pytest.raises(WrongState) as refused:
        upgrade()
    assert refused.value.code == "UPGRADE-JUMP"
    assert images(engine) == {REPLICA: {IMAGE_ID}, SECOND: {IMAGE_ID}}
    assert document(engine).generation == 1
