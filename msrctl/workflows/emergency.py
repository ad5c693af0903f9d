"""`msrctl emergency-repair`: the swarm has lost most of its managers for good; what lives goes on.

It goes forward only: killed halfway, it is simply run again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msrctl.engine.observe import observe
from msrctl.engine.oneshot import COMPONENT, sweep_oneshots
from msrctl.engine.removal import remove_when_free
from msrctl.errors import MsrctlError, Unreachable, WrongState
from msrctl.model import names
from msrctl.model.results import EmergencyRepairResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan, surplus, unchecked
from msrctl.plan.step import Plan, Step
from msrctl.workflows import probe, recover
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.session import lock, open_engine, require_deployment, require_yes
from msrctl.workflows.signals import signals_raise
from msrctl.workflows.swarm import swarm_state

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.engine.protocol import JSON
    from msrctl.model.cluster import Replica
    from msrctl.model.requests import EmergencyRepairRequest
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.session import Deployment

OPERATION = "emergency-repair"
LEADER_SECONDS = 60.0
NODES_SECONDS = 90.0
"""A new leader knows nobody; nodes have some heartbeats of 5 s to report (swarmkit, manager/dispatcher)."""
FORCED = "This node is the only manager of the swarm now; the services are as they were."


@dataclass(frozen=True)
class _Repair:
    """What is to be done, once the swarm can be asked."""

    change: Transition
    lost: tuple[JSON, ...]
    """Nodes that go."""
    dropped: tuple[Replica, ...]


@signals_raise()
def emergency_repair(request: EmergencyRepairRequest, report: Reporter) -> EmergencyRepairResult:
    """Makes the endpoint the only manager, drops replicas of nodes that do not answer, repairs the others.

    Raises:
        WrongState: the swarm has its quorum (QUORUM), the node has no replica (NO-REPLICA), no replica lives
            (NO-LIVE-REPLICA), or an earlier change was interrupted (INTERRUPTED).
        UsageFault: nobody can be asked, and --yes is not given.
        RolledBack, Interrupted: a step failed or a signal came; the members are those that they were.
    """
    engine = open_engine(request.common)
    swarm_state(engine)
    quorum = _has_quorum(engine)
    here = _require_replica_here(engine, request.existing_replica_id)
    if quorum:
        _refuse_if_not_alone(engine)
    if request.dry_run:
        return _dry_run(engine, report, here, quorum=quorum)
    _confirm(request, report, engine, quorum=quorum)
    if not quorum:
        with report.step("swarm") as progress:
            engine.force_new_cluster()
            _wait_for_leader(engine)
            progress.detail("this node is its only manager now")
    with report.step("nodes") as progress:
        progress.detail(_wait_until_known(engine))
    with lock(engine, request.common, report) as held:
        sweep_oneshots(engine)
        _require_uninterrupted(engine)
        repair = _repair(engine, require_deployment(engine), report)
        report.plan(repair.change.plan)
        if repair.change.plan:
            apply(engine, report, held, request.common, repair.change)
        _verify(report, repair.change)
        volumes = _prune(engine, report, repair.change) if request.prune else ()
    return EmergencyRepairResult(
        repair.change.plan,
        forced=not quorum,
        removed=tuple(r.id for r in repair.dropped),
        replicas=tuple(r.id for r in repair.change.cluster.replicas),
        nodes=tuple(_name(node) for node in repair.lost),
        volumes=volumes,
    )


# -- before anything happens


def _has_quorum(engine: DockerEngine) -> bool:
    try:
        engine.nodes()
    except Unreachable as error:
        if error.code != "NO-LEADER":
            raise
        return False
    return True


def _require_replica_here(engine: DockerEngine, wanted: str | None) -> str:
    """The id of the replica on the endpoint's node, as its containers tell: the swarm cannot be asked."""
    labels = [c["Labels"] for c in engine.containers({names.LABEL_REPLICA: wanted})]
    serving = [carried for carried in labels if carried.get(names.LABEL_COMPONENT) != COMPONENT]
    found = sorted(carried[names.LABEL_REPLICA] for carried in serving)
    if not found:
        what = f"replica {wanted} is not" if wanted else "no replica is"
        raise WrongState(
            f"{what} on the node of the engine at {engine.endpoint}",
            code="NO-REPLICA",
            state=NOTHING,
            hint="Run this on a manager that has a replica (docker ps --filter name=dtr- shows it there). "
            "If all are lost: docker swarm init --force-new-cluster, then msrctl restore from a backup.",
        )
    return str(found[0])


