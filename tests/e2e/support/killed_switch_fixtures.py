"""Fixtures of the tests that kill a switch: a registry, and what must be so after each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.system import eventually
from support import look, run, stores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.engines import Lab


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1])
    stores.fill(deployment, repositories=2, tags=1, size=20_000)
    return deployment


@pytest.fixture
def whole(deployed: Deployment) -> Iterator[Deployment]:
    """Whatever a test did, afterwards all is well, nothing is left over, and nothing is lost."""
    eventually(lambda: look.quiet(deployed.host), 20)
    tags = stores.pulled(deployed)
    yield deployed
    data = run.data(deployed.host, "status")
    assert data["healthy"]
    assert data["lock"] is data["interrupted"] is None
    assert look.tidy(deployed.host)
    assert stores.gate(deployed) == []
    now = stores.pulled(deployed)
    assert {tag: now.get(tag) for tag in tags} == tags
