"""A drill proves a backup beside a registry that serves, touches nothing of it, and leaves nothing."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import look, run, stores
from support.use import PullLoop, client, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.host import msrctl_command
from labs.system import eventually
from msrctl import __version__

if TYPE_CHECKING:
    from labs.engines import Lab
    from labs.host import Host

PASSPHRASE = {"MSRCTL_BACKUP_PASSPHRASE": "a passphrase for tests"}
TAGS = 4
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "backup" / "msrctl-backup.sh"


class Live:
    """A registry that serves, and two backups of it."""

    def __init__(self, deployment: Deployment, directory: Path) -> None:
        self.deployment = deployment
        self.host = deployment.host
        with client(deployment) as registry:
            for number in range(TAGS):
                push(registry, f"team/app{number}")
        self.plain = str(directory / "plain.tar")
        self.full = str(directory / "full.tar")
        self.host.msrctl("backup", "--output-file", self.plain, check=0)
        arguments = ("--include-images", "--encrypt", "--output-file", self.full)
        self.host.msrctl("backup", *arguments, env=PASSPHRASE, check=0)
        eventually(lambda: look.quiet(self.host), 30)
        self.before = look.objects(self.host)
        self.store = stores.listing(stores.root(deployment))

    def is_untouched(self) -> None:
        eventually(lambda: look.untouched(self.host, self.before), 30)
        assert stores.listing(stores.root(self.deployment)) == self.store


@pytest.fixture(scope="module")
def live(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Live:
    clean_lab(lab, leave_swarm=True)
    return Live(install(lab[1]), tmp_path_factory.mktemp("drills"))


def test_a_backup_without_layers_is_drilled_from_the_store_which_is_only_read(live: Live) -> None:
    with PullLoop(live.deployment, "team/app1") as pulls:
        found = run.data(live.host, "backup", "drill", live.plain, "--sample", "2")
    assert pulls.pulls
    assert pulls.failures == []
    assert found["passed"]
    assert found["restored"] == TAGS
    assert len(found["pulled"]) == 2
    assert all(pull["bytes"] > 100_000 and not pull["error"] for pull in found["pulled"])
    assert found["layers_from"] == f"volume dtr-registry-{live.deployment.replica_id}"
    live.is_untouched()


def test_a_backup_with_layers_needs_no_store(live: Live) -> None:
    found = run.data(live.host, "backup", "drill", live.full, "--sample", "all", env=PASSPHRASE)
    assert found["passed"]
    assert found["encrypted"]
    assert found["layers_from"] == "the backup"
    assert len(found["pulled"]) == TAGS
    live.is_untouched()


def test_what_a_restore_would_lack_fails_the_drill_and_is_named(live: Live) -> None:
    blob = stores.one_blob(stores.root(live.deployment))
    aside = blob.with_name("aside")
    blob.rename(aside)
    try:
        done = run.document(live.host, "backup", "drill", live.plain, check=7)
    finally:
        aside.rename(blob)
    assert done["error"]["code"] == "DRILL-FAILED"
    assert [why.split()[0] for why in done["data"]["missing"].values()] == ["layer"]
    assert len(done["data"]["pulled"]) == TAGS - 1
    live.is_untouched()


def test_a_layer_that_rots_in_the_store_fails_the_drill(live: Live) -> None:
    blob = stores.one_blob(stores.root(live.deployment))
    good = blob.read_bytes()
    blob.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        done = live.host.msrctl("backup", "drill", live.plain, "--sample", "all", check=7)
    finally:
        blob.write_bytes(good)
    assert "DID NOT PASS" in done.stdout
    assert "cannot be read whole" in done.stderr
    live.is_untouched()


def test_a_port_that_is_taken_is_told_before_anything_is_made(live: Live) -> None:
    run.refused(live.host, 3, "PRE-PORT", "backup", "drill", live.plain, "--replica-https-port", "443")
    live.is_untouched()


def test_a_registry_that_does_not_start_is_taken_away_again(live: Live) -> None:
    failing = ("backup", "drill", live.plain, "--max-wait", "20s")
    done = run.trapped(live.host, {"hook": "break_nginx"}, *failing)
    assert done.returncode == 1, done.stderr
    assert "no_such_directive" in done.stderr
    assert "nothing else was touched" in done.stderr
    live.is_untouched()


@pytest.mark.parametrize("at", ["create services dtr-nginx", "remove secrets"])
def test_a_drill_that_is_killed_disturbs_nobody_and_the_next_cleans_up(at: str, live: Live) -> None:
    plan = {"at": at, "after": True}
    done = run.trapped(live.host, plan, "backup", "drill", live.plain, "--sample", "1")
    assert done.returncode == run.KILLED, done.stderr
    assert run.data(live.host, "status")["healthy"]
    live.host.msrctl("settings", "--read-only", "off", check=0)
    found = run.document(live.host, "backup", "drill", live.full, "--sample", "1", env=PASSPHRASE)
    assert found["ok"], found
    assert any("cut short" in warning for warning in found["warnings"])
    live.is_untouched()


def test_the_script_of_the_examples_backs_up_proves_and_keeps_as_many_as_it_is_told(
    live: Live, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "msrctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(msrctl_command())} "$@"\n')
    program.chmod(0o755)
    environment = live.host.environment(PASSPHRASE)
    environment |= {
        "PATH": f"{program.parent}:{environment['PATH']}",
        "BACKUP_DIRECTORY": str(tmp_path / "backups"),
        "BACKUP_METRICS": str(tmp_path / "backup.prom"),
        "BACKUP_KEEP": "1",
    }
    for _ in range(2):
        subprocess.run(["sh", str(SCRIPT)], env=environment, check=True)
    (kept,) = (tmp_path / "backups").glob("*.backup")
    assert json.loads((tmp_path / "backups" / "last.json").read_text())["data"]["encrypted"]
    assert f"msrctl_backup_bytes {kept.stat().st_size}\n" in (tmp_path / "backup.prom").read_text()
    text = live.host.msrctl("status", "--output", "prometheus", check=0).stdout
    replica = live.deployment.replica_id
    assert "\nmsrctl_healthy 1\n" in text
    assert f'msrctl_component_healthy{{replica="{replica}",node="node1",component="registry"}} 1\n' in text
    assert "\nmsrctl_certificate_expiry_timestamp_seconds 1" in text
    live.is_untouched()


def test_ctrl_c_takes_the_throw_away_registry_away(live: Live) -> None:
    plan = {"at": "create services dtr-nginx", "after": True, "then": 2}
    done = run.trapped(live.host, plan, "backup", "drill", live.plain)
    assert done.returncode == 130, done.stderr
    live.is_untouched()


def test_on_an_engine_in_no_swarm_the_swarm_is_left_again(live: Live, tmp_path: Path) -> None:
    """Last: the registry is gone then."""
    host: Host = live.host
    plain, full = tmp_path / "plain.tar", tmp_path / "full.tar"
    shutil.copy(live.plain, plain)
    shutil.copy(live.full, full)
    host.msrctl("destroy", "--replica-id", live.deployment.replica_id, "--yes", "--remove-data", check=0)
    assert host.client.info()["Swarm"]["LocalNodeState"] == "inactive"
    told = run.refused(host, 6, "DRILL-STORE", "backup", "drill", str(plain))
    assert "--include-images" in told
    assert run.data(host, "backup", "drill", str(full), env=PASSPHRASE)["passed"]
    assert host.client.info()["Swarm"]["LocalNodeState"] == "inactive"
    eventually(lambda: look.empty(host), 30)
    assert host.client.images.list(f"msrctl/msr:{__version__}")
