"""logs gathers what the services wrote from every node, and goes on where one does not answer."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from support import run
from support.use import push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.engines import Lab
from labs.host import msrctl_command
from labs.system import eventually
from msrctl.registry.client import Registry
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.host import Host

# Started in the background of a shell, this run ignores SIGINT, and so would what it starts.
INTERRUPTIBLE = ("env", "--default-signal=INT")


@pytest.fixture(scope="module")
def pair(msr_image: Path) -> Iterator[Lab]:
    """A manager and a worker, both with msrctl's image."""
    with Lab(2, images=[msr_image]) as lab:
        lab.swarm(managers=1)
        yield lab


@pytest.fixture(scope="module")
def deployed(pair: Lab) -> Deployment:
    """A replica on the worker; msrctl asks the manager."""
    clean_lab(pair)
    return install(pair[1], "--ucp-node", "node2")


def test_lines_of_both_components_on_another_node_come_by_time(pair: Lab, deployed: Deployment) -> None:
    with _registry(deployed, pair[2]) as registry:
        push(registry, "logged/app")

    def both() -> bool:
        lines = run.data(deployed.host, "logs")["lines"]
        assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
        assert {line["node"] for line in lines} == {"node2"}
        seen = {line["component"] for line in lines if "logged/app" in line["text"]}
        assert seen == {"nginx", "registry"}
        return True

    eventually(both, 20)
    text = deployed.host.msrctl("logs", "--component", "registry", "--tail", "3", check=0).stdout
    assert len(text.splitlines()) == 3
    assert all(line.startswith(f"{deployed.replica_id}/registry | ") for line in text.splitlines())


def test_since_leaves_out_what_is_older(deployed: Deployment) -> None:
    newest = run.data(deployed.host, "logs", "--tail", "1", "--component", "nginx")["lines"][-1]["time"]
    found = run.data(deployed.host, "logs", "--since", newest)["lines"]
    assert found
    assert all(line["time"] >= newest for line in found)
    assert run.data(deployed.host, "logs", "--since", "2100-01-01T00:00:00Z")["lines"] == []


def test_follow_shows_what_comes_and_ends_with_an_interrupt(
    pair: Lab, deployed: Deployment, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with out.open("w") as stream:
        process = subprocess.Popen(
            [*INTERRUPTIBLE, *msrctl_command("--output", "json", "logs", "--follow", "--tail", "0")],
            env=deployed.host.environment(),
            stdout=stream,
            stderr=subprocess.PIPE,
        )
        with _registry(deployed, pair[2]) as registry:

            def seen() -> bool:
                # Again and again: what was written before it began to follow is not shown.
                push(registry, "followed/app")
                return "followed/app" in out.read_text()

            eventually(seen, 60, every=0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len({tuple(line.items()) for line in lines}) == len(lines), "a line came twice"


def test_logs_that_go_elsewhere_are_named_as_such(deployed: Deployment) -> None:
    host = deployed.host
    host.msrctl("reconfigure", "--log-protocol", "udp", "--log-host", f"{host.ip}:514", check=0)
    told = run.refused(host, 6, "LOGS-ELSEWHERE", "logs")
    assert f"udp://{host.ip}:514" in told
    host.msrctl("reconfigure", "--log-protocol", "internal", check=0)
    eventually(lambda: run.data(host, "logs")["lines"], 20)


def test_a_node_without_power_is_named_before_and_after_the_swarm_knows(
    pair: Lab, deployed: Deployment
) -> None:
    pair[2].power_off()
    told = run.refused(deployed.host, 5, "LOGS-UNREADABLE", "logs", state=False)
    assert "node2" in told
    eventually(lambda: pair.nodes_ready() == 1, 60)
    assert "node node2 is down" in run.refused(deployed.host, 5, "LOGS-UNREADABLE", "logs", state=False)


def _registry(deployed: Deployment, worker: Host) -> Registry:
    """A client that looks for the registry's name at the worker's address."""
    auth = (deployed.user, Secret(deployed.password))
    return Registry(deployed.url, ca=deployed.ca, auth=auth, connect_to=(worker.ip, 443))
