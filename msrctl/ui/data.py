"""Results as JSON data: every field by its name, plans as lists of steps, secrets masked."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

from msrctl.model.results import BackupDrillResult, InstallResult, ReplicaStatus, StatusResult
from msrctl.plan.step import Plan, Step
from msrctl.secret import Secret

MASK = "****"


def of(result: Any) -> Any:
    """A result as JSON data.

    The only secret that appears is the password that an install generated.
    """
    found = _plain(result)
    if isinstance(result, InstallResult):
        found["password"] = result.password.reveal_text() if result.password else None
    return found


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line per kind of data
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Secret():
            return MASK
        case Plan():
            return [step.to_json() for step in value]
        case Step():
            return value.to_json()
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case PurePath():
            return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, StatusResult | ReplicaStatus):
            found["healthy"] = value.healthy
        if isinstance(value, BackupDrillResult):
            found["passed"] = value.passed
        return found
    return str(value)
