"""The plan of a switch of the storage: what is done before, while and after pushes are held. Pure.

The order is what keeps every tag and every pull: the new store is filled and proven by a registry of its own
beside the old one; then pushes are held, the rest is copied and both stores are compared; then the proxies
turn to the new registry, and pushes go on. From there on only forward loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msrctl.model import names
from msrctl.plan.desired import next_registry
from msrctl.plan.planner import plan, unchecked, words
from msrctl.plan.step import Plan, Step
from msrctl.storage import backend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.model.cluster import Cluster, Replica
    from msrctl.plan.desired import Desired
    from msrctl.plan.planner import Observed

JSON = dict[str, Any]


class Policy(StrEnum):
    """What becomes of the tags (design: the policy table of a switch)."""

    EXACT = "exact"
    """Tags are kept: the new store must be an exact copy already."""
    COPY = "copy"
    """Tags are kept: what is missing is copied."""
    MIGRATED = "migrated"
    """The operator says that the data were moved."""
    EMPTY = "empty"
    """Start empty: tags are erased in the new store, and only there."""


@dataclass(frozen=True)
class Switch:
    """What a plan of a switch is made from.

    Arguments:
        before: the document in force.
        after: the document that is wanted.
        policy: what becomes of the tags.
        gates: undo record that clears names at a replica's gate: (replica, name) to the record.
        served: whether the new store serves already (a run is finished whose pushes have gone on).
    """

    before: Cluster
    after: Cluster
    policy: Policy
    gates: Mapping[tuple[str, str], JSON]
    served: bool = False

    @property
    def first(self) -> Replica:
        """The replica on whose node stores are worked on."""
        return self.after.replicas[0]

    @property
    def old_words(self) -> str:
        """The old store, for people."""
        return backend(self.before.storage).words(self.first.id)

    @property
    def new_words(self) -> str:
        """The new store, for people."""
        return backend(self.after.storage).words(self.first.id)


def policy_line(switch: Switch) -> str:
    """What the switch means for the tags, in one line, before anything happens."""
    old, new = switch.old_words, switch.new_words
    return {
        Policy.EXACT: f"Tags are kept: {new} must hold an exact copy of {old}; that is checked first.",
        Policy.COPY: f"Tags are kept: everything in {old} is copied to {new}.",
        Policy.MIGRATED: f"Tags are kept as {new} has them; differences to {old} are only reported.",
        Policy.EMPTY: f"Start empty: all tags in {new} are ERASED; {old} keeps its own.",
    }[switch.policy]


def switch_plan(
    title: str,
    wanted: Desired,
    observed: Observed,
    new_secrets: Mapping[str, str],
    document: str,
    switch: Switch,
) -> Plan:
    """The steps of a switch, with those of every other change in the same document.

    Arguments:
        title: what the plan is for.
        wanted: from `desired`, for the document that is wanted.
        observed: what the swarm holds.
        new_secrets: as for `planner.plan`.
        document: why the document is written.
        switch: what is switched.
    """
    ordinary = plan(title, wanted, observed, new_secrets, document)
    written = [s for s in ordinary if s.kind == "document"]
    services = [s for s in ordinary if s.kind in {"service", "health"}]
    before = [s for s in ordinary if s.kind in {"network", "secret", "config"}]
    registries = {names.service("registry", r.id) for r in switch.after.replicas}
    own = [s for s in services if s.name in registries]
    # Updated by a run that was killed, perhaps not replaced yet: until then it has the store before, and a
    # proxy that went back to it would lose what was pushed since (seen).
    own += [s for s in unchecked(wanted, services) if s.name in registries]
    others = [s for s in services if s.name not in registries]
    steps = [*before]
    if not switch.served:
        steps += [*_fill(switch), *_stand_in(switch, observed), *_turn(switch, written)]
    steps.append(_open())
    steps += [*own, *_leave(switch, observed), *others]
    return Plan(title, tuple(steps))


def _fill(switch: Switch) -> list[Step]:
    """Steps on the new store while everything goes on."""
    if switch.policy is Policy.COPY:
        return [Step("copy", "store", switch.new_words, f"from {switch.old_words}", "pulls and pushes go on")]
    if switch.policy is Policy.EMPTY:
        return [Step("remove", "tags", switch.new_words, "all tags there", "--reinitialize-storage")]
    return []


def _stand_in(switch: Switch, observed: Observed) -> list[Step]:
    """A registry on the new store beside each replica's own, proven before anybody is sent to it.

    Nobody is served by them yet, so they start all at once.
    """
    steps, checks = [], []
    for replica in switch.after.replicas:
        name, spec = next_registry(switch.after, replica)
        if name not in observed.services:
            steps.append(Step("create", "service", name, words(spec) or switch.new_words, "to try it", spec))
        else:
            steps.append(Step("update", "service", name, words(spec) or switch.new_words, "to try it", spec))
        checks.append(Step("check", "service", name, "an upload opens", "the proxies will turn to it"))
    return [*steps, *checks]


def _turn(switch: Switch, written: list[Step]) -> list[Step]:
    """From held pushes to the new store serving. Undone as a whole, or not at all."""
    replicas = switch.after.replicas
    steps = [
        Step(
            "close",
            "gate",
            "pushes",
            "answered with 503 for a moment",
            "nothing may change while the stores are compared",
            undo=tuple(switch.gates[r.id, "frozen"] for r in replicas),
        ),
        Step("check", "store", switch.new_words, *_verified(switch.policy)),
        *written,
    ]
    steps += [
        Step(
            "switch",
            "proxy",
            names.next_registry(r.id),
            f"serves {switch.new_words}",
            "clients get the new store",
            undo=(switch.gates[r.id, "next"],),
        )
        for r in replicas
    ]
    return steps


def _open() -> Step:
    """Pushes go on. It is written down before it acts, so a run that is finished opens the gate once more."""
    return Step(
        "open",
        "gate",
        "pushes",
        "they go to the new store",
        "from here on only forward loses nothing",
        undo=({"op": "commit", "name": "pushes go to the new store"},),
    )


def _verified(policy: Policy) -> tuple[str, str]:
    return {
        Policy.EXACT: ("an exact copy", "no tag may be lost"),
        Policy.COPY: ("copy the rest, an exact copy", "no tag may be lost"),
        Policy.MIGRATED: ("marked as this cluster's", "as --storage-migrated says"),
        Policy.EMPTY: ("marked as this cluster's", "it starts empty"),
    }[policy]


def _leave(switch: Switch, observed: Observed) -> list[Step]:
    """Back from the registries that stood in to the replicas' own, which have the new store by now."""
    steps = [
        Step("switch", "proxy", names.service("registry", r.id), "", "it has the new store by now")
        for r in switch.after.replicas
    ]
    for replica in switch.after.replicas:
        name = names.next_registry(replica.id)
        if not switch.served or name in observed.services:
            steps.append(Step("remove", "service", name, "", "nobody is sent to it any more"))
    return steps
