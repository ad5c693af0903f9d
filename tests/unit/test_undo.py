"""Undo records: each safe to run twice, and what happens if one of them cannot be carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from plan_support import NGINX, REGISTRY, an_engine, put

from msrctl.engine import converge
from msrctl.engine import undo as undoing
from msrctl.engine.protocol import ApiError, OutOfSequence
from msrctl.engine.undo import committed, restore_service, undo, undo_one
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.engine import FakeEngine
    from msrctl.model.cluster import Cluster


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing.time, "sleep", lambda _: None)
    monkeypatch.setattr(undoing, "RESTORE_SECONDS", 1.0)
    monkeypatch.setattr(converge, "POLL_SECONDS", 0.01)


@pytest.fixture
def deployed() -> tuple[FakeEngine, Cluster]:
    engine, cluster = an_engine()
    put(engine, cluster)
    return engine, cluster


def _spec(engine: FakeEngine, name: str) -> dict[str, Any]:
    found = engine.find("services", name)
    assert found is not None
    return dict(found["Spec"])


def _update(engine: FakeEngine, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    found = engine.find("services", name)
    assert found is not None
    spec = found["Spec"]
    change(spec)
    engine.update("services", found["ID"], found["Version"]["Index"], spec)


def _other_args(spec: dict[str, Any]) -> None:
    spec["TaskTemplate"]["ContainerSpec"]["Args"] = ["another"]


def test_each_record_is_safe_to_run_twice(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, cluster = deployed
    replica = cluster.replicas[0]
    labels = names.labels(cluster.id, "0.1.0", component="registry", replica=replica.id)
    before = _spec(engine, NGINX)
    _update(engine, NGINX, _other_args)
    records: list[dict[str, Any]] = [
        {"op": "restore", "kind": "services", "name": NGINX, "spec": before},
        {"op": "remove", "kind": "services", "name": REGISTRY},
        {
            "op": "remove-volume",
            "name": f"dtr-registry-{replica.id}",
            "node": replica.node_id,
            "labels": labels,
            "image": replica.image,
        },
        {"op": "remove", "kind": "secrets", "name": cluster.http_secret},
    ]
    for _ in range(2):
        undo(engine, [(1, "begun", records)], pytest.fail)
    assert _spec(engine, NGINX) == before
    assert [s["Spec"]["Name"] for s in engine.list("services")] == [NGINX]
    assert engine.find("volumes", f"dtr-registry-{replica.id}") is None
    assert engine.find("secrets", cluster.http_secret) is None


def test_a_service_that_runs_the_earlier_spec_already_is_not_updated(
    deployed: tuple[FakeEngine, Cluster],
) -> None:
    engine, _ = deployed
    before = engine.find("services", NGINX)
    assert before is not None
    restore_service(engine, NGINX, before["Spec"])
    assert engine.find("services", NGINX) == before


def test_a_service_that_the_engine_rolled_back_by_itself_counts_as_restored(
    deployed: tuple[FakeEngine, Cluster],
) -> None:
    engine, _ = deployed
    before = engine.find("services", NGINX)
    assert before is not None
    engine.swarm.objects["services"][before["ID"]]["UpdateStatus"] = {"State": "rollback_completed"}
    restore_service(engine, NGINX, before["Spec"])


def test_a_service_whose_roll_back_by_the_engine_failed_is_not_restored(
    deployed: tuple[FakeEngine, Cluster],
) -> None:
    engine, _ = deployed
    before = engine.find("services", NGINX)
    assert before is not None
    engine.swarm.objects["services"][before["ID"]]["UpdateStatus"] = {"State": "rollback_paused"}
    with pytest.raises(MsrctlError, match="rolled"):
        restore_service(engine, NGINX, before["Spec"])


def test_on_a_node_that_is_down_the_earlier_spec_is_put_back_and_nobody_waits(
    deployed: tuple[FakeEngine, Cluster],
) -> None:
    engine, _ = deployed
    before = _spec(engine, NGINX)
    _update(engine, NGINX, _other_args)
    engine.swarm.nodes[0]["Status"]["State"] = "down"
    restore_service(engine, NGINX, before)
    assert _spec(engine, NGINX) == before


def test_what_the_engine_knows_as_the_previous_spec_is_rolled_back_to_by_the_engine(
    deployed: tuple[FakeEngine, Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an update, the engine takes it for one that failed when its node returns, and undoes it again."""
    engine, _ = deployed
    before = _spec(engine, NGINX)
    _update(engine, NGINX, _other_args)
    backs = []
    update = engine.update

    def seen(*args: Any, back: bool = False) -> None:
        backs.append(back)
        update(*args, back=back)

    monkeypatch.setattr(engine, "update", seen)
    restore_service(engine, NGINX, before)
    assert backs == [True]
    _update(engine, NGINX, _other_args)
    _update(engine, NGINX, lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Args=["third"]))
    restore_service(engine, NGINX, before)
    assert backs[-1] is False
    assert _spec(engine, NGINX) == before


