"""The way back from losing everything: nodes, storage, or both; each a page in docs/how-to, with its time."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.stores import storage_file
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.engines import Lab
from labs.stores import moto
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labs.host import Host
    from labs.stores.s3 import S3Store

PASSPHRASE = {"MSRCTL_BACKUP_PASSPHRASE": "a passphrase for tests"}
DEFAULT = "--dtr-use-default-storage"
TAGS = {f"team/app{number}": "1" for number in range(4)}


class Site:
    """Three nodes, a bucket, and two backups that are kept elsewhere."""

    def __init__(self, lab: Lab, bucket: S3Store, archive: Path, directory: Path) -> None:
        self.lab = lab
        self.bucket = bucket
        self.archive = archive
        self.first = install(lab[1], "--storage-config", storage_file(bucket, directory / "store.yml"))
        with client(self.first) as registry:
            self.digests = {name: push(registry, name) for name in TAGS}
        self.plain, self.full = str(directory / "plain.tar"), str(directory / "full.tar")
        lab[1].msrctl("backup", "--output-file", self.plain, check=0)
        more = ("--include-images", "--encrypt", "--output-file", self.full)
        lab[1].msrctl("backup", *more, env=PASSPHRASE, check=0)

    def lose_all_nodes(self) -> None:
        """New machines: engines with an image and nothing else."""
        clean_lab(self.lab, leave_swarm=True)

    def serves(self, number: int) -> bool:
        """Whether the replica on a node gives every image as it was, to clients who know of no restore."""
        seen: Deployment = replace(self.first, host=self.lab[number])
        with client(seen) as registry:
            assert {name: pull(registry, name) for name in TAGS} == self.digests
        return True


@pytest.fixture(scope="module")
def site(msr_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Lab(3, images=[msr_image]) as lab, moto.moto(lab.gateway) as store:
        yield Site(lab, store, msr_image, tmp_path_factory.mktemp("recovery"))


@pytest.fixture
def took(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Tells how long the way back was."""
    began = time.monotonic()
    yield
    seconds = round(time.monotonic() - began, 1)
    record_property("seconds", seconds)
    sys.stdout.write(f"{request.node.name}: {seconds} s\n")


def restored(host: Host, *args: str, env: dict[str, str] | None = None) -> float:
    """Runs restore, which must bring back every tag; returns the seconds that it took."""
    began = time.monotonic()
    found = run.data(host, "restore", *args, env=env)
    assert found["restored"] == len(TAGS)
    assert found["missing"] == {}
    seconds = time.monotonic() - began
    sys.stdout.write(f"restore: {seconds:.1f} s\n")
    return seconds


def keys(store: S3Store) -> list[str]:
    answer = store.signer.send("GET", f"{store.endpoint}/{store.container}", {"list-type": "2"})
    assert answer.ok, answer.text
    return re.findall("<Key>([^<]+)</Key>", answer.text)


def objects(store: S3Store) -> list[tuple[str, ...]]:
    """Keys with when they were written and their ETags."""
    answer = store.signer.send("GET", f"{store.endpoint}/{store.container}", {"list-type": "2"})
    return re.findall("<Key>([^<]+)</Key><LastModified>([^<]+)</LastModified><ETag>([^<]+)<", answer.text)


def copied(store: S3Store, name: str) -> S3Store:
    """Another bucket with the same objects, as the operator's own tools make it."""
    target = store.bucket(name)
    for key in keys(store):
        body = store.signer.send("GET", f"{store.endpoint}/{store.container}/{key}").content
        assert target.signer.send("PUT", f"{target.endpoint}/{target.container}/{key}", body=body).ok
    return target


def test_all_nodes_lost_and_the_store_kept(site: Site, took: None) -> None:
    site.lose_all_nodes()
    restored(site.lab[1], site.plain, DEFAULT)
    site.serves(1)
    for number in (2, 3):
        site.lab.join(number)
        began = time.monotonic()
        site.lab[1].msrctl("join", "--ucp-node", f"node{number}", check=0)
        sys.stdout.write(f"join: {time.monotonic() - began:.1f} s\n")
    assert all(site.serves(number) for number in (1, 2, 3))
    found = run.data(site.lab[1], "status")
    assert found["healthy"]
    assert len(found["replicas"]) == 3


def test_a_drill_reads_the_objects_of_a_store_and_writes_none(site: Site) -> None:
    before = objects(site.bucket)
    assert len(before) == len(keys(site.bucket))
    found = run.data(site.lab[1], "backup", "drill", site.plain, "--sample", "all")
    assert found["passed"]
    assert len(found["pulled"]) == len(TAGS)
    assert found["layers_from"].startswith("s3")
    assert objects(site.bucket) == before
    assert run.data(site.lab[1], "status")["healthy"]


def test_one_node_lost_with_its_disk(site: Site, took: None) -> None:
    lost = site.lab[3]
    replica = next(r for r in run.data(site.lab[1], "status", check=0)["replicas"] if r["node"] == "node3")
    node = lost.client.info()["Swarm"]["NodeID"]
    lost.power_off()
    down = f"node {node} is down"
    eventually(lambda: site.lab[1].client.nodes.get(node).attrs["Status"]["State"] == "down", 60, what=down)
    site.serves(1)
    site.lab[1].msrctl("remove", "--replica-ids", replica["replica_id"], "--force", "--yes", check=0)
    site.lab[1].cli("node", "demote", node)
    site.lab[1].cli("node", "rm", "--force", node)
    # The new machine: an engine without anything.
    lost.power_on()
    lost.start_docker()
    lost.cli("swarm", "leave", "--force")
    lost.cli("system", "prune", "--all", "--force", "--volumes")
    lost.load(site.archive)
    site.lab.join(3)
    site.lab[1].msrctl("join", "--ucp-node", "node3", check=0)
    assert all(site.serves(number) for number in (1, 2, 3))
    assert run.data(site.lab[1], "status")["healthy"]


def test_the_store_lost_and_a_backup_with_images_kept(site: Site, took: None) -> None:
    site.lose_all_nodes()
    for key in keys(site.bucket):
        site.bucket.signer.send("DELETE", f"{site.bucket.endpoint}/{site.bucket.container}/{key}")
    told = run.refused(site.lab[1], 7, "RESTORE-MISSING", "restore", site.plain, DEFAULT)
    assert f"{len(TAGS)} of {len(TAGS)} tags" in told
    restored(site.lab[1], site.full, DEFAULT, env=PASSPHRASE)
    site.serves(1)
    assert run.data(site.lab[1], "status")["healthy"]


def test_new_hardware_and_new_storage_at_once(site: Site, took: None, tmp_path: Path) -> None:
    new = copied(site.bucket, "moved")
    site.lose_all_nodes()
    before = keys(site.bucket)
    restored(site.lab[2], site.plain, "--storage-config", storage_file(new, tmp_path / "new.yml"))
    site.serves(2)
    assert look.document(site.lab[2])["storage"]["parameters"]["bucket"] == "moved"
    with client(replace(site.first, host=site.lab[2])) as registry:
        push(registry, "team/since")
    assert run.data(site.lab[2], "status")["healthy"]
    assert keys(site.bucket) == before
