"""A storage switch of three replicas against three `docker service update`; a join against an install."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Figure, pairs

from labs.cleaning import clean
from labs.deployment import install
from labs.engines import Lab
from labs.host import docker_command
from labs.images import msr_image
from labs.stores.moto import MotoStore, moto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.host import Host

PAIRS = 3
SHARED = "--shared-storage-path"


def measure() -> Iterator[Figure]:
    """Both on three engines in one swarm that have the image; the images lie on a directory that all see."""
    with Lab(3, images=[msr_image()]) as lab, TemporaryDirectory(prefix="msrctl-bench-") as name:
        lab.swarm(managers=3)
        place = Path(name)
        yield Figure(
            "join",
            *pairs(PAIRS, lambda: _join(lab, place), lambda: _install(lab, place)),
            "s",
            (f"msrctl join {SHARED}", "msrctl install"),
            most=1.2,
        )
        with moto(lab.gateway) as store:
            _install(lab, place)
            for node in ("node2", "node3"):
                lab[1].msrctl("join", "--ucp-node", node, SHARED, check=0)
            yield Figure(
                "rolling switch of three replicas",
                *pairs(PAIRS, lambda: _switch(lab[1], store, place), lambda: _by_hand(lab[1])),
                "s",
                (
                    "msrctl reconfigure --storage-config FILE --migrate-storage",
                    "docker service update, three times",
                ),
                most=1.5,
                note="By hand nothing is checked, copied, held or undone.",
            )


def _timed(host: Host, *command: str) -> float:
    begun = time.perf_counter()
    host.msrctl(*command, check=0, timeout=600)
    return time.perf_counter() - begun


def _install(lab: Lab, place: Path) -> float:
    clean(lab)
    begun = time.perf_counter()
    install(lab[1], "--dtr-storage-volume", str(place), "--adopt-storage")
    return time.perf_counter() - begun


def _join(lab: Lab, place: Path) -> float:
    _install(lab, place)
    return _timed(lab[1], "join", "--ucp-node", "node2", SHARED)


_count = iter(range(1000))


def _switch(host: Host, store: MotoStore, place: Path) -> float:
    ((driver, section),) = store.storage_section().items()
    file = place / "store.yml"
    file.write_text(
        json.dumps({"storage": {driver: {**section, "rootdirectory": f"/switch-{next(_count)}"}}})
    )
    return _timed(host, "reconfigure", "--storage-config", str(file), "--migrate-storage")


def _by_hand(host: Host) -> float:
    services = [
        name
        for s in host.client.api.services()  # type: ignore[no-untyped-call]
        if (name := str(s["Spec"]["Name"])).startswith("dtr-registry-")
    ]
    begun = time.perf_counter()
    for name in services:
        subprocess.run(
            [docker_command(), "service", "update", "--force", "--quiet", name],
            env=host.environment(),
            check=True,
            capture_output=True,
        )
    return time.perf_counter() - begun
