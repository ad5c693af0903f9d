"""Emergency repair: refused where nothing is lost; what lives is kept, what is lost is dropped, for good."""

from __future__ import annotations

from typing import Any

import pytest
from plan_support import NGINX, REPLICA, Recorder, two_replicas

from fakes.engine import FakeEngine
from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.protocol import ApiError
from msrctl.engine.state import StateStore
from msrctl.errors import MsrctlError, RolledBack, UsageFault, WrongState
from msrctl.model import names
from msrctl.model.cluster import Cluster
from msrctl.model.requests import CommonRequest, EmergencyRepairRequest
from msrctl.model.results import EmergencyRepairResult
from msrctl.workflows import emergency

LOST = "dead00000002"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Two replicas; the second one's node is down, and the swarm has no leader."""
    made, _ = two_replicas(LOST)
    made.swarm.nodes[1]["Spec"]["Role"] = "manager"
    made.swarm.nodes[1]["Status"]["State"] = "down"
    made.swarm.leader = False
    monkeypatch.setattr(emergency, "open_engine", lambda _: made)
    monkeypatch.setattr(emergency.probe, "prober", lambda *_: lambda _: "healthy")
    return made


def repair(report: Recorder | None = None, **options: Any) -> EmergencyRepairResult:
    request = EmergencyRepairRequest(CommonRequest(), **{"yes": True, **options})
    return emergency.emergency_repair(request, report or Recorder())


def document(engine: FakeEngine) -> Cluster:
    stored = StateStore(engine).read()
    assert stored
    return Cluster.from_json(stored.document)


def services(engine: FakeEngine) -> list[str]:
    return sorted(s["Spec"]["Name"] for s in engine.list("services"))


def of_replica(ident: str) -> list[str]:
    return sorted(names.service(component, ident) for component in ("nginx", "registry"))


def test_the_lost_replica_and_its_node_go_and_the_other_stays(engine: FakeEngine) -> None:
    done = repair()
    assert done.forced
    assert (done.removed, done.replicas, done.nodes) == ((LOST,), (REPLICA,), ("node-2",))
    assert [r.id for r in document(engine).replicas] == [REPLICA]
    assert services(engine) == of_replica(REPLICA)
    assert [n["Description"]["Hostname"] for n in engine.nodes()] == ["node-1"]
    assert engine.find("configs", names.JOURNAL) is None
    assert engine.find("configs", names.LOCK) is None


def test_what_else_is_missing_is_repaired(engine: FakeEngine) -> None:
    engine.swarm.leader = True
    engine.remove("services", NGINX)
    engine.swarm.leader = False
    repair()
    assert services(engine) == of_replica(REPLICA)


def test_with_a_quorum_it_is_refused(engine: FakeEngine) -> None:
    engine.swarm.leader = True
    engine.swarm.nodes[1]["Status"]["State"] = "ready"
    with pytest.raises(WrongState) as refused:
        repair()
    assert refused.value.code == "QUORUM"
    assert len(document(engine).replicas) == 2


@pytest.mark.parametrize("wanted", [None, LOST])
def test_without_a_replica_here_it_is_refused(engine: FakeEngine, wanted: str | None) -> None:
    if wanted is None:
        engine.swarm.tasks.clear()
    with pytest.raises(WrongState) as refused:
        repair(existing_replica_id=wanted)
    assert refused.value.code == "NO-REPLICA"
    assert not engine.swarm.leader


def test_nobody_to_ask_and_no_yes_forces_nothing(engine: FakeEngine) -> None:
    with pytest.raises(UsageFault):
        repair(yes=False)
    assert not engine.swarm.leader


def test_a_dry_run_forces_nothing(engine: FakeEngine) -> None:
    done = repair(dry_run=True)
    assert done.plan
    assert not engine.swarm.leader


def test_an_interrupted_change_goes_first_and_the_swarm_can_be_asked_for_it(engine: FakeEngine) -> None:
    engine.swarm.leader = True
    Journal.create(engine, JournalHeader("reconfigure", "msrctl reconfigure", "me@here", "c0ffee000001"))
    engine.swarm.leader = False
    with pytest.raises(WrongState) as refused:
        repair()
    assert refused.value.code == "INTERRUPTED"
    assert "only manager" in str(refused.value.state)
    assert len(document(engine).replicas) == 2


@pytest.mark.parametrize("at", range(1, 6))
def test_killed_at_any_change_it_is_run_again(engine: FakeEngine, at: int) -> None:
    class Killed(BaseException):
        """Nothing catches it, as nothing catches kill -9."""

    count = 0

    def die(verb: str, kind: str, name: str) -> None:
        nonlocal count
        if kind == "configs" and name == names.LOCK:
            return
        count += 1
        if count == at:
            raise Killed

    engine.swarm.before = die
    with pytest.raises((Killed, MsrctlError)):
        repair()
    engine.swarm.before = lambda *_: None
    if engine.find("configs", names.LOCK):
        engine.remove("configs", names.LOCK)
    done = repair()
    assert done.replicas == (REPLICA,)
    assert [r.id for r in document(engine).replicas] == [REPLICA]
    assert services(engine) == of_replica(REPLICA)
    assert [n["Description"]["Hostname"] for n in engine.nodes()] == ["node-1"]


def test_a_replica_that_does_not_work_is_told(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def sick(name: str) -> str:
        raise WrongState(f"{name} does not answer", code="VERIFY")

    monkeypatch.setattr(emergency.probe, "prober", lambda *_: sick)
    with pytest.raises(WrongState, match="does not answer"):
        repair()


def test_a_node_that_cannot_be_removed_does_not_stop_the_repair(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> bool:
        raise ApiError(400, "node is a member of the raft cluster", "remove node")

    monkeypatch.setattr(engine, "remove_node", refuse)
    report = Recorder()
    repair(report)
    assert [r.id for r in document(engine).replicas] == [REPLICA]
    assert any("docker node rm --force" in line for line in report.warnings)


def test_no_replica_lives(engine: FakeEngine) -> None:
    engine.swarm.nodes[0]["Status"]["State"] = "ready"
    cluster_nodes = {r.node_id for r in _document_without_leader(engine).replicas}
    assert engine.swarm.nodes[0]["ID"] in cluster_nodes
    engine.swarm.nodes[0]["Status"]["State"] = "down"
    with pytest.raises((WrongState, RolledBack, MsrctlError)) as refused:
        repair_at_once(engine)
    assert refused.value.code in {"NO-LIVE-REPLICA", "NODE-DOWN"}


def _document_without_leader(engine: FakeEngine) -> Cluster:
    engine.swarm.leader = True
    found = document(engine)
    engine.swarm.leader = False
    return found


def repair_at_once(engine: FakeEngine) -> EmergencyRepairResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emergency, "NODES_SECONDS", 0.0)
        return repair()


@pytest.mark.parametrize("prune", [False, True])
def test_only_prune_removes_what_dropped_replicas_left_here(engine: FakeEngine, prune: bool) -> None:
    cluster = _document_without_leader(engine)
    for name, replica in (("left-behind", LOST), ("in-use", REPLICA)):
        labels = names.labels(cluster.id, "0.1.0", component="volume", replica=replica)
        engine.swarm.make_volume(name, labels, None)
    before = {v["Name"] for v in engine.list("volumes")}
    done = repair(prune=prune)
    gone = before - {v["Name"] for v in engine.list("volumes")}
    assert "in-use" not in gone
    assert ("left-behind" in gone) is prune
    assert set(done.volumes) == gone
