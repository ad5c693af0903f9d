"""Compares a wanted body with the one that the engine holds, which has more keys: the engine's defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msrctl.model import names
from msrctl.plan.step import Change

UNORDERED: dict[str, Callable[[Any], Any]] = {
    "Mounts": lambda item: item["Target"],
    "Configs": lambda item: item["File"]["Name"],
    "Secrets": lambda item: item["File"]["Name"],
    "Networks": lambda item: item["Target"],
    "Ports": lambda item: (item["TargetPort"], item.get("Protocol", "tcp")),
    "Env": lambda item: item.partition("=")[0],
    "CapabilityAdd": str,
    "CapabilityDrop": str,
    "Constraints": str,
}
"""Lists of a service whose order means nothing, and what an item of each is known by.

The engine keeps the order that it is given, but `docker service update` writes some of them anew in an order
of its own, mounts for example (docker/cli, cli/command/service/update.go, updateMounts sorts by source).
"""


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[Change]:
    """Every place where `found` does not hold what `wanted` asks for.

    Arguments:
        wanted: JSON data; absent keys mean "do not care".
        found: JSON data from the engine.
        path: dotted path of both, for the names of the changes.
    """
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            inner = found.get(key) if isinstance(found, dict) else None
            yield from differences(value, inner, f"{path}.{key}" if path else str(key))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        key = UNORDERED.get(path.rpartition(".")[2])
        found = _aligned(wanted, found, key) if key else found
        for index, (want, have) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(want, have, f"{path}[{index}]")
    elif wanted != found and not (_empty(wanted) and _empty(found)):
        yield Change(path, wanted, found)


def service_changes(
    wanted: dict[str, Any], found: dict[str, Any], networks: Mapping[str, str]
) -> tuple[Change, ...]:
    """What differs between a wanted service and the one that runs, in an operator's words.

    Arguments:
        wanted: the spec that the document asks for.
        found: the service as the engine lists it.
        networks: network ids to names, since the engine stores ids.
    """
    spec = dict(found["Spec"])
    template = dict(spec.get("TaskTemplate", {}))
    template["Networks"] = [
        {**n, "Target": networks.get(n["Target"], n["Target"])} for n in template.get("Networks") or []
    ]
    spec["TaskTemplate"] = template
    changes = [_shorten(c) for c in differences(wanted, spec) if names.LABEL_HASH not in c.name]
    label = wanted["Labels"][names.LABEL_HASH]
    if not changes and spec.get("Labels", {}).get(names.LABEL_HASH) != label:
        changes = [Change("config-hash", label, spec.get("Labels", {}).get(names.LABEL_HASH))]
    return tuple(changes)


def _aligned(wanted: list[Any], found: list[Any], key: Callable[[Any], Any]) -> list[Any]:
    """`found` with each item in the place of the wanted one with the same key; the rest fills the gaps."""

    def key_of(item: Any) -> Any:
        try:
            return key(item)
        except (KeyError, TypeError, AttributeError):
            return None  # not what the engine's API says it is: then only its place counts

    rest = list(found)
    places: list[Any] = []
    for want in wanted:
        known = key_of(want)
        same = next((i for i, have in enumerate(rest) if known is not None and key_of(have) == known), None)
        places.append([] if same is None else [rest.pop(same)])
    return [place[0] if place else rest.pop(0) for place in places]


def _shorten(change: Change) -> Change:
    name = change.name.removeprefix("TaskTemplate.").removeprefix("ContainerSpec.")
    return Change(name, change.wanted, change.found)


def _empty(value: Any) -> bool:
    return value is None or value in ([], {}, "", 0, False)
