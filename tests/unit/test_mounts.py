"""What a node has of an NFS export is found again by name and label, and goes when nobody needs it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from plan_support import CLUSTER, REPLICA, Recorder, an_engine, put

from msrctl.engine.protocol import Conflict
from msrctl.engine.state import StateStore
from msrctl.model import names
from msrctl.model.cluster import Storage
from msrctl.model.requests import CommonRequest, DestroyRequest
from msrctl.storage import backend
from msrctl.workflows import destroy as destroying
from msrctl.workflows import stores
from msrctl.workflows.mounts import mount_of, mounts_of, sweep_mounts

if TYPE_CHECKING:
    from fakes.engine import FakeEngine
    from msrctl.model.cluster import Cluster

NFS = Storage("nfs", {"host": "nas", "export": "/images", "version": "4.2"}, store_id="s1")
ASYNC = replace(NFS, parameters={**NFS.parameters, "asynchronous": True})
LABELS = {names.LABEL_CLUSTER: CLUSTER, names.LABEL_REPLICA: REPLICA}


def volumes(engine: FakeEngine) -> set[str]:
    return {v["Name"] for v in engine.list("volumes")}


def name_of(storage: Storage, cluster: Cluster) -> str:
    return mount_of(storage, cluster.replicas[0]) or ""


@pytest.fixture
def deployed() -> tuple[FakeEngine, Cluster]:
    """A registry on NFS that has come from the same export with other options."""
    engine, cluster = an_engine()
    cluster = replace(cluster, storage=NFS, previous_storage=Storage())
    for storage in (NFS, ASYNC):
        engine.create("volumes", {"Name": name_of(storage, cluster), "Labels": LABELS})
    return engine, cluster


def test_a_mount_that_no_document_needs_goes_and_nothing_else(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, cluster = deployed
    other = {**LABELS, names.LABEL_CLUSTER: "another"}
    engine.create("volumes", {"Name": f"{name_of(ASYNC, cluster)}-other", "Labels": other})
    engine.create("volumes", {"Name": names.default_volume(REPLICA), "Labels": LABELS})
    before = volumes(engine)
    sweep_mounts(engine, cluster)
    assert before - volumes(engine) == {name_of(ASYNC, cluster)}


def test_the_mount_of_the_store_before_stays_until_that_is_forgotten(
    deployed: tuple[FakeEngine, Cluster],
) -> None:
    engine, cluster = deployed
    left = replace(cluster, storage=Storage(), previous_storage=ASYNC)
    sweep_mounts(engine, left)
    assert volumes(engine) == {name_of(ASYNC, cluster)} == set(mounts_of(left))
    sweep_mounts(engine, replace(left, previous_storage=None))
    assert volumes(engine) == set()


def test_a_mount_that_is_still_used_stays_for_the_next_time(deployed: tuple[FakeEngine, Cluster]) -> None:
    engine, cluster = deployed

    def busy(verb: str, kind: str, _: str) -> None:
        if (verb, kind) == ("remove", "volumes"):
            raise Conflict(409, "volume is in use", "remove")

    engine.swarm.before = busy
    sweep_mounts(engine, cluster)
    assert name_of(ASYNC, cluster) in volumes(engine)


def test_a_task_on_an_export_mounts_the_very_volume_of_the_registry_with_its_labels() -> None:
    _, cluster = an_engine()
    replica = cluster.replicas[0]
    for side in (stores.Side(NFS), stores.Side(NFS, writable=True)):
        mount = stores._mount(side, replica, cluster.id, "/new")
        assert mount is not None
        own = backend(NFS).mount(REPLICA, {}) or {}
        assert mount["Source"] == own["Source"]
        assert mount["VolumeOptions"]["Labels"].items() >= LABELS.items()
        assert mount.get("ReadOnly", False) is not side.writable


@pytest.mark.parametrize("remove_data", [False, True])
@pytest.mark.parametrize("busy", [False, True])
def test_destroy_takes_mounts_along_and_never_fails_for_one(
    remove_data: bool, busy: bool, deployed: tuple[FakeEngine, Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, cluster = deployed
    put(engine, cluster)
    StateStore(engine).write(cluster.to_json(), 1, cluster=cluster.id)
    monkeypatch.setattr(destroying, "open_engine", lambda _: engine)

    def refuse(verb: str, kind: str, name: str) -> None:
        if busy and (verb, kind) == ("remove", "volumes") and name == name_of(NFS, cluster):
            raise Conflict(409, "volume is in use", "remove")

    engine.swarm.before = refuse
    monkeypatch.setattr("msrctl.engine.removal.time.sleep", lambda _: None)
    moments = iter(range(0, 100_000, 60))
    monkeypatch.setattr("msrctl.engine.removal.time.monotonic", lambda: next(moments))
    report = Recorder()
    destroying.destroy(DestroyRequest(CommonRequest(), yes=True, remove_data=remove_data), report)
    assert engine.list("services") == []
    assert (name_of(NFS, cluster) in volumes(engine)) is busy
