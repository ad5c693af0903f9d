"""A switch of the storage keeps every tag or changes nothing; nothing is erased that was not asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import look, run, stores
from support.pushes import PushLoop
from support.use import PullLoop, client, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labs.engines import Lab

STORE = "--dtr-storage-volume"
NAMED = "images-of-mine"


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1])
    stores.fill(deployment)
    return deployment


@pytest.fixture(autouse=True)
def whole(deployed: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test did: afterwards it serves, nothing is left over, the gate is open."""
    monkeypatch.chdir(tmp_path)  # where msrctl writes its lists
    eventually(lambda: look.quiet(deployed.host), 20)
    yield
    data = run.data(deployed.host, "status")
    assert data["healthy"]
    assert data["replicas"][0]["drift"] == data["drift"] == []
    assert look.tidy(deployed.host)
    assert stores.gate(deployed) == []


@pytest.fixture
def untouched(deployed: Deployment) -> Iterator[None]:
    """What a refusal must leave as it was: everything on the engine, every file of the store in use."""
    host = deployed.host
    eventually(lambda: no_one_shot(deployed), 20)
    before = look.objects(host), stores.listing(stores.root(deployed))
    yield
    eventually(lambda: same_objects(deployed, before[0]), 30)
    assert stores.listing(stores.root(deployed)) == before[1]


def no_one_shot(deployment: Deployment) -> bool:
    listed = deployment.host.client.api.containers(all=True)
    assert not [c for c in listed if "msrctl-run" in c["Names"][0]]
    return True


def same_objects(deployment: Deployment, before: dict[str, object]) -> bool:
    # The containers of one-shots and of a registry that stood in leave some seconds after their services.
    assert look.objects(deployment.host) == before
    return True


def switch(deployment: Deployment, target: str | Path, *flags: str) -> dict[str, object]:
    """Switches, and checks all that must be so after any switch that keeps the tags."""
    host = deployment.host
    old, tags, before = stores.root(deployment), stores.pulled(deployment), look.document(host)
    files = stores.listing(old)
    data: dict[str, object] = run.data(host, "reconfigure", STORE, str(target), *flags)
    assert data["outcome"] == "done"
    new = stores.root(deployment)
    assert new != old
    assert stores.pulled(deployment) == tags
    assert stores.listing(old) == files, "the old store is as it was"
    after = look.document(host)
    assert after["previous_storage"] == before["storage"]
    marked = stores.marker(new)
    assert marked is not None
    assert (marked["store"], marked["cluster"]) == (after["storage"]["store_id"], after["id"])
    assert after["storage"]["store_id"] != before["storage"]["store_id"]
    mounts = look.service(host, "registry", deployment.replica_id)["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert str(target or f"dtr-registry-{deployment.replica_id}") in [
        m.get("Source") for m in mounts["Mounts"]
    ]
    assert look.tidy(host)
    assert stores.gate(deployment) == []
    return data


def foreign(deployment: Deployment, name: str) -> Path:
    """A copy of the store in use that is marked as another cluster's."""
    place = stores.directory(deployment.host, name)
    shutil.copytree(stores.root(deployment) / "docker", place / "docker")
    marker = {"store": "5" * 12, "cluster": "4" * 12, "url": "https://registry.elsewhere", "since": "2026"}
    (place / stores.MARKER).write_text(json.dumps(marker))
    return place


# -- refusals


@pytest.mark.usefixtures("untouched")
def test_a_store_that_is_no_exact_copy_is_refused_with_the_list(deployed: Deployment, tmp_path: Path) -> None:
    place = stores.directory(deployed.host, "empty")
    told = run.refused(deployed.host, 7, "STORE-INCOMPLETE", "reconfigure", STORE, str(place))
    for words in ("Nothing was changed", "--migrate-storage", "team0/app:v0 cannot be pulled"):
        assert words in told
    rest, file = re.findall(r"\.\.\. and ([0-9,]+) more; the whole list: (\S+)", told)[0]
    written = json.loads((tmp_path / file).read_text())
    assert int(rest.replace(",", "")) + 20 == len(written["broken_tags"]) + len(written["differences"])
    assert stores.listing(place) == {}


