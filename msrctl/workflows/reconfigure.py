"""`msrctl reconfigure`: changes settings of a deployment, and only the services that need it.

It also repairs drift: what somebody changed or removed behind msrctl's back is put right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.engine.observe import observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import WrongState
from msrctl.model.results import ReconfigureResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import finishing, plan, surplus
from msrctl.plan.step import Plan
from msrctl.workflows import (
    desire,
    preflight,
    probe,
    recover,
    registry_image,
    storage,
    switches,
    unreachable,
)
from msrctl.workflows import material as making
from msrctl.workflows.apply import Transition, apply, sweep_or_warn
from msrctl.workflows.session import lock, open_engine, require_deployment
from msrctl.workflows.signals import signals_raise
from msrctl.workflows.storage import Prepared
from msrctl.workflows.storage_file import for_registry
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.model.requests import ReconfigureRequest
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.session import Deployment


@signals_raise()
def reconfigure(request: ReconfigureRequest, report: Reporter) -> ReconfigureResult:
    """Changes what was asked for, finishes or undoes an interrupted change, or repairs drift.

    Raises:
        WrongState: nothing is installed, or an earlier change was interrupted and must be finished first.
        UsageFault: the TLS files cannot be used, or settings do not fit together.
        PreflightFailed: a check failed; nothing was changed.
        Unreachable: NODE-DOWN: a replica that the change is for is away.
        RolledBack, Interrupted: a step failed or a signal came; everything is as before.
    """
    engine = open_engine(request.common)
    deployment = require_deployment(engine)
    if request.dry_run:
        recover.refuse_if_interrupted(engine)
        change, warnings = _change(engine, report, request, deployment)
        change, skipped, more = unreachable.passed_over(engine, change, skip=request.skip_unreachable)
        _preflight(engine, report, deployment.cluster, change.cluster, skipped)
        return ReconfigureResult(
            change.plan,
            dry_run=True,
            url=change.cluster.url(),
            skipped=tuple(r.id for r in skipped),
            warnings=(*warnings, *more),
        )
    with lock(engine, request.common, report) as held:
        sweep_oneshots(engine)
        if request.undo:
            return _undo(engine, report, deployment)
        if request.resume:
            change, warnings = _resumed(engine, report, request, require_deployment(engine))
        else:
            recover.refuse_if_interrupted(engine)
            change, warnings = _change(engine, report, request, require_deployment(engine))
        change, skipped, more = unreachable.passed_over(engine, change, skip=request.skip_unreachable)
        warnings += more
        for warning in warnings:
            report.warn(warning)
        report.plan(change.plan)
        if not change.plan and not change.journal:
            outcome = "nothing to do"
        else:
            _preflight(engine, report, deployment.cluster, change.cluster, skipped)
            apply(engine, report, held, request.common, change)
            outcome = "resumed" if request.resume else "done"
    return ReconfigureResult(
        change.plan,
        changed=outcome != "nothing to do",
        replicas=tuple(r.id for r in change.cluster.replicas if r not in skipped),
        skipped=tuple(r.id for r in skipped),
        url=change.cluster.url(),
        outcome=outcome,
        kept_storage=switches.kept_words(change),
        warnings=warnings,
    )


def _change(
    engine: DockerEngine, report: Reporter, request: ReconfigureRequest, deployment: Deployment
) -> tuple[Transition, tuple[str, ...]]:
    """The change from the document in force to the one that is asked for, as a plan."""
    before = deployment.cluster
    request = for_registry(request, before)
    request = _without_known_password(engine, before, request)
    material = making.Material(before.id, __version__)
    prepared = _storage(engine, report, request, before, material)
    after, why, warnings = desire.next_document(engine, before, request, material, prepared.storage)
    after = registry_image.reconfigured(engine, request.registry_image, before, after, why)
    title = f"reconfigure {before.url()}: " + (", ".join(why) if why else "nothing new is asked for")
    words = f"generation {after.generation}: {', '.join(why)}" if why else ""
    warnings += prepared.warnings
    if prepared.policy:
        after = replace(after, previous_storage=before.storage)
        change = switches.begin(
            engine, report, request, before, after, prepared.policy, material, title, words
        )
        return replace(change, before=deployment.stored.name), warnings
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    change = Transition(
        operation="reconfigure",
        cluster=after,
        plan=plan(title, wanted, observed, material.words, words),
        observed=observed,
        secrets=material.secrets,
        probe=probe.prober(engine, after),
        before=deployment.stored.name,
    )
    return change, warnings


def _storage(
    engine: DockerEngine,
    report: Reporter,
    request: ReconfigureRequest,
    before: Cluster,
    material: making.Material,
) -> Prepared:
    """The store that is asked for, tried; the one in force if none is."""
    if request.revert_storage:
        wanted = storage.previous(before)
    else:
        wanted = storage.asked(before.storage, request.settings, material)
    if wanted != before.storage:
        registry_image.require_driver(before, request.registry_image, wanted)
        unreachable.refuse_switch(engine, before, skip=request.skip_unreachable)
        # It is tried with the proxies and the CAs that the registry will have.
        settings = desire.merged(before.settings, request.settings, [])
        return storage.prepare(engine, report, replace(before, settings=settings), wanted, material, request)
    return storage.kept(before, request)


def _without_known_password(
    engine: DockerEngine, before: Cluster, request: ReconfigureRequest
) -> ReconfigureRequest:
    """The request without a password that is in force already: the environment of a pipeline always has one.

    A swarm secret cannot be read back, so the registry is asked whether it lets this user in.
    """
    name = request.admin_username or before.accounts.admin
    if request.admin_password is None or name != before.accounts.admin:
        return request
    known = nodes(engine)
    auth = (name, request.admin_password)
    for replica in before.replicas:
        if replica.node_id in known and probe.lets_in(before, replica, known[replica.node_id], auth):
            return replace(request, admin_password=None)
    return request


def _resumed(
    engine: DockerEngine, report: Reporter, request: ReconfigureRequest, deployment: Deployment
) -> tuple[Transition, tuple[str, ...]]:
    """The rest of an interrupted change: from what is observed to the document that it had written."""
    found = recover.interrupted(engine)
    if found is None or found[0].header.operation == "install":
        raise _nothing_interrupted()
    journal, sentence = found
    if switches.is_switch(journal):
        return switches.resume(engine, report, request, journal), (sentence,)
    if journal.header.after != deployment.stored.name:
        raise recover.not_resumable(sentence)
    after = deployment.cluster
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    rest = plan("finish what was interrupted", wanted, observed, {}, "")
    begun = [record for entry in journal.begun() for record in entry.undo]
    steps = (*finishing(rest, wanted, begun), *surplus(wanted, observed))
    change = Transition(
        operation="reconfigure",
        cluster=after,
        plan=Plan(rest.title, steps),
        observed=observed,
        secrets={},
        probe=probe.prober(engine, after),
        journal=journal,
    )
    return change, (sentence,)


def _undo(engine: DockerEngine, report: Reporter, deployment: Deployment) -> ReconfigureResult:
    found = recover.interrupted(engine)
    if found is None or found[0].header.operation == "install":
        raise _nothing_interrupted()
    report.info(found[1])
    with report.step("undo", "going back to what ran before"):
        recover.undo_journal(engine, found[0], report)
    before = require_deployment(engine).cluster
    # What a killed run made for itself stands in no journal: descriptions of stores, trial secrets.
    sweep_or_warn(engine, report, before)
    return ReconfigureResult(
        Plan("undo what was interrupted"),
        changed=before.generation != deployment.cluster.generation,
        replicas=tuple(r.id for r in before.replicas),
        url=before.url(),
        outcome="undone",
    )


def _preflight(
    engine: DockerEngine, report: Reporter, before: Cluster, after: Cluster, skipped: tuple[Replica, ...]
) -> None:
    """Host ports that a replica does not hold yet must be free on its node."""
    checks: list[preflight.Check] = []
    known = nodes(engine)
    for replica in after.replicas:
        old = before.replica(replica.id)
        held = {old.http_port, old.https_port} if old else set()
        ports = [p for p in (replica.http_port, replica.https_port) if p not in held]
        if ports and replica not in skipped:
            image = preflight.image_of(replica)
            checks += preflight.check_node(engine, node=known[replica.node_id], image=image, ports=ports)
    if checks:
        with report.step("preflight") as progress:
            progress.detail(f"{len(preflight.require(checks))} checks")


def _nothing_interrupted() -> WrongState:
    return WrongState(
        "no reconfigure was interrupted",
        code="NOT-INTERRUPTED",
        state="Nothing was changed.",
        hint="msrctl status shows what state things are in.",
    )