def _refuse_if_not_alone(engine: DockerEngine) -> None:
    """With a quorum there is nothing to force, unless it is the one that an interrupted repair has made."""
    listed = engine.nodes()
    managers = [n for n in listed if n.get("ManagerStatus", {}).get("Reachability") == "reachable"]
    if len(managers) == 1:
        ready = {n["ID"] for n in listed if n["Status"]["State"] == "ready"}
        members = {r.node_id for r in require_deployment(engine).cluster.replicas}
        found = recover.interrupted(engine)
        ours = found is not None and found[0].header.operation == OPERATION
        if ours or members - ready or any(n["Status"]["State"] == "down" for n in listed):
            return
    raise WrongState(
        "the swarm has its quorum: nothing needs to be forced",
        code="QUORUM",
        state=NOTHING,
        hint="msrctl status says what is wrong; msrctl reconfigure repairs it; a replica whose node is lost "
        "is dropped with msrctl remove --force.",
    )


def _confirm(
    request: EmergencyRepairRequest, report: Reporter, engine: DockerEngine, *, quorum: bool
) -> None:
    swarm = engine.info()["Swarm"]
    others = [
        str(m["Addr"]).rsplit(":", 1)[0]
        for m in swarm.get("RemoteManagers") or []
        if m["NodeID"] != swarm["NodeID"]
    ]
    what = (
        f"Give up the managers {', '.join(others)} for good" if others and not quorum else "Drop lost nodes"
    )
    require_yes(report, OPERATION, f"{what}, and go on with what lives here?", yes=request.yes)


def _dry_run(engine: DockerEngine, report: Reporter, here: str, *, quorum: bool) -> EmergencyRepairResult:
    if quorum:
        repair = _repair(engine, require_deployment(engine), report)
        return EmergencyRepairResult(repair.change.plan, dry_run=True)
    report.warn("Without a quorum nobody knows which nodes live: what follows is known after the first step.")
    steps = (
        Step("update", "swarm", "this node", "its only manager", "most managers are lost"),
        Step("check", "replica", here, "", "it goes on"),
        Step("remove", "replica", "others", "whose nodes do not answer", "they are lost"),
    )
    return EmergencyRepairResult(Plan("repair what lives here", steps), dry_run=True)


# -- the swarm comes back


def _wait_for_leader(engine: DockerEngine) -> None:
    end = time.monotonic() + LEADER_SECONDS
    while True:
        try:
            engine.nodes()
        except MsrctlError as error:
            if time.monotonic() > end:
                raise Unreachable(
                    f"the engine did not become the leader of its swarm: {error.message}",
                    code="NO-LEADER",
                    hint="docker info and the engine's log say more. Then run this again.",
                ) from error
            time.sleep(0.5)
        else:
            return


def _wait_until_known(engine: DockerEngine) -> str:
    """Waits until every node has answered or is given up; returns how many there are, in words."""
    end = time.monotonic() + NODES_SECONDS
    own = engine.info()["Swarm"]["NodeID"]
    while True:
        states = {n["ID"]: str(n["Status"]["State"]) for n in engine.nodes()}
        if "unknown" not in states.values() and states.get(own) == "ready":
            break
        if time.monotonic() > end:
            if states.get(own) != "ready":
                raise Unreachable(
                    f"this node does not become ready in its swarm: it is {states.get(own)}",
                    code="NODE-DOWN",
                    state=FORCED,
                    hint="The engine's log says why. Then run this again.",
                )
            break
        time.sleep(0.5)
    ready = sum(state == "ready" for state in states.values())
    return f"{ready} of {len(states)} answer"


