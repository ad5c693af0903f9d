"""`msrctl destroy`: takes a deployment away. Volumes with images are kept unless told otherwise.

It goes forward only, and the cluster document goes last: killed halfway, it is simply run again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msrctl.engine import lock as locking
from msrctl.engine.observe import clusters, observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.engine.undo import remove
from msrctl.engine.volumes import remove_volume
from msrctl.errors import MsrctlError, UsageFault, WrongState
from msrctl.model import names
from msrctl.model.results import DestroyResult
from msrctl.plan.step import Plan, Step
from msrctl.storage import backend
from msrctl.workflows.drill_cleanup import sweep_killed
from msrctl.workflows.execute import KINDS
from msrctl.workflows.mounts import mounts_of
from msrctl.workflows.session import lock, open_engine, read_deployment, require_replica
from msrctl.workflows.swarm import leave_unused, swarm_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import DestroyRequest
    from msrctl.workflows.reporter import Reporter


def destroy(request: DestroyRequest, report: Reporter) -> DestroyResult:
    """Takes the deployment away.

    Raises:
        WrongState: there is nothing, or no such replica.
        UsageFault: nobody can be asked, and neither --yes nor --replica-id is given.
    """
    engine = open_engine(request.common)
    found = _found(engine, request, report.warn if request.dry_run else lambda _: None)
    if not found.steps:
        if not request.dry_run and (drills := _finish(engine, request, report)):
            return DestroyResult(found.steps, removed=drills)
        raise _nothing(engine)
    if request.dry_run:
        return DestroyResult(found.steps, dry_run=True, kept_volumes=found.kept)
    _require_somebody_to_ask(request, report)
    with lock(engine, request.common, report):
        # Again: whoever had the lock until now may have changed everything.
        found = _found(engine, request, report.warn)
        if not found.steps:
            raise _nothing(engine)
        report.plan(found.steps)
        _confirm(request, report, found.kept)
        sweep_oneshots(engine, older_than=0)
        for step in found.steps:
            _carry_out(engine, found.cluster, step, report.warn)
        remove(engine, "configs", names.JOURNAL)  # by name: one that cannot be read goes too
        drills = _drills(engine, request, report)
    left = ("swarm (install had made it)",) if leave_unused(engine) else ()
    removed = tuple(f"{s.kind} {s.name}" for s in found.steps)
    return DestroyResult(found.steps, removed=(*removed, *drills, *left), kept_volumes=found.kept)


@dataclass(frozen=True)
class _Found:
    """What there is to take away: the cluster if its document can be read, the steps, volumes that stay."""

    cluster: Cluster | None
    steps: Plan
    kept: tuple[str, ...]


def _found(engine: DockerEngine, request: DestroyRequest, warn: Callable[[str], None]) -> _Found:
    cluster = _cluster(engine, warn)
    if cluster and request.replica_id:
        require_replica(cluster, request.replica_id)
        _refuse_one_of_several(cluster, request.replica_id)
    steps = _plan(engine, cluster, request)
    return _Found(cluster, steps, () if request.remove_data or not steps else _volumes(engine, cluster))


def _refuse_one_of_several(cluster: Cluster, ident: str) -> None:
    """Naming one replica of several means that one; destroy takes the whole deployment away."""
    others = [r.id for r in cluster.replicas if r.id != ident]
    if others:
        raise WrongState(
            f"replica {ident} is one of {len(cluster.replicas)}, and destroy takes all of them away",
            code="REPLICAS-LIVE",
            state="Nothing was changed.",
            hint=f"To take this one out: msrctl remove --replica-ids {ident}. "
            "For all of them: msrctl destroy --yes.",
        )


def _nothing(engine: DockerEngine) -> WrongState:
    return WrongState(
        f"nothing of msrctl is in the swarm of the engine at {engine.endpoint}",
        code="NOT-INSTALLED",
        state="Nothing was changed.",
    )


def _finish(engine: DockerEngine, request: DestroyRequest, report: Reporter) -> tuple[str, ...]:
    """Takes the last traces of a destroy that was killed when everything else was gone, and of drills."""
    if swarm_state(engine) == "inactive":
        return ()
    drills = _drills(engine, request, report)
    held = locking.status(engine)
    dead = held is not None and held.dead
    if dead:
        locking.release(engine)
    if drills or dead:
        leave_unused(engine)
    return drills


def _drills(engine: DockerEngine, request: DestroyRequest, report: Reporter) -> tuple[str, ...]:
    """Takes away what drills left that were killed."""
    return tuple(f"drill {ident}" for ident in sweep_killed(engine, request.common, report))


def _cluster(engine: DockerEngine, warn: Callable[[str], None]) -> Cluster | None:
    """The cluster of the document; None if there is none, or none that can be read: labels must do."""
    try:
        deployment = read_deployment(engine)
    except WrongState as error:
        if error.code != "STATE-DAMAGED":
            raise
        warn(f"{error}; what carries msrctl's labels is taken away")
        return None
    return deployment.cluster if deployment else None


def _plan(engine: DockerEngine, cluster: Cluster | None, request: DestroyRequest) -> Plan:
    """Services first, then what they used and the journal, the document last; volumes only if told so."""
    if swarm_state(engine) == "inactive":
        return Plan("destroy")
    steps: list[Step] = []
    for ident in [cluster.id] if cluster else sorted(clusters(engine)):
        found = observe(engine, ident)
        configs = sorted(found.configs, key=lambda n: (n.startswith("msrctl-state-"), n))
        for kind, listed in (
            ("service", sorted(found.services)),
            (
                "volume",
                (*_without_images(cluster), *(_volumes(engine, cluster) if request.remove_data else ())),
            ),
            ("secret", sorted(found.secrets)),
            ("network", sorted(found.networks)),
            ("config", [name for name in configs if name != names.LOCK]),
        ):
            steps += [Step("remove", kind, name, cause="msrctl made it") for name in listed]
    what = (
        ", ".join(f"replica {r.id} on {r.node_name}" for r in cluster.replicas) if cluster else "what is left"
    )
    return Plan(f"destroy {what}", tuple(steps))


def _carry_out(
    engine: DockerEngine, cluster: Cluster | None, step: Step, warn: Callable[[str], None]
) -> None:
    if step.kind != "volume":
        remove(engine, KINDS[step.kind], step.name)
        return
    if cluster is None:
        remove(engine, "volumes", step.name)
        return
    mounts = mounts_of(cluster)
    for replica in cluster.replicas:
        wanted = {names.LABEL_REPLICA: replica.id}
        if step.name in {backend(cluster.storage).own_volume(replica.id), names.gate_volume(replica.id)}:
            remove_volume(engine, step.name, replica.node_id, wanted, image=replica.image)
        elif mounts.get(step.name) == replica:
            # A container that hangs on a dead server keeps the mount; the images are not here anyway.
            try:
                remove_volume(engine, step.name, replica.node_id, wanted, image=replica.image)
            except MsrctlError as error:
                warn(f"volume {step.name} (a mount, it holds nothing) is left: {error}")


def _volumes(engine: DockerEngine, cluster: Cluster | None) -> tuple[str, ...]:
    """Volumes with images that belong to the replicas alone."""
    if cluster is None:
        found = engine.list("volumes", {names.LABEL_CLUSTER: None})
        return tuple(sorted(v["Name"] for v in found))
    owned = (backend(cluster.storage).own_volume(r.id) for r in cluster.replicas)
    return tuple(v for v in owned if v)


def _without_images(cluster: Cluster | None) -> tuple[str, ...]:
    """Volumes of the gates, which hold whether pushes are refused, and what nodes have of an export."""
    if cluster is None:
        return ()
    return (*(names.gate_volume(r.id) for r in cluster.replicas), *sorted(mounts_of(cluster)))


def _require_somebody_to_ask(request: DestroyRequest, report: Reporter) -> None:
    # Naming the replica was all the confirmation that the original wanted; data need more than that.
    confirmed = request.yes or (request.replica_id and not request.remove_data)
    if not confirmed and not report.interactive:
        raise UsageFault(
            "destroy needs a confirmation, and there is no terminal to ask on",
            code="CONFIRM",
            state="Nothing was changed.",
            hint="Add --yes" + ("." if request.remove_data else ", or name the replica with --replica-id."),
        )


def _confirm(request: DestroyRequest, report: Reporter, kept: tuple[str, ...]) -> None:
    if request.yes or not report.interactive:
        return
    data = (
        "ALL IMAGES ARE DELETED." if request.remove_data else f"Images are kept: {', '.join(kept) or 'none'}."
    )
    if not report.confirm(f"Take all of this away? {data}"):
        raise WrongState("not confirmed", code="NOT-CONFIRMED", state="Nothing was changed.")
