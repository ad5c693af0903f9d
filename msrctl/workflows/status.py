"""`msrctl status`: what is there, as it answers now. It changes nothing."""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

from msrctl.engine import lock as locking
from msrctl.engine.converge import is_over
from msrctl.engine.observe import clusters, labels_of, observe
from msrctl.errors import MsrctlError
from msrctl.model import names
from msrctl.model.results import (
    ComponentHealth,
    ReplicaStatus,
    StatusResult,
)
from msrctl.plan.desired import desired
from msrctl.plan.planner import drift
from msrctl.plan.step import Change
from msrctl.storage import backend
from msrctl.workflows import certificates, probe, recover
from msrctl.workflows.session import open_engine, read_deployment
from msrctl.workflows.swarm import nodes, swarm_state

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.model.requests import StatusRequest
    from msrctl.plan.desired import Desired
    from msrctl.plan.planner import Observed
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.swarm import Node


def status(request: StatusRequest, report: Reporter) -> StatusResult:  # noqa: ARG001 - one form for all
    """Everything about the deployment as it is found now."""
    with closing(open_engine(request.common)) as engine:
        return look(engine, request)


def look(engine: DockerEngine, request: StatusRequest) -> StatusResult:
    """The same over a connection that is there."""
    if swarm_state(engine) == "inactive":
        return StatusResult(installed=False)
    held = locking.status(engine)
    found = recover.interrupted(engine)
    at_work = held if held and not held.dead else None
    interrupted = None if found is None or at_work else f"{found[1]}. {found[0].header.way_on()}."
    words, age = (at_work.sentence(), round(at_work.age, 1)) if at_work else (None, None)
    deployment = read_deployment(engine)
    if deployment is None:
        left = tuple(line for lines in clusters(engine).values() for line in lines)
        return StatusResult(
            installed=False, lock=words, interrupted=interrupted, leftovers=left, lock_age=age
        )
    cluster = deployment.cluster
    wanted = desired(cluster)
    observed = observe(engine, cluster.id, wanted)
    drifts = drift(wanted, observed)
    known = nodes(engine)
    replicas = tuple(
        _replica(
            engine, cluster, one, known.get(one.node_id), drifts, behind=_is_behind(one, wanted, observed)
        )
        for one in cluster.replicas
        if request.replica_id in {None, one.id}
    )
    missing = [
        Change(f"{kind} {name}", "present", None)
        for kind, want, have in (
            ("network", wanted.networks, observed.networks),
            ("config", wanted.configs, observed.configs),
            ("secret", wanted.secrets, observed.secrets),
        )
        for name in sorted(set(want) - set(have))
    ]
    return StatusResult(
        installed=True,
        cluster_id=cluster.id,
        generation=cluster.generation,
        version=cluster.version,
        url=cluster.url(),
        storage=backend(cluster.storage).words(cluster.replicas[0].id),
        previous_storage=backend(cluster.previous_storage).words(cluster.replicas[0].id)
        if cluster.previous_storage
        else None,
        read_only=cluster.read_only,
        replicas=replicas,
        drift=tuple(missing),
        lock=words,
        interrupted=interrupted,
        lock_age=age,
        certificate_expires=certificates.expires(cluster.tls),
    )


def _replica(
    engine: DockerEngine,
    cluster: Cluster,
    replica: Replica,
    node: Node | None,
    drifts: dict[str, tuple[Change, ...]],
    *,
    behind: bool,
) -> ReplicaStatus:
    states = {c: _task_state(engine, names.service(c, replica.id)) for c in names.COMPONENTS}
    seen: dict[str, probe.Seen] = {}
    if node is None:
        trouble = f"node {replica.node_name} is not in the swarm"
    else:
        try:
            seen = {s.component: s for s in probe.health(engine, cluster, replica, node)}
            trouble = "no answer"
        except MsrctlError as error:
            trouble = str(error)
    components = tuple(
        ComponentHealth(
            component=c,
            healthy=c in seen and seen[c].ok,
            detail=seen[c].detail if c in seen else trouble,
            task_state=states[c],
        )
        for c in names.COMPONENTS
    )
    own = set(names.services(replica.id))
    changes = tuple(
        Change(f"{service} {c.name}" if c.name != service else service, c.wanted, c.found)
        for service, found in drifts.items()
        if service in own
        for c in found
    )
    return ReplicaStatus(
        replica_id=replica.id,
        node=replica.node_name,
        version=replica.version,
        url=cluster.url(replica),
        components=components,
        drift=changes,
        behind=behind,
    )


def _is_behind(replica: Replica, wanted: Desired, observed: Observed) -> bool:
    """Whether a service was made from another document, as its own label says; unlike what others changed."""
    for name in names.services(replica.id):
        found = observed.services.get(name)
        have = labels_of(found).get(names.LABEL_HASH) if found else None
        if have and have != labels_of(wanted.services[name])[names.LABEL_HASH]:
            return True
    return False


def _task_state(engine: DockerEngine, service: str) -> str:
    """State of the service's current task: the newest that runs, else one that may yet, else the newest."""
    if engine.find("services", service) is None:
        return "no service"
    tasks = engine.tasks(service)
    if not tasks:
        return "no task"
    # After a rollback the newest task is the one that was given up, and an older one serves.
    running = (t for t in tasks if t["Status"]["State"] == "running")
    coming = (t for t in tasks if not is_over(t))
    current = next(chain(running, coming, tasks))["Status"]
    reason = current.get("Err") or ""
    return f"{current['State']}: {reason}" if reason else str(current["State"])
