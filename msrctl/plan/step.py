"""A plan is data: an ordered list of steps, each with one object, one action and one cause.

The executor carries no decisions; `--dry-run` prints a plan, `--output json` dumps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["create", "update", "remove", "check", "write", "copy", "close", "open", "switch"]
SYMBOLS: dict[Action, str] = {
    "create": "+",
    "update": "~",
    "remove": "-",
    "check": "?",
    "write": "=",
    "copy": ">",
    "close": "|",
    "open": "o",
    "switch": "%",
}


@dataclass(frozen=True)
class Change:
    """One difference: what, as it is wanted, as it was found (None: absent)."""

    name: str
    wanted: Any
    found: Any


@dataclass(frozen=True)
class Step:
    """One operation of a plan.

    Arguments:
        action: what is done.
        kind: the kind of object, as the engine names it ("service", "config", "secret", "network", "volume"),
            or "swarm", "document", "probe".
        name: the object's name.
        detail: a few words for a person, such as "ports 80, 443".
        cause: why the step is needed.
        spec: the body for the engine; never holds a secret.
        changes: for an update, what differs.
    """

    action: Action
    kind: str
    name: str
    detail: str = ""
    cause: str = ""
    spec: dict[str, Any] | None = field(default=None, repr=False)
    changes: tuple[Change, ...] = ()
    undo: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Undo records of a step whose kind only a workflow knows; else they follow from the action."""
    replica: str = field(default="", repr=False)
    """The replica whose turn it is in a rolling change; "" if the step belongs to no single one."""

    @property
    def title(self) -> str:
        """One line: action, kind and name."""
        return f"{self.action} {self.kind} {self.name}"

    def to_json(self) -> dict[str, Any]:
        """The step for `--output json`, without its body."""
        return {
            "title": self.title,
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "detail": self.detail,
            "cause": self.cause,
            "changes": [{"name": c.name, "wanted": c.wanted, "found": c.found} for c in self.changes],
        }


@dataclass(frozen=True)
class Plan:
    """An ordered list of steps under a title."""

    title: str
    steps: tuple[Step, ...] = ()

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return "\n".join([self.title, *(_line(step) for step in self.steps)])


def _line(step: Step) -> str:
    text = f"  {SYMBOLS[step.action]} {step.kind} {step.name}"
    return f"{text:<50} {step.detail}".rstrip() + "".join(
        f"\n      {c.name}: {c.found} -> {c.wanted}" for c in step.changes
    )
