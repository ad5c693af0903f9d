"""End-to-end tests run on real engines, all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test below this directory `engine`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)
