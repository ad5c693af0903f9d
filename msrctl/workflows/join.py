"""`msrctl join`: one more replica, on another node, of the same cluster and the same store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.engine.connect import connect_node
from msrctl.engine.observe import observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import MsrctlError, PreflightFailed, VerifyFailed, WrongState
from msrctl.images.archive import ship
from msrctl.model import names
from msrctl.model.cluster import Replica
from msrctl.model.results import JoinResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan
from msrctl.storage import backend
from msrctl.workflows import certificates, overlay, preflight, probe, recover, registry_image, storage
from msrctl.workflows import material as making
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.session import lock, open_engine, require_deployment, require_replica
from msrctl.workflows.signals import signals_raise
from msrctl.workflows.swarm import choose_node, nodes, takes_work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import JoinRequest
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.session import Deployment
    from msrctl.workflows.swarm import Node


@signals_raise()
def join(request: JoinRequest, report: Reporter) -> JoinResult:
    """Adds a replica with the version, storage, certificates and accounts of the others.

    Raises:
        WrongState: nothing is installed, the node has a replica, or the store is one node's own.
        PreflightFailed: a check failed; nothing was changed.
        VerifyFailed: the cluster is not healthy, or the store seen from the node is another one.
        RolledBack, Interrupted: a step failed or a signal came; no trace is left.
    """
    engine = open_engine(request.common)
    if request.dry_run:
        change, replica, warnings = _change(engine, request, report, require_deployment(engine))
        return _result(change, replica, warnings, dry_run=True)
    with lock(engine, request.common, report) as held:
        sweep_oneshots(engine)
        _clear_interrupted(engine, report)
        change, replica, warnings = _change(engine, request, report, require_deployment(engine))
        for warning in warnings:
            report.warn(warning)
        report.plan(change.plan)
        apply(engine, report, held, request.common, change)
    return _result(change, replica, warnings)


def _clear_interrupted(engine: DockerEngine, report: Reporter) -> None:
    """A join that was cut short has served nobody yet: what it left is taken away."""
    found = recover.interrupted(engine)
    if found and found[0].header.operation == "join":
        report.warn(f"{found[1]}. What it left is being taken away.")
        recover.undo_journal(engine, found[0], report)
    recover.refuse_if_interrupted(engine)


def _change(
    engine: DockerEngine, request: JoinRequest, report: Reporter, deployment: Deployment
) -> tuple[Transition, Replica, tuple[str, ...]]:
    before = deployment.cluster
    if request.existing_replica_id:
        require_replica(before, request.existing_replica_id)
    _refuse_node_local(before, request)
    node = _node(engine, before, request)
    replica = _replica(before, node, request)
    _require_healthy(engine, before, request, report)
    _bring_images(engine, report, replica, node, request)
    with _packets_sent(engine, report, before, replica, node, request):
        _preflight(engine, report, replica, node, request)
        registry_image.require_on(engine, replica.registry_image, node)
        before = storage.require_same_store(engine, report, before, replica)
    material = making.Material(before.id, __version__)
    replicas = (*before.replicas, replica)
    tls = before.tls
    if tls.source == "generated" and not before.settings.external_url:
        known = nodes(engine)
        wanted = certificates.hosts(None, *(known[r.node_id] for r in replicas if r.node_id in known))
        tls = certificates.reissue(engine, before, material, wanted)
    after = before.next_generation(replicas=replicas, tls=tls)
    desire = desired(after)
    observed = observe(engine, after.id, desire)
    title = f"join replica {replica.id} on {node.name}"
    steps = plan(title, desire, observed, material.words, f"generation {after.generation}: {title}")
    change = Transition(
        operation="join",
        cluster=after,
        plan=steps,
        observed=observed,
        secrets=material.secrets,
        probe=probe.prober(engine, after),
        before=deployment.stored.name,
    )
    return change, replica, _advice(len(replicas))


def _node(engine: DockerEngine, before: Cluster, request: JoinRequest) -> Node:
    taken = {r.node_id: r for r in before.replicas}
    if request.node is None:
        free = [n for n in engine.nodes() if n["ID"] not in taken and takes_work(n)]
        if len(free) == 1:
            return choose_node(engine, free[0]["ID"])
        known = ", ".join(sorted(n["Description"]["Hostname"] for n in free)) or "none"
        raise PreflightFailed(
            f"{len(free)} nodes could take the replica: {known}",
            code="PRE-NODE",
            state=NOTHING,
            hint="Name one with --ucp-node."
            if free
            else "Join another node to the swarm first (docker swarm join-token manager).",
        )
    node = choose_node(engine, request.node)
    if node.id in taken:
        raise WrongState(
            f"node {node.name} has replica {taken[node.id].id} already",
            code="NODE-TAKEN",
            state=NOTHING,
            hint="One node has one replica: name another node with --ucp-node.",
        )
    return node


def _replica(before: Cluster, node: Node, request: JoinRequest) -> Replica:
    ident = request.replica_id or names.new_id()
    if before.replica(ident):
        raise WrongState(
            f"there is a replica {ident} already",
            code="REPLICA-EXISTS",
            state=NOTHING,
            hint="Leave --replica-id away for a random one.",
        )
    # As the newest one is: in the middle of an upgrade that is what the others will become.
    like = before.replicas[0]
    return replace(
        like,
        id=ident,
        node_id=node.id,
        node_name=node.name,
        http_port=request.http_port or like.http_port,
        https_port=request.https_port or like.https_port,
    )


def _refuse_node_local(before: Cluster, request: JoinRequest) -> None:
    store = backend(before.storage)
    words = store.words(before.replicas[0].id)
    if not store.node_local():
        return
    if store.own_volume(before.replicas[0].id):
        raise WrongState(
            f"the images are in {words}, which only {before.replicas[0].node_name} has",
            code="STORE-NODE-LOCAL",
            state=NOTHING,
            hint="Move them where all nodes reach them first: msrctl reconfigure --migrate-storage with "
            "--nfs-storage-url or --storage-config.",
        )
    if not request.shared_storage_path:
        raise WrongState(
            f"the images are in {words}, which may be this one node's own",
            code="STORE-NODE-LOCAL",
            state=NOTHING,
            hint="If it is shared storage under the same name on every node, say --shared-storage-path: that "
            "is proven from the new node before anything is changed.",
        )


def _require_healthy(engine: DockerEngine, before: Cluster, request: JoinRequest, report: Reporter) -> None:
    """Every member must be healthy: a cluster is not made bigger to mend it."""
    known = nodes(engine)
    bad = []
    for replica in before.replicas:
        try:
            if replica.node_id not in known:
                raise MsrctlError(f"node {replica.node_name} is not in the swarm")  # noqa: TRY301
            seen = probe.health(engine, before, replica, known[replica.node_id])
            bad += [f"{replica.id}: {s.component}: {s.detail}" for s in seen if not s.ok]
        except MsrctlError as error:
            bad.append(f"{replica.id}: {error}")
    if bad and request.unsafe_join:
        report.warn(f"joined although replicas are not healthy: {'; '.join(bad)}")
    elif bad:
        raise VerifyFailed(
            "this cluster has replicas that are not healthy",
            code="UNHEALTHY-REPLICAS",
            state=NOTHING,
            details=tuple(bad),
            hint="Mend them (msrctl status), or take dead ones out with msrctl remove --force; --unsafe-join "
            "joins all the same.",
        )


def _bring_images(
    engine: DockerEngine, report: Reporter, replica: Replica, node: Node, request: JoinRequest
) -> None:
    """Sends the images that the node lacks to its own engine, if its address was given."""
    if not request.node_engine:
        return
    target = connect_node(request.node_engine)
    with closing(target):
        found = target.info()["Swarm"].get("NodeID")
        if found != node.id:
            raise PreflightFailed(
                f"the engine at {target.endpoint} (--node-engine) is not that of node {node.name}",
                code="PRE-NODE-ENGINE",
                state=NOTHING,
                hint=f"docker -H {target.endpoint} info shows which node it is.",
            )
        references = {replica.image: replica.image_reference}
        if replica.registry_image:
            references[replica.registry_image] = replica.registry_image
        for ident, reference in references.items():
            if target.image(ident) is None:
                _send(engine, report, target, ident, reference, dry_run=request.dry_run)


def _send(
    engine: DockerEngine, report: Reporter, target: DockerEngine, ident: str, reference: str, *, dry_run: bool
) -> None:
    if dry_run:
        raise PreflightFailed(
            f"image {reference} is not at {target.endpoint}",
            code="PRE-IMAGE",
            state=NOTHING,
            hint="Without --dry-run it is sent there first.",
        )
    here = engine.image(reference)
    # The name may mean another image by now; what the others run is what is sent.
    name = reference if here and here["Id"] == ident else ident
    with report.step("image", f"sending {reference} to {target.endpoint}") as progress:
        ship(engine.api, target.api, name, progress.detail)
        if target.image(ident) is None:
            raise PreflightFailed(
                f"{target.endpoint} has {reference} under another id now",
                code="PRE-IMAGE",
                state="The image was sent; nothing else was changed.",
                hint="Its image store is of another kind (docker info: containerd or not); all nodes need "
                "the same.",
            )
        progress.detail(f"{reference} is at {target.endpoint}")


def _preflight(
    engine: DockerEngine, report: Reporter, replica: Replica, node: Node, request: JoinRequest
) -> None:
    image = preflight.image_of(replica)
    with report.step("preflight", node.name) as progress:
        try:
            checks = preflight.check_node(
                engine,
                node=node,
                image=image,
                ports=(replica.http_port, replica.https_port),
                timeout=min(60.0, request.common.max_wait),
            )
        except PreflightFailed as error:
            if error.code == "PRE-IMAGE":
                error.hint = f"Say --node-engine ssh://USER@{node.name} to have it sent there. {error.hint}"
            raise
        progress.detail(f"{len(preflight.require(checks))} checks on {node.name}")


@contextmanager
def _packets_sent(
    engine: DockerEngine,
    report: Reporter,
    before: Cluster,
    replica: Replica,
    node: Node,
    request: JoinRequest,
) -> Iterator[None]:
    """Sends packets between the node and every other replica while the block does something else.

    Raises:
        PreflightFailed: PRE-OVERLAY, at the end of the block.
    """
    if request.skip_network_test:
        report.warn(f"whether {node.name} reaches the other replicas was not tested (--skip-network-test)")
        yield
        return

    def send(other: Replica) -> list[preflight.Check]:
        with closing(engine.clone()) as connection:
            return overlay.overlay_checks(connection, before, other, node, replica.image)

    with ThreadPoolExecutor(len(before.replicas)) as pool:
        sent = [pool.submit(send, other) for other in before.replicas]
        yield
        with report.step("network", f"sending packets between {node.name} and the others") as progress:
            found = [check for one in sent for check in one.result()]
            progress.detail("; ".join(c.detail for c in preflight.require(found)))


def _advice(count: int) -> tuple[str, ...]:
    if count % 2:
        return ()
    words = f"{count} replicas: an even number tolerates no more failures than one less; 3, 5 or 7 are better"
    return (words,)


def _result(
    change: Transition, replica: Replica, warnings: tuple[str, ...], *, dry_run: bool = False
) -> JoinResult:
    return JoinResult(
        change.plan,
        dry_run=dry_run,
        replica_id=replica.id,
        node=replica.node_name,
        url=change.cluster.url(replica),
        replicas=tuple(r.id for r in change.cluster.replicas),
        warnings=warnings,
    )
