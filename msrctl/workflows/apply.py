"""Applies a change of the cluster document: journal, plan, then what nobody needs any more goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.process import this_process
from msrctl.engine.protocol import ApiError
from msrctl.engine.state import StateStore, document_name
from msrctl.errors import MsrctlError, Partial, words
from msrctl.model import names
from msrctl.plan.desired import desired
from msrctl.workflows.execute import Execution
from msrctl.workflows.mounts import sweep_mounts
from msrctl.workflows.signals import signals_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from msrctl.engine.docker import DockerEngine
    from msrctl.engine.lock import Lock
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import CommonRequest
    from msrctl.plan.planner import Observed
    from msrctl.plan.step import Plan, Step
    from msrctl.secret import Secret
    from msrctl.workflows.reporter import Reporter


@dataclass(frozen=True)
class Transition:
    """One change of a deployment, from what is observed to a document, ready to be carried out.

    Arguments:
        operation: install or reconfigure.
        cluster: the document that is wanted.
        plan: the steps.
        observed: what the plan was made from.
        secrets: material of new secrets by name, with their labels.
        probe: checks a service after it runs.
        before: name of the document that was in force, if any.
    """

    operation: str
    cluster: Cluster
    plan: Plan
    observed: Observed
    secrets: Mapping[str, tuple[Secret, dict[str, str]]]
    probe: Callable[[str], str]
    before: str | None = None
    journal: Journal | None = None
    """The journal of an interrupted change that is being finished; None: begin one."""
    actions: Mapping[tuple[str, str], Callable[[Step], None]] = field(default_factory=dict)
    """What to do for steps of kinds that only this workflow has, by action and kind."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What a resumed run needs to know; kept in the journal."""


def apply(
    engine: DockerEngine, report: Reporter, held: Lock, common: CommonRequest, change: Transition
) -> None:
    """Carries the change out and cleans up behind it.

    Raises:
        RolledBack, Interrupted: nothing has changed.
        Partial: it is done and serves, but its journal could not be taken away.
    """
    store = StateStore(engine)
    document = change.cluster.to_json()
    name = document_name(document, change.cluster.generation)
    journal = change.journal or _begin(engine, common, change, name)
    execution = Execution(
        engine,
        report,
        journal,
        change.observed,
        secrets=change.secrets,
        write_document=lambda: (
            store.write(document, change.cluster.generation, cluster=change.cluster.id).name
        ),
        document_name=name,
        probe=change.probe,
        # In the middle of an upgrade they differ, and a node has only its own for certain.
        images={r.node_id: r.image for r in change.cluster.replicas},
        max_wait=common.max_wait,
        lock=held,
        actions=change.actions,
        fresh=change.operation in {"install", "join"},
    )
    execution.run(change.plan)
    # From here on the change is done, whatever happens: no signal and no error makes it undone.
    with signals_wait():
        _finish(engine, report, journal, change.cluster)


def _finish(engine: DockerEngine, report: Reporter, journal: Journal, cluster: Cluster) -> None:
    try:
        journal.close()
    except MsrctlError as error:
        raise Partial(
            f"the journal could not be taken away: {error}",
            code="JOURNAL-LEFT",
            state=f"Everything else is done, and {cluster.url()} serves.",
            hint=f"docker config rm {names.JOURNAL}; until then msrctl takes this run for one that was "
            "interrupted, and msrctl install would take it back.",
            details=error.details,
        ) from error
    sweep_or_warn(engine, report, cluster)


def sweep_or_warn(engine: DockerEngine, report: Reporter, cluster: Cluster) -> None:
    """Sweeps; what is done does not fail because of what is left over.

    Arguments:
        engine: a manager.
        report: told what went wrong.
        cluster: the document in force.
    """
    try:
        sweep(engine, cluster)
    except Exception as error:  # noqa: BLE001 - see above
        report.warn(f"It is done, but what nobody needs any more was not all removed: {words(error)}")


def _begin(engine: DockerEngine, common: CommonRequest, change: Transition, document: str) -> Journal:
    header = JournalHeader(
        operation=change.operation,
        command=common.command_line,
        holder=this_process().who,
        cluster=change.cluster.id,
        before=change.before,
        after=document,
        steps=tuple(step.title for step in change.plan),
        extra=dict(change.extra),
    )
    return Journal.create(engine, header)


def sweep(engine: DockerEngine, cluster: Cluster) -> None:
    """Removes configs, secrets and old documents of the cluster that nothing uses any more.

    What is still used by a task that drains stays; the next change takes it.
    """
    wanted = desired(cluster)
    StateStore(engine).prune(keep=2)
    StateStore(engine).sweep_secrets(cluster.id, keep=wanted.secrets)
    for found in engine.list("configs", {names.LABEL_CLUSTER: cluster.id, names.LABEL_COMPONENT: "config"}):
        if found["Spec"]["Name"] not in wanted.configs:
            try:
                engine.remove("configs", found["ID"])
            except ApiError:
                continue
    sweep_mounts(engine, cluster)
