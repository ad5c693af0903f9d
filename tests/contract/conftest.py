"""The subjects of the contract: the fake engine and a real one pass the same suite."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from fakes.engine import FakeEngine
from fakes.swarm import IMAGE_ID, FakeSwarm, OneShot
from labs.cache import making
from labs.cleaning import clean as clean_lab
from labs.engines import Lab
from labs.tiny import tiny_image
from msrctl.engine.connect import Endpoint, connect
from msrctl.engine.oneshot import OneShotResult, run_oneshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from msrctl.engine.protocol import JSON, Engine

SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True)
class Subject:
    """An engine under contract, the manager of a swarm of two nodes.

    Arguments:
        engine: the engine.
        image: id of an image that both nodes have; it has a shell.
        here: the endpoint's node.
        other: the other node, a worker.
        swarm: the fake's inside; None for a real engine.
    """

    engine: Engine
    image: str
    here: str
    other: str
    swarm: FakeSwarm | None

    def run(self, *lines: str, exit_code: int = 0, hangs: bool = False, **options: Any) -> OneShotResult:
        """A one-shot that prints lines and ends with a code, or hangs."""
        if self.swarm:
            self.swarm.oneshot = lambda _: OneShot(exit_code, lines, hangs=hangs)
        script = "; ".join(
            [*(f"echo '{line}'" for line in lines), "sleep 60" if hangs else f"exit {exit_code}"]
        )
        return self.script(script, **options)

    def script(self, script: str, **options: Any) -> OneShotResult:
        """A one-shot that runs a script for the shell."""
        settings = {"image_id": self.image, "node_id": self.here, "labels": {}, "timeout": 30.0, **options}
        return run_oneshot(self.engine, args=[script], program=SHELL, **settings)

    def service(self, name: str, **container: Any) -> JSON:
        """The body of a service that runs until it is stopped."""
        return {
            "Name": name,
            "Labels": {"test": name},
            "Mode": {"Replicated": {"Replicas": 1}},
            "EndpointSpec": {"Mode": "dnsrr"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": self.image,
                    "Command": ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"],
                    "Labels": {"test": name},
                    **container,
                },
                "Placement": {"Constraints": [f"node.id=={self.here}"]},
            },
        }


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
    """A manager and a worker; no image preference and no registry to be reached, as an air-gapped site."""
    with Lab(2, images=[tiny]) as lab:
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


def states(tasks: Sequence[JSON]) -> list[str]:
    """States of tasks."""
    return [task["Status"]["State"] for task in tasks]
