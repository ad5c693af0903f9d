"""Two of three managers are lost for good: what lives goes on, and the cluster is made whole again."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError
from support import look, run
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.cleaning import renew_engine, restore
from labs.deployment import Deployment, install
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labs.engines import Lab


@dataclass
class Cluster:
    """Three replicas on a directory that all engines see."""

    lab: Lab
    deployment: Deployment

    def seen_at(self, number: int) -> Deployment:
        return replace(self.deployment, host=self.lab[number])


@pytest.fixture(scope="module")
def cluster(three_engines: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    lab = three_engines
    clean_lab(lab)
    place = tmp_path_factory.mktemp("shared")
    deployment = install(lab[1], "--dtr-storage-volume", str(place))
    for node in ("node2", "node3"):
        lab[1].msrctl("join", "--ucp-node", node, "--shared-storage-path", check=0)
    with client(deployment) as registry:
        push(registry, "kept/image")
    yield Cluster(lab, deployment)
    lab.all(restore)
    for host in lab.hosts:
        with contextlib.suppress(APIError):  # it is in no swarm
            host.client.api.leave_swarm(force=True)
    clean_lab(lab)
    lab.swarm(managers=3)
    shutil.rmtree(place, ignore_errors=True)


def replicas(cluster: Cluster) -> list[str]:
    return [r["node"] for r in run.data(cluster.lab[1], "status")["replicas"]]


def test_with_a_quorum_nothing_is_forced(cluster: Cluster) -> None:
    run.refused(cluster.lab[1], 6, "QUORUM", "emergency-repair", "--yes")
    assert replicas(cluster) == ["node1", "node2", "node3"]


def test_one_replica_goes_on_when_two_of_three_nodes_are_lost(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    lab = cluster.lab
    with client(cluster.deployment) as registry:
        digest = pull(registry, "kept/image")
    lab[2].power_off()
    lab[3].power_off()
    with client(cluster.deployment) as registry:
        assert pull(registry, "kept/image") == digest, "the replica serves all the time"
    told = eventually(lambda: _without_leader(cluster), 60, what="the swarm notices that it has no leader")
    assert "msrctl emergency-repair" in told
    run.refused(lab[1], 2, "CONFIRM", "emergency-repair")
    began = time.monotonic()
    done = run.data(lab[1], "emergency-repair", "--yes")
    record_property("repair_seconds", round(time.monotonic() - began, 1))
    assert done["forced"]
    assert sorted(done["nodes"]) == ["node2", "node3"]
    assert len(done["removed"]) == 2
    assert replicas(cluster) == ["node1"]
    status = run.data(lab[1], "status")
    assert status["healthy"]
    assert status["drift"] == []
    assert [n["Description"]["Hostname"] for n in lab[1].client.api.nodes()] == ["node1"]
    assert eventually(lambda: look.tidy(lab[1]), 30)
    with client(cluster.deployment) as registry:
        assert pull(registry, "kept/image") == digest
        push(registry, "pushed/since")
    run.refused(lab[1], 6, "QUORUM", "emergency-repair", "--yes")


def _without_leader(cluster: Cluster) -> str:
    done = cluster.lab[1].msrctl("status")
    assert done.returncode == 5, done.stderr
    assert "NO-LEADER" in done.stderr
    return done.stderr


def test_nodes_that_come_back_join_again(cluster: Cluster) -> None:
    lab = cluster.lab
    for number in (2, 3):
        # Off the network: two of the three old managers would be a swarm of their own.
        lab[number].link(False)
        lab[number].power_on()
        lab[number].start_docker()
        lab[number].wait_docker()
        lab[number].client.api.leave_swarm(force=True)
        renew_engine(lab[number])
        lab[number].link(True)
    for number in (2, 3):
        lab.join(number)
        eventually(lambda number=number: lab.nodes_ready() == number, 60)  # type: ignore[misc]
        lab[1].msrctl("join", "--ucp-node", f"node{number}", "--shared-storage-path", check=0)
    assert replicas(cluster) == ["node1", "node2", "node3"]
    for number in (1, 2, 3):
        with client(cluster.seen_at(number)) as registry:
            assert pull(registry, "kept/image")
            assert pull(registry, "pushed/since")
