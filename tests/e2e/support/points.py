"""Calls to the engine before or after which msrctl is killed."""

from __future__ import annotations

import pytest

BEFORE, AFTER = False, True


def named(points: list[tuple[str, bool]]) -> list[object]:
    """Parameters for a test, called after the call that they are about."""
    return [pytest.param(at, after, id=f"{'after' if after else 'before'} {at}") for at, after in points]
