"""The subjects of the contract: the fake engine and a real one pass the same suite."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from subjects import Subject

from fakes.engine import FakeEngine
from fakes.swarm import IMAGE_ID, FakeSwarm
from labs.cache import making
from labs.cleaning import clean as clean_lab
from labs.engines import Lab
from labs.images import engine_rootfs
from labs.tiny import tiny_image
from msrctl.engine.connect import Endpoint, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def tiny() -> Path:
    """A small image with a shell, as an archive."""
    with making("contract-image") as cache:
        archive = cache / "contract.tar"
        if not archive.exists():
            tiny_image(archive, "msrctl-test/tiny:1", "contract")
        return archive


@pytest.fixture(scope="session")
def pair(tiny: Path) -> Iterator[Lab]:
    """A manager and a worker; no registry can be reached from them, as on an air-gapped site."""
    with Lab(2, images=[tiny], rootfs=engine_rootfs()) as lab:
        lab.swarm(managers=1)
        yield lab


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The fake engine, then a real one; both empty."""
    if request.param == "fake":
        swarm = FakeSwarm()
        other = swarm.add_node("node-2")
        yield Subject(FakeEngine(swarm), IMAGE_ID, str(swarm.nodes[0]["ID"]), other, swarm)
        return
    lab: Lab = request.getfixturevalue("pair")
    clean_lab(lab)
    with contextlib.closing(connect(Endpoint(), {"DOCKER_HOST": lab[1].url})) as engine:
        image = engine.image("msrctl-test/tiny:1")
        assert image is not None
        here = engine.info()["Swarm"]["NodeID"]
        other = next(node["ID"] for node in engine.nodes() if node["ID"] != here)
        yield Subject(engine, image["Id"], here, other, None)
