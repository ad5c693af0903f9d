"""`msrctl storage finalize`: forgets the store that the last switch left. Its data are not touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine.observe import observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import MsrctlError
from msrctl.model.results import FinalizeResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan
from msrctl.plan.step import Plan, Step
from msrctl.storage import backend
from msrctl.workflows import probe, recover
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.session import lock, open_engine, require_deployment, require_yes
from msrctl.workflows.signals import signals_raise
from msrctl.workflows.storage import previous
from msrctl.workflows.stores import CHECK_SECONDS, Side, on_stores

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import FinalizeRequest
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.session import Deployment


@signals_raise()
def finalize(request: FinalizeRequest, report: Reporter) -> FinalizeResult:
    """Takes this cluster's marker out of the store before, and the store out of the document.

    Raises:
        WrongState: there is no such store, or an earlier change was interrupted.
        UsageFault: there is nobody to ask whether it shall be so.
    """
    engine = open_engine(request.common)
    if request.dry_run:
        change, words = _change(engine, report, require_deployment(engine))
        return FinalizeResult(change.plan, dry_run=True, forgotten=words)
    with lock(engine, request.common, report) as held:
        sweep_oneshots(engine)
        recover.refuse_if_interrupted(engine)
        change, words = _change(engine, report, require_deployment(engine))
        report.plan(change.plan)
        require_yes(report, "finalize", f"Give up the way back to {words}?", yes=request.yes)
        apply(engine, report, held, request.common, change)
    return FinalizeResult(change.plan, changed=True, forgotten=words)


def _change(engine: DockerEngine, report: Reporter, deployment: Deployment) -> tuple[Transition, str]:
    before = deployment.cluster
    old = previous(before)
    words = backend(old).words(before.replicas[0].id)
    after = before.next_generation(previous_storage=None)
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    title = f"forget {words}"
    rest = plan(title, wanted, observed, {}, f"generation {after.generation}: {words} is forgotten")
    # First: its secrets go with the document.
    unmark = Step("remove", "marker", words, "its images are left alone", "another registry may have it then")
    return Transition(
        operation="reconfigure",
        cluster=after,
        plan=Plan(title, (unmark, *rest)),
        observed=observed,
        secrets={},
        probe=probe.prober(engine, after),
        before=deployment.stored.name,
        actions={("remove", "marker"): _unmark(engine, report, before)},
    ), words


def _unmark(engine: DockerEngine, report: Reporter, before: Cluster) -> Callable[[Step], None]:
    old = previous(before)

    def act(step: Step) -> None:
        try:
            answer = on_stores(
                engine,
                before.replicas[0],
                before,
                "unmark",
                new=Side(old, writable=True),
                timeout=CHECK_SECONDS,
            )
            trouble = "" if answer.ok else str(answer.result.get("error"))
        except MsrctlError as error:
            trouble = str(error)
        if trouble:
            report.warn(f"{step.name} keeps its marker, which only says whose it was: {trouble}")

    return act
