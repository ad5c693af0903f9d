"""A registry of three replicas on three engines, clients at them, and what failures are measured by."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labs.cleaning import clean as clean_lab
from labs.cleaning import restore
from labs.deployment import Deployment, install
from labs.system import eventually
from msrctl.errors import MsrctlError
from support import look, run
from support.use import PullLoop, client, pull, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host

SECOND, THIRD = "b" * 12, "c" * 12
IMAGE = "kept/image"
HEALTHY_SECONDS = 90


@dataclass
class Cluster:
    """Replicas on a directory that all three engines see."""

    lab: Lab
    deployment: Deployment

    def seen_at(self, number: int) -> Deployment:
        return replace(self.deployment, host=self.lab[number])

    def leader(self) -> int:
        """The number of the host whose manager leads."""
        nodes = self.lab[1].client.api.nodes()
        found = [n for n in nodes if n.get("ManagerStatus", {}).get("Leader")]
        return int(found[0]["Description"]["Hostname"].removeprefix("node"))

    def follower(self) -> int:
        """The number of a host, not the first, whose manager does not lead."""
        return 3 if self.leader() == 2 else 2

    def id_of(self, number: int) -> str:
        return (self.deployment.replica_id, SECOND, THIRD)[number - 1]

    def tasks_of(self, number: int) -> list[str]:
        return [look.task(self.lab[1], part, self.id_of(number)) for part in ("nginx", "registry")]


def join(cluster: Cluster, number: int, plan: dict[str, object] | None = None) -> int:
    """Joins the replica of a host, through the runner if there is a plan; returns the exit code."""
    ids = ("--replica-id", cluster.id_of(number))
    args = ("join", "--ucp-node", f"node{number}", *ids, "--shared-storage-path")
    if plan is None:
        return cluster.lab[1].msrctl(*args, check=0).returncode
    return run.trapped(cluster.lab[1], plan, *args).returncode


def measured(name: str, seconds: float) -> None:
    """Shows what was measured (``pytest -rP``)."""
    print(f"measured: {name} {seconds:.1f} s")  # noqa: T201


def healthy(host: Host) -> bool:
    """Whether status finds nothing wrong, by its own word."""
    found = run.document(host, "status")
    assert found["ok"], found
    assert found["data"]["lock"] is found["data"]["interrupted"] is None, found
    return True


def replicas_at(host: Host) -> int:
    """How many replicas there are, once the swarm can be asked: its managers may be electing a leader."""
    found = run.document(host, "status")
    assert found["data"], found
    return len(found["data"]["replicas"])


def pulls(cluster: Cluster, number: int) -> bool:
    """Whether the replica of a host gives the image out."""
    try:
        with client(cluster.seen_at(number)) as registry:
            return bool(pull(registry, IMAGE))
    except MsrctlError as error:
        raise AssertionError(str(error)) from error


def serves(cluster: Cluster, number: int) -> bool:
    """What the health of a host's replica says to a balancer."""
    try:
        with client(cluster.seen_at(number)) as registry:
            return registry.health()[0]
    except MsrctlError:
        return False


def since(check: Callable[[], object], timeout: float = HEALTHY_SECONDS) -> float:
    """Seconds until a check is true."""
    began = time.monotonic()
    eventually(check, timeout)
    return time.monotonic() - began


def pass_time(began: float, seconds: float) -> None:
    """Until so many seconds have passed since a moment: what is tested lasts this long."""
    eventually(lambda: time.monotonic() - began >= seconds, seconds + 5)


def state_of(cluster: Cluster, number: int, at: int = 1) -> str:
    """What the swarm says of a host's node."""
    nodes = cluster.lab[at].client.api.nodes()
    return str(next(n["Status"]["State"] for n in nodes if n["Description"]["Hostname"] == f"node{number}"))


@contextmanager
def pulling(cluster: Cluster, *numbers: int) -> Iterator[dict[int, PullLoop]]:
    """Clients at the replicas of these hosts while in the block; none of their pulls fails."""
    with ExitStack() as stack:
        loops = {n: stack.enter_context(PullLoop(cluster.seen_at(n), IMAGE, pause=0.1)) for n in numbers}
        yield loops
    for number, loop in loops.items():
        assert not loop.failures, (number, loop.failures)
        assert loop.pulls, number


def proxy_of(cluster: Cluster, number: int) -> str:
    """What the registry of a host's replica is told about a proxy for what it fetches."""
    return look.environment(cluster.lab[1], "registry", cluster.id_of(number)).get("HTTP_PROXY", "")


@contextmanager
def one_replica(lab: Lab, place: Path) -> Iterator[Cluster]:
    """A replica on the first host, and an image, while in the block."""
    clean_lab(lab)
    deployment = install(lab[1], "--dtr-storage-volume", str(place))
    with client(deployment) as registry:
        push(registry, IMAGE)
    yield Cluster(lab, deployment)
    clean_lab(lab)
    shutil.rmtree(place, ignore_errors=True)


@contextmanager
def three_replicas(deployed: Cluster) -> Iterator[None]:
    """Three replicas; whatever the block did, afterwards all is well at each, and nothing is left over."""
    there = eventually(lambda: replicas_at(deployed.lab[1]), HEALTHY_SECONDS)
    for number in range(there + 1, 4):
        join(deployed, number)
    yield
    deployed.lab.all(restore)
    eventually(lambda: healthy(deployed.lab[1]), HEALTHY_SECONDS)
    # What a status left that lost its engine in between goes with the next command that may change things.
    assert run.data(deployed.lab[1], "reconfigure")["outcome"] == "nothing to do"
    assert look.tidy(deployed.lab[1])
    assert all(pulls(deployed, number) for number in (1, 2, 3))