@pytest.mark.usefixtures("untouched")
def test_a_store_with_an_older_tag_is_refused(deployed: Deployment) -> None:
    # All blobs are there; one tag names another image of the same repository.
    place = stores.directory(deployed.host, "older")
    shutil.copytree(stores.root(deployed) / "docker", place / "docker")
    tags = place / "docker/registry/v2/repositories/team0/app/_manifests/tags"
    (tags / "v0/current/link").write_bytes((tags / "v1/current/link").read_bytes())
    told = run.refused(deployed.host, 7, "STORE-INCOMPLETE", "reconfigure", STORE, str(place))
    assert "team0/app:v0" in told


@pytest.mark.usefixtures("untouched")
def test_an_empty_store_is_never_one_that_was_migrated(deployed: Deployment) -> None:
    place = stores.directory(deployed.host, "empty")
    arguments = ("reconfigure", STORE, str(place), "--storage-migrated")
    told = run.refused(deployed.host, 7, "STORE-EMPTY", *arguments)
    assert "--reinitialize-storage" in told
    assert stores.listing(place) == {}


@pytest.mark.usefixtures("untouched")
def test_contradicting_flags_are_a_usage_error(deployed: Deployment) -> None:
    place = stores.directory(deployed.host, "empty")
    flags = ("--storage-migrated", "--reinitialize-storage")
    found = run.document(deployed.host, "reconfigure", STORE, str(place), *flags, check=2)
    assert found["exit_code"] == 2


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ["its own", "files of its volume", "a link", "a bind mount"])
def test_the_store_in_use_is_never_erased_by_whatever_name(name: str, deployed: Deployment) -> None:
    host, used = deployed.host, stores.root(deployed)
    target = {"its own": f"dtr-registry-{deployed.replica_id}", "files of its volume": str(used)}.get(name)
    if name == "a link":
        link = stores.directory(host, "link") / "to"
        link.symlink_to(used)
        target = str(link)
    if name == "a bind mount":
        target = str(stores.directory(host, "bound"))
        host.run("mount", "--bind", str(used), target)
    try:
        arguments = ("reconfigure", STORE, str(target), "--reinitialize-storage")
        told = run.refused(host, 6, "STORE-IN-USE", *arguments)
    finally:
        if name == "a bind mount":
            host.run("umount", str(target))
    assert "is the store in use" in told


def test_the_store_in_use_by_another_name_is_no_switch(deployed: Deployment) -> None:
    # Not with an exact copy of itself, nor by copying to itself: there is nothing to compare or to hold.
    host, used, tags = deployed.host, stores.root(deployed), stores.pulled(deployed)
    before, files = look.document(host), stores.images(used)
    for target in (str(used), ""):
        data = run.data(host, "reconfigure", STORE, target, "--migrate-storage")
        assert not [s for s in data["plan"] if s["kind"] in {"gate", "store", "proxy"}], data["plan"]
        assert stores.pulled(deployed) == tags
        assert stores.images(used) == files
        assert look.document(host)["previous_storage"] == before["previous_storage"]


@pytest.mark.usefixtures("untouched")
def test_a_store_of_another_cluster_is_refused(deployed: Deployment) -> None:
    place = foreign(deployed, "foreign")
    before = stores.listing(place)
    for flags in ((), ("--migrate-storage",), ("--storage-migrated",), ("--reinitialize-storage",)):
        told = run.refused(deployed.host, 6, "STORE-OWNED", "reconfigure", STORE, str(place), *flags)
        assert "https://registry.elsewhere" in told
        assert "--adopt-storage" in told
    assert stores.listing(place) == before


@pytest.mark.usefixtures("untouched")
def test_a_copy_never_removes_tags_that_only_the_target_has(deployed: Deployment) -> None:
    place = stores.directory(deployed.host, "has-more")
    shutil.copytree(stores.root(deployed) / "docker", place / "docker")
    repositories = place / "docker/registry/v2/repositories"
    shutil.copytree(repositories / "team0", repositories / "others")
    before = stores.listing(place)
    arguments = ("reconfigure", STORE, str(place), "--migrate-storage")
    told = run.refused(deployed.host, 7, "STORE-NOT-EMPTY", *arguments)
    assert "others/app:v0" in told
    assert stores.listing(place) == before


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("target", ["directory", "volume"])
def test_a_dry_run_leaves_nothing(target: str, deployed: Deployment) -> None:
    place = stores.directory(deployed.host, "dry")
    where = {"directory": str(place), "volume": "dry-run-volume"}[target]
    for flags in (("--migrate-storage",), ("--reinitialize-storage",)):
        data = run.data(deployed.host, "reconfigure", STORE, where, *flags, "--dry-run")
        assert data["dry_run"]
        assert [s for s in data["plan"] if s["kind"] == "gate"]
    assert stores.listing(place) == {}


