"""destroy takes away all but the images, says what it keeps, and is run again when it was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.use import client, pull, push

from labs.deployment import install
from labs.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host

REPLICA = "d00d00d00d00"
VOLUME = f"dtr-registry-{REPLICA}"


def test_destroy_asks_and_there_is_nobody_to_ask(bare: Host) -> None:
    deployment = install(bare, "--replica-id", REPLICA)
    before = look.objects(bare)
    run.refused(bare, 2, "CONFIRM", "destroy")
    run.refused(bare, 2, "CONFIRM", "destroy", "--remove-data", "--replica-id", REPLICA)
    run.refused(bare, 6, "NO-REPLICA", "destroy", "--yes", "--replica-id", "ffffffffffff")
    plan = run.data(bare, "destroy", "--dry-run", "--remove-data")["plan"]
    assert f"remove volume {VOLUME}" in [step["title"] for step in plan]
    assert look.objects(bare) == before

    # The replica's id is confirmation enough for what can be had again, and the volume stays.
    with client(deployment) as registry:
        digest = push(registry, "kept/app")
    data = run.data(bare, "destroy", "--replica-id", REPLICA)
    assert data["kept_volumes"] == [VOLUME]
    assert look.objects(bare)["volumes"] == [VOLUME]
    assert look.objects(bare)["swarm"] == "inactive", "install had made the swarm"
    eventually(lambda: look.objects(bare)["containers"] == [], 10)

    # An install of the same id takes the images up again; --remove-data ends them.
    again = install(bare, "--replica-id", REPLICA)
    with client(again) as registry:
        assert pull(registry, "kept/app") == digest
    run.data(bare, "destroy", "--yes", "--remove-data")
    eventually(lambda: look.empty(bare), 10)


def test_what_is_not_ours_stays(bare: Host, lab: Lab, tmp_path: Path) -> None:
    lab.swarm()
    api = bare.client
    api.volumes.create("precious")
    api.networks.create("theirs", driver="overlay")
    api.configs.create(name="their-config", data=b"x")
    install(bare, "--dtr-storage-volume", "precious")
    data = run.data(bare, "destroy", "--yes", "--remove-data")
    assert "volume precious" not in data["removed"]
    assert look.objects(bare)["volumes"] == ["precious"]
    assert look.names(bare, "configs") == ["their-config"]
    assert [name for name, _ in look.objects(bare)["networks"]] == ["theirs"]
    assert look.objects(bare)["swarm"] == "active", "the swarm was there before"


def test_a_default_volume_that_somebody_else_made_stays(clean: Host) -> None:
    clean.client.volumes.create(VOLUME)
    install(clean, "--replica-id", REPLICA)
    run.data(clean, "destroy", "--yes", "--remove-data")
    assert look.objects(clean)["volumes"] == [VOLUME]


def test_a_destroy_that_is_killed_again_and_again_comes_to_its_end(clean: Host) -> None:
    install(clean, "--replica-id", REPLICA)
    arguments = ("destroy", "--yes", "--remove-data")
    # `remove` finds objects by id, so the moments are counted: after the first service, the volume, ...
    for kind in ("services", "volumes", "secrets", "networks", "configs", "configs"):
        done = run.trapped(clean, {"at": f"remove {kind}", "after": True}, *arguments)
        assert done.returncode == run.KILLED, (kind, done.stderr)
        assert clean.msrctl("status").returncode in {6, 10}
    assert clean.msrctl(*arguments).returncode in {0, 6}
    eventually(lambda: look.empty(clean), 15)


@pytest.mark.parametrize("operation", ["install", "reconfigure"])
def test_destroy_of_what_was_interrupted_leaves_nothing(operation: str, clean: Host) -> None:
    if operation == "install":
        done = run.trapped(clean, {"at": "create services dtr-nginx"}, "install", env=run.WITH_PASSWORD)
    else:
        install(clean)
        done = run.trapped(clean, {"at": "update services dtr-nginx"}, "reconfigure", "--enable-pprof")
    assert done.returncode == run.KILLED
    # And killed once more, with everything gone but the journal.
    last = {"at": "remove configs", "after": True}
    while clean.msrctl("destroy", "--dry-run").returncode == 0:
        done = run.trapped(clean, last, "destroy", "--yes", "--remove-data")
        assert done.returncode in {0, run.KILLED}, done.stderr
    # The lock of the last one that was killed may be left: no dry run takes it.
    clean.msrctl("destroy", "--yes", "--remove-data")
    eventually(lambda: look.empty(clean), 15)


def test_nothing_to_destroy(bare: Host, lab: Lab) -> None:
    for made in (False, True):
        if made:
            lab.swarm()
        found = run.document(bare, "destroy", "--yes", check=6)
        assert found["error"]["code"] == "NOT-INSTALLED"
