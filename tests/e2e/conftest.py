"""End-to-end tests run on real engines, all of them; a registry to use for those that only use one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install

if TYPE_CHECKING:
    from labs.engines import Lab

HERE = Path(__file__).parent

# Three engines that lose their power, or many clients: of these, two processors carry three at a time.
BUSY = {
    "test_balancer",
    "test_emergency_repair",
    "test_failures",
    "test_failures_in_changes",
    "test_recovery",
}

# Begun first, the longest before the others (730 s down to 120 s as measured with four at a time), so that no
# worker is left alone with one of them in the end.
SLOW = (
    "test_switch_power",
    "test_switch_kill",
    "test_switch",
    "test_kill_reconfigure",
    "test_kill_install",
    "test_reconfigure",
    "test_drill",
    "test_destroy",
    "test_store_switch",
    "test_cluster",
    "test_errors",
    "test_backup",
    "test_nfs",
    "test_install",
    "test_store_switch_clouds",
    "test_store_labs",
    "test_images",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test here `engine`, and those of some files `busy`; slow files come first."""
    order = {name: number for number, name in enumerate(SLOW)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)
            if item.path.stem in BUSY:
                item.add_marker(pytest.mark.busy)


@pytest.fixture(scope="module")
def installed(lab: Lab) -> Deployment:
    """A registry on `lab`, installed once for a module whose tests use it and leave it as it is.

    `clean` and `bare` would take it away: a module that has this has neither.
    """
    clean_lab(lab, leave_swarm=True)
    return install(lab[1])
