"""`msrctl install`: observe, check everything, plan, carry out, verify, report."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.engine.observe import clusters, observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names
from msrctl.model.cluster import Cluster, Replica, Settings, Storage
from msrctl.model.results import InstallResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import Observed, plan
from msrctl.plan.step import Plan, Step
from msrctl.storage import backend
from msrctl.workflows import certificates, preflight, probe, recover, registry_image, storage
from msrctl.workflows import material as making
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.nfs_servers import option_warnings
from msrctl.workflows.session import lock, open_engine, read_deployment
from msrctl.workflows.signals import signals_raise, signals_wait
from msrctl.workflows.swarm import (
    Node,
    choose_node,
    init_swarm,
    leave_unused,
    made_by_msrctl,
    swarm_state,
)

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.requests import CommonRequest, InstallRequest
    from msrctl.secret import Secret
    from msrctl.workflows.reporter import Reporter

LEAVES = "The engine leaves the single-node swarm again: msrctl had made it, and nothing lives there."


@signals_raise()
def install(request: InstallRequest, report: Reporter) -> InstallResult:
    """Installs a new deployment of one replica.

    Raises:
        WrongState: something is installed already, or a failed installation has left something.
        UsageFault: the TLS files cannot be used.
        PreflightFailed: a check failed; nothing was changed.
        RolledBack, Interrupted: a step failed or a signal came; nothing is left.
    """
    engine = open_engine(request.common)
    inactive = swarm_state(engine) == "inactive"
    if not inactive:
        _clear_interrupted(engine, request, report)
    if request.undo:
        if not inactive:
            with lock(engine, request.common, report):
                sweep_oneshots(engine)
        if leave_unused(engine):
            report.info(LEAVES)
        return InstallResult(Plan("nothing is left of the interrupted install"), dry_run=True)
    refuse_if_installed(engine)
    image = preflight.find_image(
        engine, request.image or f"msrctl/msr:{__version__}", default_version=__version__
    )
    if inactive and not request.dry_run:
        init_swarm(engine, request.advertise_addr)
        report.info(swarm_words(engine))
    try:
        return _install(engine, request, report, image, made_swarm=inactive)
    except BaseException:
        # Also one that was made by a run that was killed, of which nothing else is left.
        with signals_wait(), contextlib.suppress(MsrctlError):
            if not request.dry_run and leave_unused(engine):
                report.info(LEAVES)
        raise


def _clear_interrupted(engine: DockerEngine, request: InstallRequest, report: Reporter) -> None:
    """Takes away what an install that was killed has left; a dry run only tells that there is something."""
    if not request.dry_run:
        recover.undo_interrupted_install(engine, request.common, report)
        return
    found = recover.interrupted(engine)
    if found and found[0].header.operation == "install":
        raise WrongState(
            found[1],
            code="INTERRUPTED",
            state="Nothing was changed.",
            hint="An install without --dry-run takes away what is left of it first; --undo does only that.",
        )


def _install(
    engine: DockerEngine,
    request: InstallRequest,
    report: Reporter,
    image: preflight.Image,
    *,
    made_swarm: bool,
) -> InstallResult:
    # A dry run makes no swarm, so there is none to ask or to check on.
    nothing_there = made_swarm and request.dry_run
    if nothing_there:
        node = Node("(new)", str(engine.info()["Name"]), "127.0.0.1", is_endpoint=True)
    else:
        node = choose_node(engine, request.node)
    material = making.Material(names.new_id(), __version__)
    store = storage.asked(Storage(), request.settings, material)
    if nothing_there:
        registry = registry_image.by_name(request.registry_image, store)
    else:
        registry = registry_image.find(engine, request.registry_image, node, store)
    cluster, generated, warnings = _document(
        request,
        image,
        node,
        material,
        registry=registry,
        store=store,
        swarm_is_ours=made_swarm or made_by_msrctl(engine),
    )
    warnings += option_warnings(store)
    if not nothing_there:
        cluster = storage.prepare_install(engine, report, cluster, material, adopt=request.adopt_storage)
    wanted = desired(cluster)
    observed = Observed() if nothing_there else observe(engine, cluster.id, wanted)
    replica = cluster.replicas[0]
    steps = plan(
        f"install replica {replica.id} on {node.name}", wanted, observed, material.words, "generation 1"
    )
    steps = Plan(steps.title, (*steps, *storage.marking_steps(cluster)))
    if made_swarm:
        first = Step("create", "swarm", node.name, "single node", "the engine is in no swarm")
        steps_shown = Plan(steps.title, (first, *steps))
    else:
        steps_shown = steps
    for warning in warnings:
        report.warn(warning)
    report.plan(steps_shown)
    if not nothing_there:
        check_node(engine, request.common, report, image, node, cluster)
    if request.dry_run:
        return InstallResult(steps_shown, dry_run=True, node=node.name, url=cluster.url(), warnings=warnings)
    with lock(engine, request.common, report) as held:
        refuse_if_installed(engine)  # somebody may have been faster
        apply(
            engine,
            report,
            held,
            request.common,
            Transition(
                operation="install",
                cluster=cluster,
                plan=steps,
                observed=observed,
                secrets=material.secrets,
                probe=probe.prober(engine, cluster, _auth(request, generated)),
                actions={("write", "marker"): lambda _: storage.mark(engine, cluster)},
            ),
        )
    return InstallResult(
        steps_shown,
        replica_id=replica.id,
        cluster_id=cluster.id,
        node=node.name,
        url=cluster.url(),
        admin=cluster.accounts.admin,
        password=generated,
        ca=cluster.tls.ca if cluster.tls.source == "generated" else None,
        warnings=warnings,
    )


def _document(
    request: InstallRequest,
    image: preflight.Image,
    node: Node,
    material: making.Material,
    *,
    registry: registry_image.RegistryImage,
    store: Storage,
    swarm_is_ours: bool,
) -> tuple[Cluster, Secret | None, tuple[str, ...]]:
    """The first cluster document, a password if one was generated, and warnings."""
    asked = request.settings
    replica = Replica(
        id=request.replica_id or names.new_id(),
        node_id=node.id,
        node_name=node.name,
        image=image.id,
        image_reference=image.reference,
        version=image.version,
        http_port=asked.http_port or 80,
        https_port=asked.https_port or 443,
        registry_image=registry.id,
        registry_version=registry.version,
    )
    settings = Settings(
        external_url=asked.external_url or None,
        log_level=asked.log_level or "info",
        log_protocol=asked.log_protocol or "internal",
        log_host=asked.log_host or None,
        http_proxy=asked.http_proxy or None,
        https_proxy=asked.https_proxy or None,
        no_proxy=asked.no_proxy or None,
        enable_pprof=bool(asked.enable_pprof),
        enable_client_cert_auth=bool(asked.enable_client_cert_auth),
        client_cert_auth_ca=asked.client_cert_auth_ca or None,
        custom_ca_cert_bundle=asked.custom_ca_cert_bundle or None,
        overlay_subnet=request.overlay_subnet,
    )
    hosts = certificates.hosts(settings.external_url, node)
    warnings: tuple[str, ...] = ()
    if asked.certificate:
        tls, warnings = making.provided_tls(material, asked, hosts[0] if settings.external_url else None)
    else:
        tls = making.generated_tls(material, hosts)
    accounts, generated = making.new_accounts(material, request.admin_username, request.admin_password)
    cluster = Cluster(
        id=material.cluster_id,
        generation=1,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        tls=tls,
        accounts=accounts,
        http_secret=making.new_http_secret(material),
        replicas=(replica,),
        settings=settings,
        storage=store,
        swarm_initialised=swarm_is_ours,
    )
    return cluster, generated, warnings


def check_node(
    engine: DockerEngine,
    common: CommonRequest,
    report: Reporter,
    image: preflight.Image,
    node: Node,
    cluster: Cluster,
) -> None:
    """Ports and volume of the first replica, as its node sees them.

    Raises:
        PreflightFailed: a check failed.
    """
    replica = cluster.replicas[0]
    with report.step("preflight") as progress:
        sweep_oneshots(engine)
        checks = preflight.check_node(
            engine,
            node=node,
            image=image,
            ports=(replica.http_port, replica.https_port),
            # Every other store was tried before.
            store=backend(cluster.storage) if cluster.storage.kind == "volume" else None,
            replica=replica.id,
            timeout=min(60.0, common.max_wait),
        )
        progress.detail(f"{len(preflight.require(checks))} checks on {node.name}")


def _auth(request: InstallRequest, generated: Secret | None) -> tuple[str, Secret]:
    password = request.admin_password or generated
    assert password is not None
    return request.admin_username, password


def refuse_if_installed(engine: DockerEngine) -> None:
    """Raises WrongState if something is installed (ALREADY-INSTALLED), or left of it (LEFTOVERS)."""
    if swarm_state(engine) == "inactive":
        return
    found = read_deployment(engine)
    if found:
        replicas = ", ".join(f"{r.id} on {r.node_name}" for r in found.cluster.replicas)
        raise WrongState(
            f"a deployment is installed in this swarm: replica {replicas}, {found.cluster.url()}",
            code="ALREADY-INSTALLED",
            state="Nothing was changed; it goes on serving.",
            hint="msrctl status shows it, reconfigure changes it, destroy takes it away.",
        )
    leftovers = clusters(engine)
    if leftovers:
        lines = tuple(f"{what} (cluster {c})" for c, objects in leftovers.items() for what in objects)
        raise WrongState(
            "something is left of a deployment whose cluster document is gone",
            code="LEFTOVERS",
            state="Nothing was changed.",
            hint="msrctl destroy takes away what is listed (image volumes are kept); then run this again.",
            details=lines,
        )


def swarm_words(engine: DockerEngine) -> str:
    """That a swarm was made, for the operator."""
    address = engine.info()["Swarm"].get("NodeAddr", "")
    return f"The engine was in no swarm: a single-node swarm was initialised ({address})."
