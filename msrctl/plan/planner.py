"""Desired and observed state in, plan out. Pure, deterministic, and the only place that decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from msrctl.errors import WrongState
from msrctl.model import names
from msrctl.plan.compare import service_changes
from msrctl.plan.desired import Desired
from msrctl.plan.step import Change, Plan, Step
from msrctl.storage.backend import STORE

JSON = dict[str, Any]


@dataclass(frozen=True)
class Observed:
    """What the swarm holds, by name: objects of one cluster, and names that belong to somebody else."""

    networks: dict[str, JSON] = field(default_factory=dict)
    configs: dict[str, JSON] = field(default_factory=dict)
    secrets: dict[str, JSON] = field(default_factory=dict)
    services: dict[str, JSON] = field(default_factory=dict)
    foreign: frozenset[tuple[str, str]] = frozenset()
    """(kind, name) of objects that have one of our names but not our cluster's label."""

    def network_names(self) -> dict[str, str]:
        """Network ids to names."""
        return {n.get("Id", ""): name for name, n in self.networks.items()}


def plan(
    title: str, wanted: Desired, observed: Observed, new_secrets: Mapping[str, str], document: str
) -> Plan:
    """The steps that turn `observed` into `wanted`; empty when nothing is to be done.

    Order: what services need first; then the document, from which on the change can be finished by another
    run; then services, each checked before the next replica is touched.

    Arguments:
        title: what the plan is for.
        wanted: from `desired`.
        observed: what the swarm holds.
        new_secrets: secrets that must be created, name to a few words about each.
        document: why the document is written ("generation 2: external URL"), or "" if it does not change.

    Raises:
        WrongState: an object of somebody else has one of our names.
    """
    refuse_foreign(observed)
    steps: list[Step] = []
    for name, spec in wanted.networks.items():
        if name not in observed.networks:
            steps.append(
                Step("create", "network", name, "overlay, attachable", "all services share it", spec)
            )
    for name, words in new_secrets.items():
        if name not in observed.secrets:
            steps.append(Step("create", "secret", name, words, "kept in the swarm only"))
    for name, spec in wanted.configs.items():
        if name not in observed.configs:
            steps.append(Step("create", "config", name, "", "a service reads it", spec))
    if document:
        steps.append(Step("write", "document", "cluster", document, "what is wanted from now on"))
    steps += _services(wanted, observed)
    return Plan(title, tuple(steps))


DRAIN_SECONDS = 10.0
"""How long a replica says that it is not healthy before its proxy stops: long enough for a balancer that asks
every 2 s and believes the third answer (docs/explanation/rolling-changes.md)."""


def _services(wanted: Desired, observed: Observed) -> list[Step]:
    """New services side by side; then existing ones, one replica after another."""
    creates, checks = [], []
    updates: dict[str, list[Step]] = {}
    for name, spec in wanted.services.items():
        replica = spec["Labels"][names.LABEL_REPLICA]
        found = observed.services.get(name)
        if found is None:
            creates.append(Step("create", "service", name, words(spec), "it does not exist", spec))
            checks.append(_check(name))
            continue
        changes = service_changes(spec, found, observed.network_names())
        if changes:
            updates.setdefault(replica, []).extend(
                (
                    Step(
                        "update", "service", name, words(spec), "it runs with other settings", spec, changes
                    ),
                    _check(name),
                )
            )
    several = len(wanted.gates) > 1
    rolling = [
        replace(step, replica=replica if several else "")
        for replica, steps in updates.items()
        for step in (_out_of_turn(replica, steps, wanted.gates[replica]) if several else steps)
    ]
    return [*creates, *checks, *rolling]


def _out_of_turn(replica: str, steps: list[Step], gate: JSON) -> list[Step]:
    """A replica's updates, between telling balancers to go elsewhere and to come back.

    Only where the proxy is replaced: a registry is replaced behind its proxy without anybody noticing.
    """
    if names.service("nginx", replica) not in {step.name for step in steps}:
        return steps
    return [drain_step(replica, gate), *steps, _back_step(replica, gate)]


def _back_step(replica: str, gate: JSON) -> Step:
    return Step("open", "health", replica, "", "balancers come back", {"gate": gate})


def _draining(replica: str) -> str:
    return f"draining at {replica}"


def drain_step(replica: str, gate: JSON) -> Step:
    """Balancers are told to go elsewhere, for long enough that they do.

    Arguments:
        replica: its id.
        gate: that of its proxy, as `desired.gate_of` gives it.
    """
    undo = {"op": "gate", "name": _draining(replica), "gate": gate, "clear": ["draining"]}
    return Step(
        "close",
        "health",
        replica,
        f"for {DRAIN_SECONDS:.0f} s",
        "balancers go elsewhere",
        {"gate": gate, "seconds": DRAIN_SECONDS},
        undo=(undo,),
    )


