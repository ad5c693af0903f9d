"""What holds for all unit tests."""

from __future__ import annotations

import pytest

from msrctl.engine import undo


@pytest.fixture(autouse=True)
def _nothing_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake engine has done what it was asked when it answers: no undo waits for more to appear."""
    monkeypatch.setattr(undo, "LATE_SECONDS", 0.0)
