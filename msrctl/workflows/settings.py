"""`msrctl settings`: what changes at once, without replacing a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine.observe import observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.model.results import SettingsResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan
from msrctl.plan.step import Plan, Step
from msrctl.workflows import gates, probe, recover
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.session import lock, open_engine, require_deployment
from msrctl.workflows.signals import signals_raise

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import SettingsChangeRequest
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.session import Deployment


@signals_raise()
def change_settings(request: SettingsChangeRequest, report: Reporter) -> SettingsResult:
    """Refuses pushes at every replica, or takes them again.

    The gates are set even if the document says that they are already: the volume of one may be new.

    Raises:
        WrongState: nothing is installed, or an earlier change was interrupted.
        RolledBack, Interrupted: a node did not do it; everything is as before.
    """
    engine = open_engine(request.common)
    if request.dry_run:
        change = _change(engine, request, require_deployment(engine))
        return SettingsResult(change.plan, dry_run=True, read_only=request.read_only)
    with lock(engine, request.common, report) as held:
        sweep_oneshots(engine)
        recover.refuse_if_interrupted(engine)
        before = require_deployment(engine)
        change = _change(engine, request, before)
        report.plan(change.plan)
        apply(engine, report, held, request.common, change)
    changed = before.cluster.read_only != request.read_only
    return SettingsResult(change.plan, changed=changed, read_only=request.read_only)


def _change(engine: DockerEngine, request: SettingsChangeRequest, deployment: Deployment) -> Transition:
    before = deployment.cluster
    after = before
    if before.read_only != request.read_only:
        after = before.next_generation(read_only=request.read_only)
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    title = "refuse pushes" if request.read_only else "take pushes again"
    words = f"generation {after.generation}: {title}" if after is not before else ""
    rest = plan(title, wanted, observed, {}, words)
    documents = [step for step in rest if step.kind == "document"]
    return Transition(
        operation="reconfigure",
        cluster=after,
        plan=Plan(title, (_gate_step(before, read_only=request.read_only), *documents)),
        observed=observed,
        secrets={},
        probe=probe.prober(engine, after),
        before=deployment.stored.name,
        actions={
            ("close", "gate"): lambda _: gates.set_gates(engine, after, set=[gates.READ_ONLY]),
            ("open", "gate"): lambda _: gates.set_gates(engine, after, clear=[gates.READ_ONLY]),
        },
    )


def _gate_step(before: Cluster, *, read_only: bool) -> Step:
    back = {"set": [gates.READ_ONLY]} if before.read_only else {"clear": [gates.READ_ONLY]}
    return Step(
        "close" if read_only else "open",
        "gate",
        "pushes",
        "answered with 405" if read_only else "they are taken",
        "--read-only on" if read_only else "--read-only off",
        undo=tuple(gates.undo_of(before, replica, **back) for replica in before.replicas),
    )
