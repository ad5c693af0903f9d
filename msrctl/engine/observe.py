"""Reads what the swarm holds of a cluster, and which of its names belong to somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from msrctl.model import names
from msrctl.plan.planner import Observed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msrctl.engine.protocol import JSON, Engine, Kind
    from msrctl.plan.desired import Desired

KINDS: tuple[Kind, ...] = ("networks", "configs", "secrets", "services")


def observe(engine: Engine, cluster: str, wanted: Desired | None = None) -> Observed:
    """Everything that carries the cluster's label.

    Arguments:
        engine: any manager of the swarm.
        cluster: the cluster's id.
        wanted: if given, names in it that exist without the label are found as foreign.
    """
    found = {kind: engine.list(kind) for kind in KINDS}
    own = {kind: _by_name(o for o in objects if _belongs(o, cluster)) for kind, objects in found.items()}
    foreign = set()
    if wanted is not None:
        expected = {
            "networks": set(wanted.networks),
            "configs": set(wanted.configs),
            "secrets": set(wanted.secrets),
            "services": set(wanted.services),
        }
        for kind in KINDS:
            # A node's own network of the same name does not matter to the swarm.
            others = (
                _by_name(o for o in found[kind] if o.get("Scope", "swarm") == "swarm").keys()
                - own[kind].keys()
            )
            foreign |= {(kind.removesuffix("s"), name) for name in expected[kind] & others}
    return Observed(**cast("dict[str, dict[str, JSON]]", own), foreign=frozenset(foreign))


def clusters(engine: Engine) -> dict[str, list[str]]:
    """Ids of all clusters that have left anything in the swarm, each with "kind name" lines.

    One-shots do not count, which the next run sweeps, nor drills, which the next drill or destroy takes away.
    """
    out: dict[str, list[str]] = {}
    for kind in KINDS:
        for found in engine.list(kind, {names.LABEL_CLUSTER: None}):
            labels = labels_of(found)
            passing = labels.get(names.LABEL_COMPONENT) == "oneshot"
            if not passing and not names.is_drill(labels[names.LABEL_CLUSTER]):
                out.setdefault(labels[names.LABEL_CLUSTER], []).append(
                    f"{kind.removesuffix('s')} {name_of(found)}"
                )
    return out


def labels_of(found: JSON) -> dict[str, str]:
    """Labels of an object, wherever the API keeps them for its kind."""
    return cast("dict[str, str]", found.get("Labels") or found.get("Spec", {}).get("Labels") or {})


def name_of(found: JSON) -> str:
    """Name of an object, wherever the API keeps it for its kind."""
    return str(found.get("Name") or found.get("Spec", {}).get("Name", ""))


def _belongs(found: JSON, cluster: str) -> bool:
    return labels_of(found).get(names.LABEL_CLUSTER) == cluster


def _by_name(found: Iterable[JSON]) -> dict[str, JSON]:
    return {name_of(o): o for o in found}
