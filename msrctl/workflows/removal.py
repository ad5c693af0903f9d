"""`msrctl remove`: takes replicas out of a cluster that goes on serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine.observe import observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.engine.volumes import remove_volume
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names
from msrctl.model.results import RemoveResult
from msrctl.plan.desired import desired, gate_of
from msrctl.plan.planner import drain_step, plan, removal_step
from msrctl.plan.step import Plan, Step
from msrctl.storage import backend
from msrctl.workflows import probe, recover
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.session import lock, open_engine, require_deployment, require_replica, require_yes
from msrctl.workflows.signals import signals_raise
from msrctl.workflows.swarm import ready_nodes

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.engine.protocol import JSON
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.model.requests import RemoveRequest
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.session import Deployment


@signals_raise()
def remove(request: RemoveRequest, report: Reporter) -> RemoveResult:
    """Removes replicas: balancers are told first, then their services go, then what only they used.

    Raises:
        WrongState: no such replica, it is the last one, or its node is gone and --force is not given.
        UsageFault: nobody can be asked, and --yes is not given, where data would go.
        RolledBack, Interrupted: a step failed or a signal came; everything is as before.
    """
    engine = open_engine(request.common)
    if request.dry_run:
        change, gone = _change(engine, request, report, require_deployment(engine))
        return _result(change, gone, request, dry_run=True)
    with lock(engine, request.common, report) as held:
        sweep_oneshots(engine)
        recover.refuse_if_interrupted(engine)
        change, gone = _change(engine, request, report, require_deployment(engine))
        report.plan(change.plan)
        _confirm(request, report, gone)
        apply(engine, report, held, request.common, change)
        _remove_volumes(engine, report, change.cluster, gone, request)
    return _result(change, gone, request)


def _change(
    engine: DockerEngine, request: RemoveRequest, report: Reporter, deployment: Deployment
) -> tuple[Transition, tuple[Replica, ...]]:
    before = deployment.cluster
    gone = tuple(require_replica(before, ident) for ident in dict.fromkeys(request.replica_ids))
    if request.existing_replica_id:
        require_replica(before, request.existing_replica_id)
    rest = tuple(r for r in before.replicas if r not in gone)
    if not rest:
        raise WrongState(
            "that would remove the last replica",
            code="LAST-REPLICA",
            state=NOTHING,
            hint="msrctl destroy takes the whole deployment away.",
        )
    dead = _dead(engine, gone)
    if dead and not request.force:
        raise WrongState(
            f"node {', '.join(r.node_name for r in dead)} does not answer: what runs there cannot be stopped",
            code="NODE-DOWN",
            state=NOTHING,
            hint="Bring the node back, or remove the replica with --force: if the node returns, the engine "
            "removes what is left there.",
        )
    after = before.next_generation(replicas=rest)
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    title = "remove " + ", ".join(f"replica {r.id} on {r.node_name}" for r in gone)
    document = f"generation {after.generation}: {title}"
    ordinary = plan(title, wanted, observed, {}, document)
    steps: list[Step] = []
    for replica in gone:
        steps += _steps(before, replica, observed.services, alive=replica not in dead)
    change = Transition(
        operation="remove",
        cluster=after,
        plan=Plan(title, (*ordinary.steps, *steps)),
        observed=observed,
        secrets={},
        probe=probe.prober(engine, after),
        before=deployment.stored.name,
    )
    if dead:
        report.warn(f"forced: {', '.join(r.node_name for r in dead)} is not asked")
    return change, gone


def _dead(engine: DockerEngine, gone: tuple[Replica, ...]) -> tuple[Replica, ...]:
    ready = ready_nodes(engine)
    return tuple(r for r in gone if r.node_id not in ready)


def _steps(before: Cluster, replica: Replica, services: dict[str, JSON], *, alive: bool) -> list[Step]:
    steps = [drain_step(replica.id, gate_of(before, replica))] if alive else []
    own = names.services(replica.id)
    steps += [removal_step(n, services[n], f"of replica {replica.id}") for n in own if n in services]
    return steps


def _confirm(request: RemoveRequest, report: Reporter, gone: tuple[Replica, ...]) -> None:
    if request.remove_data:
        question = f"Delete the image volumes of {', '.join(r.id for r in gone)} as well?"
        require_yes(report, "--remove-data", question, yes=request.yes)


def _remove_volumes(
    engine: DockerEngine,
    report: Reporter,
    cluster: Cluster,
    gone: tuple[Replica, ...],
    request: RemoveRequest,
) -> None:
    """The small volumes of the gates always; image volumes of the replica's own only when told so.

    What a node has of an export is a mount: it goes by its label, once no container uses it any more; the
    images are the server's.
    """
    ready = ready_nodes(engine)
    for replica in gone:
        if replica.node_id not in ready:
            continue
        volumes = [names.gate_volume(replica.id)]
        own = backend(cluster.storage).own_volume(replica.id)
        volumes += [own] if own and request.remove_data else []
        mount = backend(cluster.storage).mount(replica.id, {})
        if cluster.storage.kind == "nfs" and mount:
            volumes.append(mount["Source"])
        for volume in volumes:
            try:
                labels = {names.LABEL_REPLICA: replica.id}
                remove_volume(engine, volume, replica.node_id, labels, image=replica.image)
            except MsrctlError as error:
                report.warn(f"volume {volume} on {replica.node_name} was not removed: {error}")


def _result(
    change: Transition,
    gone: tuple[Replica, ...],
    request: RemoveRequest,
    *,
    dry_run: bool = False,
) -> RemoveResult:
    store = backend(change.cluster.storage)
    kept = tuple(v for r in gone if (v := store.own_volume(r.id)) and not request.remove_data)
    return RemoveResult(
        change.plan,
        dry_run=dry_run,
        removed=tuple(r.id for r in gone),
        replicas=tuple(r.id for r in change.cluster.replicas),
        kept_volumes=kept,
    )
