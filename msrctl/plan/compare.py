"""Compares a wanted body with the one that the engine holds, which has more keys: the engine's defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msrctl.model import names
from msrctl.plan.step import Change


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


def _shorten(change: Change) -> Change:
    name = change.name.removeprefix("TaskTemplate.").removeprefix("ContainerSpec.")
    return Change(name, change.wanted, change.found)


def _empty(value: Any) -> bool:
    return value is None or value in ([], {}, "", 0, False)