def _require_uninterrupted(engine: DockerEngine) -> None:
    """An earlier change goes first; an earlier repair is begun anew: it goes forward only."""
    found = recover.interrupted(engine)
    if found is None:
        return
    journal, sentence = found
    if journal.header.operation == OPERATION:
        journal.close()
        return
    raise WrongState(
        sentence,
        code="INTERRUPTED",
        state=FORCED,
        hint="Go back with msrctl reconfigure --undo, or finish it with --resume; then run this again.",
    )


# -- what goes and what stays


def _repair(engine: DockerEngine, deployment: Deployment, report: Reporter) -> _Repair:
    before = deployment.cluster
    listed = engine.nodes()
    ready = {n["ID"] for n in listed if n["Status"]["State"] == "ready"}
    live = tuple(r for r in before.replicas if r.node_id in ready)
    dropped = tuple(r for r in before.replicas if r.node_id not in ready)
    if not live:
        raise WrongState(
            "none of the replicas' nodes answers",
            code="NO-LIVE-REPLICA",
            state=FORCED,
            hint="msrctl destroy, then msrctl restore from a backup; images in shared storage stay.",
        )
    after = before.next_generation(replicas=live) if dropped else before
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    lost = tuple(n for n in listed if n["ID"] not in ready and _was_a_member(n, dropped))
    title = "repair: go on with " + ", ".join(f"replica {r.id} on {r.node_name}" for r in live)
    document = f"generation {after.generation}: without {', '.join(r.id for r in dropped)}" if dropped else ""
    ordinary = plan(title, wanted, observed, {}, document)
    # The nodes go first: what tasks were there counts as ended then. Nothing brings them back.
    steps = [
        *(Step("remove", "node", _name(node), node["ID"], "it does not answer") for node in lost),
        *(replace(step, undo=()) for step in surplus(wanted, observed)),
    ]
    change = Transition(
        operation=OPERATION,
        cluster=after,
        plan=Plan(title, (*steps, *ordinary.steps)),
        observed=observed,
        secrets={},
        probe=probe.prober(engine, after),
        before=deployment.stored.name,
        actions={("remove", "node"): lambda step: _remove_node(engine, report, step)},
    )
    return _Repair(change, lost, dropped)


def _was_a_member(node: JSON, dropped: tuple[Replica, ...]) -> bool:
    """Nodes that had a replica, and managers: their swarm is another one now."""
    return node["Spec"].get("Role") == "manager" or node["ID"] in {r.node_id for r in dropped}


def _remove_node(engine: DockerEngine, report: Reporter, step: Step) -> None:
    try:
        engine.remove_node(step.detail)
    except MsrctlError as error:
        report.warn(
            f"node {step.name} could not be taken out of the swarm: {error}; docker node rm --force does it"
        )


def _verify(report: Reporter, change: Transition) -> None:
    """A replica that the plan did not touch is looked at as well: this is no time for guesses."""
    for step in unchecked(desired(change.cluster), change.plan):
        with report.step(step.name) as progress:
            progress.detail(change.probe(step.name))


def _prune(engine: DockerEngine, report: Reporter, change: Transition) -> tuple[str, ...]:
    """Volumes on the endpoint's node of replicas that the document does not name.

    A volume that is a mount of an export goes as well: what is on the server stays there.
    """
    living = {r.id for r in change.cluster.replicas}
    gone = []
    for volume in engine.list("volumes", {names.LABEL_CLUSTER: change.cluster.id, names.LABEL_REPLICA: None}):
        if volume["Labels"][names.LABEL_REPLICA] in living:
            continue
        try:
            remove_when_free(engine, "volumes", volume["Name"])
        except MsrctlError as error:
            report.warn(f"volume {volume['Name']} was not removed: {error}")
        else:
            gone.append(str(volume["Name"]))
    return tuple(gone)


def _name(node: JSON) -> str:
    return str(node["Description"].get("Hostname") or node["ID"])