def removal_step(name: str, found: JSON, cause: str) -> Step:
    """A service goes; its undo brings it back as it was.

    Arguments:
        name: the service's.
        found: the service as the engine lists it.
        cause: why it goes.
    """
    undo = {"op": "restore", "kind": "services", "name": name, "spec": found["Spec"]}
    return Step("remove", "service", name, "", cause, undo=(undo,))


def surplus(wanted: Desired, observed: Observed) -> list[Step]:
    """Services of the cluster that the document does not ask for: of a replica that was being removed."""
    return [
        removal_step(name, found, "the document does not name it")
        for name, found in observed.services.items()
        if name not in wanted.services
    ]


def finishing(rest: Plan, wanted: Desired, undo: Iterable[JSON]) -> Plan:
    """What a killed run left to do, with the checks that it may not have come to.

    The replicas that it had updated are seen to run, and balancers come back to them, before the next one is
    touched: otherwise two could be away at once.

    Arguments:
        rest: what is still to be done.
        wanted: what the document asks for.
        undo: the undo records of the killed run's steps.
    """
    steps = list(rest)
    updated = {step.name for step in steps if step.action in {"create", "update"}}
    checks = unchecked(wanted, steps)
    # A proxy is seen through to its registry: where that is still to be updated, the proxy comes after it.
    early = [c for c in checks if _registry_beside(c.name, wanted) not in updated]
    late = [c for c in checks if c not in early]
    at = _first_turn(steps)
    return Plan(rest.title, (*steps[:at], *early, *undrained(wanted, steps, undo), *steps[at:], *late))


def _registry_beside(service: str, wanted: Desired) -> str:
    return names.service("registry", wanted.services[service]["Labels"][names.LABEL_REPLICA])


def _first_turn(steps: list[Step]) -> int:
    """Where the first replica is touched that serves; registries behind others that stand in do not count."""
    turned = [i for i, step in enumerate(steps) if (step.action, step.kind) == ("switch", "proxy")]
    begin = turned[-1] + 1 if turned else 0
    touching = (
        i
        for i, step in enumerate(steps)
        if i >= begin and (step.action, step.kind) in {("close", "health"), ("update", "service")}
    )
    return next(touching, len(steps))


def unchecked(wanted: Desired, steps: Iterable[Step]) -> list[Step]:
    """Checks of the services that no step checks: what a killed run has updated may not be up yet."""
    checked = {step.name for step in steps if step.action == "check"}
    return [_check(name) for name in wanted.services if name not in checked]


def undrained(wanted: Desired, steps: Iterable[Step], undo: Iterable[JSON]) -> list[Step]:
    """Tells balancers to come back to the replicas that a killed run sent them away from.

    Arguments:
        wanted: what the document asks for.
        steps: what is to be done anyway; a replica that they send balancers back to needs no more.
        undo: the undo records of the killed run's steps.
    """
    back = {step.name for step in steps if (step.action, step.kind) == ("open", "health")}
    away = {record["name"] for record in undo}
    return [
        _back_step(replica, gate)
        for replica, gate in wanted.gates.items()
        if _draining(replica) in away and replica not in back
    ]


def drift(wanted: Desired, observed: Observed) -> dict[str, tuple[Change, ...]]:
    """Per service what is wanted and not so; a missing service is one change."""
    out: dict[str, tuple[Change, ...]] = {}
    for name, spec in wanted.services.items():
        found = observed.services.get(name)
        changes = (
            service_changes(spec, found, observed.network_names())
            if found
            else (Change(name, "a service", None),)
        )
        if changes:
            out[name] = changes
    return out


def refuse_foreign(observed: Observed) -> None:
    """Raises WrongState if an object that is not ours has one of our names."""
    if observed.foreign:
        kinds = ", ".join(f"{kind} {name}" for kind, name in sorted(observed.foreign))
        raise WrongState(
            f"names that msrctl needs are taken by objects that it did not make: {kinds}",
            code="PRE-NAME-CLASH",
            state="Nothing was changed.",
            hint="Rename or remove them (docker inspect NAME shows what they are), then run this again.",
        )


def words(spec: JSON) -> str:
    """A service in a few words: its ports, or its store."""
    ports = spec["EndpointSpec"].get("Ports", [])
    if ports:
        return "ports " + ", ".join(str(p["PublishedPort"]) for p in ports)
    mounts = spec["TaskTemplate"]["ContainerSpec"]["Mounts"]
    return ", ".join(f"{m['Type']} {m['Source']}" for m in mounts if m.get("Target") == STORE)


def _check(name: str) -> Step:
    component = name.split("-")[1]
    what = {"registry": "healthy, an upload opens", "nginx": "it answers over HTTPS"}.get(
        component, "running"
    )
    return Step("check", "service", name, what, "the next step relies on it")
