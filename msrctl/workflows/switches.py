"""A switch of the storage as a transition: begun, or gone on with where an earlier run was cut short."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msrctl.engine.observe import observe
from msrctl.engine.state import StateStore
from msrctl.engine.undo import committed
from msrctl.errors import WrongState
from msrctl.model.cluster import Cluster
from msrctl.plan.desired import desired
from msrctl.plan.planner import finishing
from msrctl.plan.switch import Policy, Switch, switch_plan
from msrctl.storage import backend
from msrctl.workflows import gates, probe, recover
from msrctl.workflows.apply import Transition
from msrctl.workflows.session import describe_interrupted
from msrctl.workflows.switch import Switching

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.engine.journal import Journal
    from msrctl.model.requests import ReconfigureRequest
    from msrctl.plan.planner import Observed
    from msrctl.plan.step import Plan
    from msrctl.workflows.material import Material
    from msrctl.workflows.reporter import Reporter

POLICY, DOCUMENT = "switch", "document"
"""What the journal of a switch keeps beside its steps: the policy, and the document that is wanted."""


def begin(
    engine: DockerEngine,
    report: Reporter,
    request: ReconfigureRequest,
    before: Cluster,
    after: Cluster,
    policy: Policy,
    material: Material,
    title: str,
    words: str,
) -> Transition:
    """A switch from one document to the next, planned but not begun.

    Arguments:
        engine: a manager.
        report: where progress goes.
        request: its options for how to go about it.
        before: the document in force.
        after: the document that is wanted.
        policy: what becomes of the tags.
        material: secrets that the plan creates.
        title: of the plan.
        words: why the document is written.
    """
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    switch = _switch(before, after, policy)
    plan = switch_plan(title, wanted, observed, material.words, words, switch)
    switching = _switching(engine, report, request, switch)
    return _transition(engine, switching, plan, observed, material)


def kept_words(change: Transition) -> str | None:
    """The store before, for people, if a change was a switch."""
    before = change.cluster.previous_storage
    if before is None or POLICY not in change.extra:
        return None
    return backend(before).words(change.cluster.replicas[0].id)


def is_switch(journal: Journal) -> bool:
    """Whether an interrupted operation was a switch of the storage."""
    return POLICY in journal.header.extra


def resume(
    engine: DockerEngine, report: Reporter, request: ReconfigureRequest, journal: Journal
) -> Transition:
    """The rest of an interrupted switch. Its steps may all be done again, so they are, up to the thaw.

    Arguments:
        engine: a manager.
        report: where progress goes.
        request: its options for how to go about it.
        journal: that of the interrupted run.

    Raises:
        WrongState: the secrets that it needs were not made yet (NOT-RESUMABLE), or the document before is
            gone (STATE-DAMAGED).
    """
    header = journal.header
    after = Cluster.from_json(header.extra[DOCUMENT])
    stored = StateStore(engine).get(header.before or "")
    if stored is None:
        raise WrongState(
            f"the document that was in force before ({header.before}) is gone",
            code="STATE-DAMAGED",
            hint="msrctl status shows what runs; msrctl reconfigure --undo takes back what was begun.",
        )
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    begun = journal.begun()
    if not set(wanted.secrets) <= set(observed.secrets):
        raise recover.not_resumable(describe_interrupted(journal, begun[0].step if begun else 0))
    switch = _switch(
        Cluster.from_json(stored.document), after, Policy(header.extra[POLICY]), served=committed(begun)
    )
    words = f"generation {after.generation}" if not switch.served else ""
    rest = switch_plan("finish what was interrupted", wanted, observed, {}, words, switch)
    records = [record for entry in begun for record in entry.undo]
    plan = finishing(rest, wanted, records)
    change = _transition(engine, _switching(engine, report, request, switch), plan, observed, None)
    return replace(change, journal=journal)


def _switch(before: Cluster, after: Cluster, policy: Policy, *, served: bool = False) -> Switch:
    undo = {
        (replica.id, name): gates.undo_of(after, replica, clear=[name])
        for replica in after.replicas
        for name in (gates.FROZEN, gates.NEXT)
    }
    return Switch(before, after, policy, undo, served)


def _switching(
    engine: DockerEngine, report: Reporter, request: ReconfigureRequest, switch: Switch
) -> Switching:
    return Switching(
        engine,
        report,
        switch,
        verify_digests=request.verify_digests,
        max_wait=request.common.max_wait,
    )


def _transition(
    engine: DockerEngine,
    switching: Switching,
    plan: Plan,
    observed: Observed,
    material: Material | None,
) -> Transition:
    switch = switching.switch
    return Transition(
        operation="reconfigure",
        cluster=switch.after,
        plan=plan,
        observed=observed,
        secrets=material.secrets if material else {},
        probe=switching.probe(probe.prober(engine, switch.after)),
        actions=switching.actions,
        extra={POLICY: switch.policy.value, DOCUMENT: switch.after.to_json()},
    )
