"""Replicas whose nodes do not answer: a change names them at once, and passes over them only when told to.

What is wanted is written down for all. A node that returns serves as it did; `status` says that it is behind,
and the next reconfigure brings it on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msrctl.errors import Unreachable
from msrctl.model import names
from msrctl.plan.step import Plan
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.swarm import takes_work

if TYPE_CHECKING:
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.plan.step import Step
    from msrctl.workflows.apply import Transition


@dataclass(frozen=True)
class Away:
    """A replica that cannot be changed now, and why, in words."""

    replica: Replica
    why: str

    def __str__(self) -> str:
        return f"replica {self.replica.id} on {self.replica.node_name}: {self.why}"


def away(engine: Engine, cluster: Cluster) -> tuple[Away, ...]:
    """Replicas whose nodes do not answer, or take no work.

    Arguments:
        engine: a manager.
        cluster: the document.
    """
    listed = {node["ID"]: node for node in engine.nodes()}
    found = []
    for replica in cluster.replicas:
        node = listed.get(replica.node_id)
        if node is None:
            found.append(Away(replica, "its node is not in the swarm"))
        elif not takes_work(node):
            state, availability = node["Status"]["State"], node["Spec"].get("Availability", "active")
            found.append(
                Away(replica, f"its node is {state if state != 'ready' else f'set to {availability}'}")
            )
    return tuple(found)


def reachable(engine: Engine, cluster: Cluster) -> Replica:
    """The first replica whose node takes work, for what any of them can do; else simply the first."""
    gone = {one.replica.id for one in away(engine, cluster)}
    return next((r for r in cluster.replicas if r.id not in gone), cluster.replicas[0])


def refuse_switch(engine: Engine, cluster: Cluster, *, skip: bool) -> None:
    """Another store, or another way to mount it, is for all replicas or for none.

    Arguments:
        engine: a manager.
        cluster: the document in force.
        skip: whether --skip-unreachable was given.

    Raises:
        Unreachable: NODE-DOWN.
    """
    if gone := away(engine, cluster):
        why = "--skip-unreachable is not for a change of the storage: a" if skip else "A"
        raise _node_down(
            gone,
            f"{why} node that returned with the old store would take pushes into it. Bring it back "
            f"(docker node ls), or drop it for good: {_drop(gone)}",
        )


def passed_over(
    engine: Engine, change: Transition, *, skip: bool
) -> tuple[Transition, tuple[Replica, ...], tuple[str, ...]]:
    """The change without the steps at replicas that are away, those replicas, and warnings about them.

    Arguments:
        engine: a manager.
        change: as planned for all.
        skip: whether --skip-unreachable was given.

    Raises:
        Unreachable: NODE-DOWN: the change is for a replica that is away, and `skip` is not set; or all are.
    """
    gone = tuple(one for one in away(engine, change.cluster) if _concerned(change.plan, one.replica))
    require(gone, change.cluster, skip=skip)
    if not gone:
        return change, (), ()
    left_out = {service for one in gone for service in names.services(one.replica.id)}
    left_out |= {one.replica.id for one in gone}
    steps = tuple(step for step in change.plan if step.name not in left_out)
    warnings = tuple(
        f"{one}; it is passed over, and behind until it has returned and msrctl reconfigure is run"
        for one in gone
    )
    skipped = tuple(one.replica for one in gone)
    return replace(change, plan=Plan(change.plan.title, steps)), skipped, warnings


def require(gone: tuple[Away, ...], cluster: Cluster, *, skip: bool) -> None:
    """Whether a change may go on without the replicas that are away.

    Arguments:
        gone: those replicas.
        cluster: the document.
        skip: whether --skip-unreachable was given.

    Raises:
        Unreachable: NODE-DOWN.
    """
    if len(gone) == len(cluster.replicas):
        raise _node_down(gone, "No replica's node answers: bring one back (docker node ls).")
    if gone and not skip:
        raise _node_down(
            gone,
            "Bring it back (docker node ls); or change the others now with --skip-unreachable, and run "
            f"msrctl reconfigure when it has returned; or drop it for good: {_drop(gone)}",
        )


def _concerned(plan: Plan, replica: Replica) -> bool:
    return any(_is_at(step, replica) for step in plan)


def _is_at(step: Step, replica: Replica) -> bool:
    return step.name in names.services(replica.id) or (step.kind == "health" and step.name == replica.id)


def _node_down(gone: tuple[Away, ...], hint: str) -> Unreachable:
    words = "not every replica can be changed: " + "; ".join(map(str, gone))
    return Unreachable(words, code="NODE-DOWN", state=NOTHING, hint=hint)


def _drop(gone: tuple[Away, ...]) -> str:
    return f"msrctl remove --force --replica-ids {','.join(one.replica.id for one in gone)}"
