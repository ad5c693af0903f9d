"""Several replicas on several engines: join, use, remove; what is refused or fails leaves no trace."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.stores.full_registry import REFERENCE
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.engines import Lab
    from labs.host import Host

pytest_plugins = ("labs.stores.fixtures",)

SECOND = "bbbbbbbbbbbb"


@dataclass
class Cluster:
    """A registry on a directory that all three engines see."""

    lab: Lab
    first: Deployment
    place: Path

    @property
    def host(self) -> Host:
        return self.lab[1]

    @property
    def hosts(self) -> list[Host]:
        return [self.lab[number] for number in (1, 2, 3)]

    def seen_at(self, number: int) -> Deployment:
        """The registry as the replica of that host serves it."""
        return replace(self.first, host=self.lab[number])

    def replicas(self) -> list[str]:
        return [r["node"] for r in run.data(self.host, "status")["replicas"]]


@pytest.fixture(scope="module")
def cluster(three_engines: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    clean_lab(three_engines)
    place = tmp_path_factory.mktemp("shared")
    yield Cluster(three_engines, install(three_engines[1], "--dtr-storage-volume", str(place)), place)
    shutil.rmtree(place, ignore_errors=True)


def settled(cluster: Cluster) -> list[dict[str, object]]:
    """What the engines hold when the containers of earlier one-shots have left."""

    def left() -> bool:
        label = {"label": "io.msrctl.component=oneshot"}
        assert [h.client.api.containers(all=True, filters=label) for h in cluster.hosts] == [[], [], []]
        return look.quiet(cluster.host)

    eventually(left, 30)
    return [look.objects(host) for host in cluster.hosts]


def refused(cluster: Cluster, exit_code: int, code: str, *args: str) -> str:
    """A join or remove that is refused, and touches nothing on any engine."""
    before = settled(cluster)
    told = run.refused(cluster.host, exit_code, code, *args)
    for host, found in zip(cluster.hosts, before, strict=True):
        eventually(lambda host=host, found=found: look.untouched(host, found), 30)  # type: ignore[misc]
    return told


def test_a_directory_may_be_one_nodes_own_unless_that_is_said_otherwise(cluster: Cluster) -> None:
    told = refused(cluster, 6, "STORE-NODE-LOCAL", "join", "--ucp-node", "node2")
    assert "--shared-storage-path" in told


@pytest.mark.parametrize(
    ("node", "exit_code", "code"),
    [("node1", 6, "NODE-TAKEN"), ("nobody", 3, "PRE-NODE")],
)
def test_only_a_free_node_of_the_swarm_is_joined(
    node: str, exit_code: int, code: str, cluster: Cluster
) -> None:
    refused(cluster, exit_code, code, "join", "--ucp-node", node, "--shared-storage-path")


def test_a_node_that_sees_another_store_under_the_same_name_is_refused(cluster: Cluster) -> None:
    other = cluster.lab[2]
    other.run("mount", "-t", "tmpfs", "none", str(cluster.place))
    try:
        told = run.refused(
            cluster.host, 7, "STORE-OTHER", "join", "--ucp-node", "node2", "--shared-storage-path"
        )
        assert "node2" in told
    finally:
        other.run("umount", str(cluster.place))
    assert cluster.replicas() == ["node1"]


def test_a_node_that_no_packet_comes_back_from_is_refused_soon(cluster: Cluster) -> None:
    other = cluster.lab[2]
    closed = ("INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP")
    other.run("iptables", "-I", *closed)
    began = time.monotonic()
    try:
        told = refused(cluster, 3, "PRE-OVERLAY", "join", "--ucp-node", "node2", "--shared-storage-path")
    finally:
        other.run("iptables", "-D", *closed)
    assert time.monotonic() - began < 30
    assert "4789/udp" in told
    assert eventually(lambda: look.tidy(cluster.host), 20)
    assert cluster.replicas() == ["node1"]


def test_a_node_that_lacks_the_image_of_another_registry_is_refused(
    cluster: Cluster, full_registry_image: Path
) -> None:
    cluster.host.load(full_registry_image)
    run.data(cluster.host, "reconfigure", "--registry-image", REFERENCE)
    told = refused(cluster, 3, "PRE-IMAGE", "join", "--ucp-node", "node2", "--shared-storage-path")
    assert "docker load on node2" in told
    run.data(cluster.host, "reconfigure", "--registry-image", "")
    assert cluster.replicas() == ["node1"]


def _take_image_away(host: Host, cluster: Cluster) -> str:
    """The image that the replicas run, which this host then lacks; returns its id."""
    image = str(look.document(cluster.host)["replicas"][0]["image"])
    if any(found.id == image for found in host.client.images.list()):
        host.client.images.remove(image, force=True)
    return image


def test_a_node_that_lacks_the_image_is_refused_and_how_to_send_it_is_said(cluster: Cluster) -> None:
    _take_image_away(cluster.lab[2], cluster)
    join = ("join", "--ucp-node", "node2", "--shared-storage-path")
    told = refused(cluster, 3, "PRE-IMAGE", *join)
    assert "--node-engine ssh://USER@node2" in told
    told = refused(cluster, 3, "PRE-NODE-ENGINE", *join, "--node-engine", cluster.lab[3].url)
    assert cluster.lab[3].sock in told
    told = refused(cluster, 3, "PRE-IMAGE", *join, "--node-engine", cluster.lab[2].url, "--dry-run")
    assert "--dry-run" in told


def test_the_image_is_sent_to_a_node_that_lacks_it_before_anything_is_changed(cluster: Cluster) -> None:
    image = _take_image_away(cluster.lab[2], cluster)
    join = ("join", "--ucp-node", "node2", "--shared-storage-path", "--max-wait", "20s")
    done = run.trapped(cluster.host, {"hook": "break_nginx"}, *join, "--node-engine", cluster.lab[2].url)
    assert done.returncode == 8, done.stderr
    assert cluster.lab[2].client.images.get(image).id == image
    assert cluster.replicas() == ["node1"]


def test_a_join_that_fails_leaves_no_trace(cluster: Cluster) -> None:
    before = settled(cluster)
    join = ("join", "--ucp-node", "node2", "--shared-storage-path", "--max-wait", "20s")
    done = run.trapped(cluster.host, {"hook": "break_nginx"}, *join)
    assert done.returncode == 8, done.stderr
    for host, found in zip(cluster.hosts, before, strict=True):
        eventually(lambda host=host, found=found: look.untouched(host, found), 60)  # type: ignore[misc]
    assert run.data(cluster.host, "status")["healthy"]


def test_replicas_that_join_serve_what_the_others_were_pushed(cluster: Cluster) -> None:
    second = cluster.host.msrctl(
        *("join", "--ucp-node", "node2", "--shared-storage-path", "--replica-id", SECOND), check=0
    )
    assert f"Replica ID is set to: {SECOND}" in second.stdout
    cluster.host.msrctl("join", "--shared-storage-path", check=0)  # the only node that is free
    assert cluster.replicas() == ["node1", "node2", "node3"]
    for number in (1, 2, 3):
        with client(cluster.seen_at(number)) as registry:
            push(registry, f"from/{number}")
    for number in (1, 2, 3):
        with client(cluster.seen_at(number)) as registry:
            assert all(pull(registry, f"from/{other}") for other in (1, 2, 3))
    assert run.data(cluster.host, "status")["healthy"]
    assert look.tidy(cluster.host)


def test_several_replicas_do_not_move_to_what_may_be_one_nodes_own(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    told = refused(
        cluster, 6, "STORE-NODE-LOCAL", "reconfigure", "--dtr-storage-volume", str(other), "--migrate-storage"
    )
    assert "NFS or an object store" in told
    assert list(other.iterdir()) == []


def test_read_only_is_in_force_at_every_replica(cluster: Cluster) -> None:
    cluster.host.msrctl("settings", "--read-only", "on", check=0)
    for number in (1, 2, 3):
        with client(cluster.seen_at(number)) as registry:
            assert pull(registry, "from/1")
            with pytest.raises(Exception, match="405"):
                push(registry, f"refused/{number}")
    cluster.host.msrctl("settings", "--read-only", "off", check=0)
    with client(cluster.seen_at(2)) as registry:
        assert push(registry, "taken/again")


def test_removed_replicas_go_and_the_last_one_is_not_removed(cluster: Cluster) -> None:
    refused(cluster, 6, "NO-REPLICA", "remove", "--replica-ids", "0" * 12)
    cluster.host.msrctl("remove", "--replica-ids", SECOND, check=0)
    assert cluster.replicas() == ["node1", "node3"]
    assert look.tidy(cluster.host)
    left = [r["replica_id"] for r in run.data(cluster.host, "status")["replicas"]]
    refused(cluster, 6, "LAST-REPLICA", "remove", "--replica-ids", ",".join(left))
    with client(cluster.seen_at(3)) as registry:
        assert pull(registry, "from/2")
