"""`msrctl upgrade`: moves every replica to another version of the image, one after another."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.engine.observe import observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import WrongState
from msrctl.model.results import UpgradeResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan
from msrctl.workflows import preflight, probe, recover, unreachable
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.session import lock, open_engine, require_deployment, require_replica
from msrctl.workflows.signals import signals_raise
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Replica
    from msrctl.model.requests import UpgradeRequest
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.session import Deployment


@signals_raise()
def upgrade(request: UpgradeRequest, report: Reporter) -> UpgradeResult:
    """Moves the cluster to another image, replica by replica; the first one is a barrier.

    Raises:
        PreflightFailed: the image is not on every node.
        Unreachable: NODE-DOWN: a replica's node does not answer.
        WrongState: the way from one version to the other is not safe (UPGRADE-JUMP).
        RolledBack, Interrupted: the first replica failed or a signal came; everything is as before.
        Partial: a later replica failed and was taken back; those before it stay upgraded.
    """
    engine = open_engine(request.common)
    if request.dry_run:
        change, before = _change(engine, request, report, require_deployment(engine))
        change, skipped, warnings = unreachable.passed_over(engine, change, skip=request.skip_unreachable)
        return _result(change, before, skipped, warnings, dry_run=True)
    with lock(engine, request.common, report) as held:
        sweep_oneshots(engine)
        recover.refuse_if_interrupted(engine)
        change, before = _change(engine, request, report, require_deployment(engine))
        change, skipped, warnings = unreachable.passed_over(engine, change, skip=request.skip_unreachable)
        for warning in warnings:
            report.warn(warning)
        report.plan(change.plan)
        if change.plan:
            apply(engine, report, held, request.common, change)
    return _result(change, before, skipped, warnings)


def _change(
    engine: DockerEngine, request: UpgradeRequest, report: Reporter, deployment: Deployment
) -> tuple[Transition, str]:
    before = deployment.cluster
    if request.existing_replica_id:
        require_replica(before, request.existing_replica_id)
    reference = request.image or f"msrctl/msr:{__version__}"
    image = preflight.find_image(engine, reference, default_version=__version__)
    for version in sorted({r.version for r in before.replicas}):
        refuse_unsafe_jump(version, image.version)
    gone = unreachable.away(engine, before)
    unreachable.require(gone, before, skip=request.skip_unreachable)
    _require_everywhere(engine, report, deployment, image, {one.replica.id for one in gone})
    replicas = tuple(
        replace(r, image=image.id, image_reference=image.reference, version=image.version)
        for r in before.replicas
    )
    after = before
    if replicas != before.replicas:
        after = before.next_generation(replicas=replicas, version=image.version)
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    title = f"upgrade {before.url()} from {before.version} to {image.version}"
    words = f"generation {after.generation}: version {image.version}" if after is not before else ""
    change = Transition(
        operation="upgrade",
        cluster=after,
        plan=plan(title, wanted, observed, {}, words),
        observed=observed,
        secrets={},
        probe=probe.prober(engine, after),
        before=deployment.stored.name,
    )
    return change, before.version


def refuse_unsafe_jump(before: str, after: str) -> None:
    """Patch versions may be skipped, minor versions not, and there is no way down.

    Arguments:
        before: the version that runs.
        after: the version that is wanted.

    Raises:
        WrongState: UPGRADE-JUMP.
    """
    have, want = _parts(before), _parts(after)
    if have is None or want is None or have == want:
        return
    if want < have:
        why, hint = f"{after} is older", "Restore a backup that was made with that version instead."
    elif want[0] != have[0] or want[1] > have[1] + 1:
        why = f"{after} is more than one minor version on"
        hint = "Go through each minor version between them, one after another."
    else:
        return
    raise WrongState(
        f"{before} cannot be upgraded to {after}: {why}", code="UPGRADE-JUMP", state=NOTHING, hint=hint
    )


def _parts(version: str) -> tuple[int, int, int] | None:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _require_everywhere(
    engine: DockerEngine, report: Reporter, deployment: Deployment, image: preflight.Image, gone: set[str]
) -> None:
    """The image must be on every replica's node that answers, and run there."""
    known = nodes(engine)
    here = [r for r in deployment.cluster.replicas if r.id not in gone]
    with report.step("image", image.reference) as progress:
        for replica in here:
            preflight.require(preflight.check_node(engine, node=known[replica.node_id], image=image))
        progress.detail(f"{image.reference} is on {len(here)} nodes")


def _result(
    change: Transition,
    before: str,
    skipped: tuple[Replica, ...],
    warnings: tuple[str, ...],
    *,
    dry_run: bool = False,
) -> UpgradeResult:
    return UpgradeResult(
        change.plan,
        dry_run=dry_run,
        changed=bool(change.plan) and not dry_run,
        version=change.cluster.version,
        before=before,
        replicas=tuple(r.id for r in change.cluster.replicas if r not in skipped),
        skipped=tuple(r.id for r in skipped),
        warnings=warnings,
    )