def test_a_removed_service_is_created_anew(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, _ = deployed
    before = _spec(engine, NGINX)
    engine.remove("services", NGINX)
    restore_service(engine, NGINX, before)
    assert _spec(engine, NGINX) == before


def test_a_service_that_changes_at_the_same_time_is_tried_again(
    deployed: tuple[FakeEngine, Cluster],
) -> None:
    engine, _ = deployed
    before = _spec(engine, NGINX)
    _update(engine, NGINX, _other_args)
    left = [1, 2, 3]

    def busy(verb: str, kind: str, name: str) -> None:
        if verb == "update" and left:
            left.pop()
            raise OutOfSequence(500, "update out of sequence", "update service")

    engine.swarm.before = busy
    restore_service(engine, NGINX, before)
    assert _spec(engine, NGINX) == before


def test_a_service_whose_creation_was_cut_off_may_appear_late(
    deployed: tuple[FakeEngine, Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal ends the request, and the engine makes the service all the same: seen with a busy engine."""
    engine, _ = deployed
    spec = _spec(engine, NGINX)
    engine.remove("services", NGINX)
    naps = []

    def appears(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            engine.create("services", spec)

    monkeypatch.setattr(undoing, "LATE_SECONDS", 3.0)
    monkeypatch.setattr(undoing.time, "sleep", appears)
    undo(engine, [(4, "begun", [{"op": "remove", "kind": "services", "name": NGINX}])], warn=pytest.fail)
    assert engine.find("services", NGINX) is None
    assert len(naps) >= 3


def test_a_service_that_could_not_be_put_back_does_not_pass_for_restored(
    deployed: tuple[FakeEngine, Cluster],
) -> None:
    engine, _ = deployed
    before = _spec(engine, NGINX)
    _update(engine, NGINX, _other_args)

    def busy(verb: str, kind: str, name: str) -> None:
        if verb == "update":
            raise OutOfSequence(500, "update out of sequence", "update service")

    engine.swarm.before = busy
    with pytest.raises(MsrctlError, match="out of sequence"):
        restore_service(engine, NGINX, before)


def test_an_object_that_is_still_in_use_is_tried_again(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, cluster = deployed
    left = [1, 2]
    unused = cluster.accounts.probe_secret

    def busy(verb: str, kind: str, name: str) -> None:
        if verb == "remove" and left:
            left.pop()
            raise ApiError(400, "secret is in use by the following service", "remove secret")

    engine.swarm.before = busy
    undo_one(engine, {"op": "remove", "kind": "secrets", "name": unused})
    assert engine.find("secrets", unused) is None


def test_another_refusal_is_not_waited_for(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, cluster = deployed

    def broken(verb: str, kind: str, name: str) -> None:
        raise ApiError(500, "raft is gone", "remove secret")

    engine.swarm.before = broken
    with pytest.raises(ApiError, match="raft is gone"):
        undo_one(engine, {"op": "remove", "kind": "secrets", "name": cluster.accounts.probe_secret})


def test_what_cannot_be_undone_is_named_and_the_rest_is_undone(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, _ = deployed
    warnings: list[str] = []

    def broken(verb: str, kind: str, name: str) -> None:
        if verb == "remove" and kind == "configs":
            raise ApiError(500, "raft is gone", "remove config")

    config = str(engine.list("configs")[0]["Spec"]["Name"])
    engine.swarm.before = broken
    entries = [
        (2, "begun", [{"op": "remove", "kind": "configs", "name": config}]),
        (1, "begun", [{"op": "remove", "kind": "services", "name": NGINX}]),
    ]
    with pytest.raises(MsrctlError) as error:
        undo(engine, entries, warnings.append)
    assert (error.value.code, len(error.value.details)) == ("UNDO-INCOMPLETE", 1)
    assert error.value.details[0].startswith(f"remove {config}: ")
    assert warnings == [f"not undone: {error.value.details[0]}"]
    assert engine.find("services", NGINX) is None


def test_after_a_commit_record_nothing_is_undone(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, _ = deployed
    entries = [
        (2, "begun", [{"op": "remove", "kind": "services", "name": NGINX}]),
        (1, "begun", [{"op": "commit", "name": "new store"}]),
    ]
    assert committed(entries)
    with pytest.raises(WrongState) as error:
        undo(engine, entries, pytest.fail)
    assert error.value.code == "COMMITTED"
    assert "--resume" in (error.value.hint or "")
    assert engine.find("services", NGINX) is not None


def test_a_record_of_a_later_msrctl_is_refused(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, _ = deployed
    with pytest.raises(MsrctlError) as error:
        undo_one(engine, {"op": "unscrew", "name": "x"})
    assert error.value.code == "JOURNAL-NEWER"


@pytest.mark.parametrize("labels", [{}, {"owner": "somebody"}, {names.LABEL_CLUSTER: "c0ffee000002"}])
def test_a_volume_without_the_labels_stays(
    deployed: tuple[FakeEngine, Cluster], labels: dict[str, str]
) -> None:
    engine, cluster = deployed
    engine.create("volumes", {"Name": "images", "Labels": labels})
    record = {
        "op": "remove-volume",
        "name": "images",
        "node": cluster.replicas[0].node_id,
        "labels": {names.LABEL_CLUSTER: cluster.id},
        "image": cluster.replicas[0].image,
    }
    undo_one(engine, record)
    assert engine.find("volumes", "images") is not None