@pytest.mark.usefixtures("untouched")
def test_a_corrupt_blob_is_told_with_its_digest_and_nothing_is_switched(deployed: Deployment) -> None:
    host = deployed.host
    place = stores.directory(host, "from-corrupt")
    blob = stores.one_blob(stores.root(deployed))
    good = blob.read_bytes()
    blob.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        told = run.refused(host, 7, "STORE-CORRUPT", "reconfigure", STORE, str(place), "--migrate-storage")
    finally:
        blob.write_bytes(good)
    assert f"sha256:{blob.parent.name}" in told
    # What was copied stays for the next try; the corrupt one is not among it.
    assert blob.parent.name not in {path.parent.name for path in place.rglob("data")}


BREAKS = {
    "full": ("the new store's disk fills up", "no space left on device"),
    "read-only": ("the new store becomes read-only", "read-only file system"),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("step", ["copy", "delta"])
def test_a_new_store_that_fails_in_the_middle_is_left_and_the_old_one_serves(
    how: str, step: str, deployed: Deployment
) -> None:
    host = deployed.host
    place = host.small_disk(f"disk-{how}-{step}", 300)
    tags = stores.pulled(deployed)
    command = {
        "full": "head -c 400M /dev/zero >$0/fill || :",
        "read-only": "mount -o remount,ro $0",
    }[how]
    inside = host._inside(["sh", "-c", command, place])
    # The calls for the stores: check, what is there, copy, (the probe of the stand-in,) the rest.
    plan = {
        "at": "create configs dtr-store-old",
        "nth": {"copy": 2, "delta": 3}[step],
        "calls": inside,
    }
    arguments = ("reconfigure", STORE, place, "--migrate-storage")
    done = run.trapped(host, plan, "--output", "json", *arguments)
    host.run("umount", "-l", place)
    assert done.returncode == 8, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert BREAKS[how][1] in "\n".join((error["message"], *error["details"])).lower(), error
    assert "what ran before still runs" in error["state"]
    assert "damaged" not in error["hint"]
    assert stores.pulled(deployed) == tags


@pytest.mark.usefixtures("untouched")
def test_an_old_store_that_cannot_be_read_is_left_serving_what_it_can(deployed: Deployment) -> None:
    # As a bad disk is: one blob answers with an error. Here a directory stands in its place.
    host = deployed.host
    place = stores.directory(host, "from-bad")
    blob = stores.one_blob(stores.root(deployed))
    kept = blob.with_name("kept")
    blob.rename(kept)
    blob.mkdir()
    try:
        done = run.document(host, "reconfigure", STORE, str(place), "--migrate-storage")
    finally:
        blob.rmdir()
        kept.rename(blob)
    assert done["exit_code"] in {7, 8}, done
    assert blob.parent.name in json.dumps(done["error"])


@pytest.mark.usefixtures("untouched")
def test_a_store_that_hangs_ends_the_switch_in_time_and_is_left_serving(deployed: Deployment) -> None:
    # As a mount whose server has gone: whoever opens the file waits. Here it is a pipe that nobody writes to.
    host = deployed.host
    place = stores.directory(host, "from-hanging")
    blob = stores.one_blob(stores.root(deployed))
    kept = blob.with_name("kept")
    blob.rename(kept)
    os.mkfifo(blob)
    began = time.monotonic()
    try:
        arguments = ("reconfigure", STORE, str(place), "--migrate-storage", "--max-wait", "30s")
        told = run.refused(host, 8, "STORE-STALLED", *arguments)
    finally:
        blob.unlink()
        kept.rename(blob)
    assert time.monotonic() - began < 150
    assert "nothing goes on any more at" in told
    assert str(place) in told
    assert "what ran before still runs" in told


# -- switches; each starts where the one before has ended


def test_volume_to_directory_and_to_a_named_volume_and_back(deployed: Deployment) -> None:
    host = deployed.host
    place = stores.directory(host, "first")
    switch(deployed, place, "--migrate-storage")
    again = run.data(host, "reconfigure", STORE, str(place), "--migrate-storage")
    assert (again["outcome"], again["changed"]) == ("nothing to do", False)
    with client(deployed) as registry:
        push(registry, "later/one")
    switch(deployed, NAMED, "--migrate-storage")
    switch(deployed, "", "--migrate-storage")
    assert "later/one:1" in stores.pulled(deployed)


def test_an_exact_copy_made_by_hand_is_accepted(deployed: Deployment) -> None:
    place = stores.directory(deployed.host, "by-hand")
    shutil.copytree(stores.root(deployed), place, dirs_exist_ok=True)
    switch(deployed, place)
    # That one has a marker, and a copy of it has the same: it is another store all the same.
    other = stores.directory(deployed.host, "by-hand-again")
    shutil.copytree(place, other, dirs_exist_ok=True)
    switch(deployed, other)


def test_reinitialize_erases_the_tags_of_the_new_store_and_only_there(deployed: Deployment) -> None:
    host = deployed.host
    old, files = stores.root(deployed), stores.listing(stores.root(deployed))
    place = stores.directory(host, "to-be-erased")
    shutil.copytree(stores.root(deployed) / "docker", place / "docker")
    (place / "mine.txt").write_text("not an image")
    run.data(host, "reconfigure", STORE, str(place), "--reinitialize-storage")
    assert stores.pulled(deployed) == {}
    assert stores.images(place) == {}
    assert (place / "mine.txt").exists()
    assert stores.listing(old) == files
    run.data(host, "reconfigure", STORE, str(old), "--storage-migrated")
    assert stores.pulled(deployed)


def test_a_store_that_lacks_a_layer_is_taken_with_warnings_when_that_is_said(deployed: Deployment) -> None:
    host = deployed.host
    old, tags = stores.root(deployed), stores.pulled(deployed)
    place = stores.directory(host, "lacks-a-layer")
    shutil.copytree(old / "docker", place / "docker")
    layer = stores.one_blob(place).parent
    shutil.rmtree(layer)
    found = run.data(host, "reconfigure", STORE, str(place), "--storage-migrated")
    assert any(layer.name in line for line in found["warnings"]), found["warnings"]
    with client(deployed) as registry:
        assert len(registry.catalog()) == len({tag.rsplit(":", 1)[0] for tag in tags})
    # Back, for the tests that follow.
    run.data(host, "reconfigure", STORE, str(old), "--storage-migrated")
    assert stores.pulled(deployed) == tags


def test_another_cluster_s_store_is_taken_over_when_that_is_said(deployed: Deployment) -> None:
    place = foreign(deployed, "adopted")
    switch(deployed, place, "--adopt-storage")
    marked = stores.marker(place)
    assert marked
    assert marked["url"] == deployed.url


# The last one: it leaves many tags.
def test_no_push_is_lost_and_no_pull_fails_under_load(
    deployed: Deployment, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    host = deployed.host
    authority = tmp_path / "ca.pem"
    authority.write_text(deployed.ca)
    place = stores.directory(host, "loaded")
    with client(deployed) as registry:
        push(registry, "stays/here")
    with PullLoop(deployed, "stays/here") as pulls, PushLoop(deployed, authority) as pushes:
        eventually(lambda: len(pushes.acknowledged) > 10, 30)
        done = host.msrctl("reconfigure", STORE, str(place), "--migrate-storage", check=0)
        count = len(pushes.acknowledged)
        eventually(lambda: len(pushes.acknowledged) > count + 5, 30)
    frozen = float(re.findall(r"frozen for ([0-9.]+) s", done.stderr)[0])
    record_property("frozen_seconds", frozen)
    record_property("pulls", pulls.pulls)
    record_property("pushes", len(pushes.acknowledged))
    record_property("pushes_held", len(pushes.held))
    assert pulls.failures == []
    assert pushes.failures == []
    assert pushes.held, "the freeze was seen"
    assert {h.retry_after for h in pushes.held} == {"5"}
    assert pushes.window <= frozen + 0.5
    assert stores.lacks(deployed, pushes.acknowledged) == []
