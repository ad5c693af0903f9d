"""A backup is proven by what a restore of it serves: the same digests, accounts and CA, or nothing at all."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.use import PullLoop, client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.host import docker_command, msrctl_command
from labs.system import eventually
from msrctl import __version__

if TYPE_CHECKING:
    from labs.engines import Lab
    from labs.host import Host

PASSPHRASE = {"MSRCTL_BACKUP_PASSPHRASE": "a passphrase for tests"}
DEFAULT = "--dtr-use-default-storage"


class Kept:
    """A registry that is backed up once; the tests destroy it and make it again."""

    def __init__(self, deployment: Deployment, directory: Path) -> None:
        self.deployment = deployment
        self.host = deployment.host
        with client(deployment) as registry:
            self.digests = {f"team/app{n}": push(registry, f"team/app{n}") for n in range(3)}
        self.plain = str(directory / "plain.tar")
        self.full = str(directory / "full.tar")
        self.host.msrctl("backup", "--output-file", self.plain, check=0)
        with PullLoop(deployment, "team/app1") as pulls:
            arguments = ("--include-images", "--offline-backup", "--encrypt", "--output-file", self.full)
            self.host.msrctl("backup", *arguments, env=PASSPHRASE, check=0)
        self.failures = pulls.failures

    def destroy(self, *more: str) -> None:
        self.host.msrctl("destroy", "--replica-id", self.deployment.replica_id, "--yes", *more, check=0)

    def serves(self) -> dict[str, str]:
        """What clients get who know nothing of a restore: same CA, same password."""
        with client(self.deployment) as registry:
            return {name: pull(registry, name) for name in self.digests}


@pytest.fixture(scope="module")
def kept(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    clean_lab(lab, leave_swarm=True)
    return Kept(install(lab[1]), tmp_path_factory.mktemp("backups"))


def nothing_is_left(host: Host) -> None:
    info = json.loads(look_at(host, "info", "--format", "{{json .Swarm}}"))
    assert info["LocalNodeState"] == "inactive"
    eventually(lambda: look_at(host, "ps", "--all", "--quiet") == "", 30, what="no container is left")


def look_at(host: Host, *args: str) -> str:
    done = subprocess.run(
        [docker_command(), *args], env=host.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_pulls_go_on_while_a_backup_is_made(kept: Kept) -> None:
    assert kept.failures == []


def test_a_backup_proves_itself_and_tells_what_it_holds_without_an_engine(kept: Kept) -> None:
    found = run.data(kept.host, "backup", "verify", kept.plain)
    assert (found["content"]["tags"], found["content"]["layers"]) == (3, 0)
    assert not found["encrypted"]
    found = run.data(kept.host, "backup", "show", kept.full, env=PASSPHRASE)
    assert found["encrypted"]
    assert found["content"]["layers"] == 4
    assert found["tags"] == dict.fromkeys(kept.digests, 1)
    text = json.dumps(found)
    assert "PRIVATE KEY" not in text
    assert "$2" not in text


def test_a_backup_goes_to_a_pipe_and_its_last_line_tells_that_it_is_whole(kept: Kept) -> None:
    environment = kept.host.environment()
    made = subprocess.run(msrctl_command("backup"), env=environment, capture_output=True, check=True)
    assert b"Backup complete" in made.stderr.splitlines()[-1]
    checked = subprocess.run(
        msrctl_command("backup", "verify", "-"),
        input=made.stdout,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert b"- is whole" in checked.stdout


def test_a_backup_into_a_pipe_that_nobody_reads_fails_and_says_so(kept: Kept) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        msrctl_command("backup"),
        env=kept.host.environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 1
    assert b"BACKUP-WRITE" in done.stderr


def test_an_encrypted_backup_needs_its_passphrase(kept: Kept) -> None:
    run.refused(kept.host, 2, "BACKUP-ENCRYPTED", "backup", "verify", kept.full)
    wrong = {"MSRCTL_BACKUP_PASSPHRASE": "another passphrase"}
    run.refused(kept.host, 2, "BACKUP-KEY", "backup", "verify", kept.full, env=wrong)


def test_a_restore_refuses_a_registry_that_runs(kept: Kept) -> None:
    before = look.document(kept.host)
    run.refused(kept.host, 6, "ALREADY-INSTALLED", "restore", kept.plain, DEFAULT)
    assert look.document(kept.host) == before


def test_a_damaged_backup_touches_nothing(kept: Kept, tmp_path: Path) -> None:
    data = bytearray(Path(kept.plain).read_bytes())
    data[len(data) // 2] ^= 1
    bad = tmp_path / "bad.tar"
    bad.write_bytes(data)
    before = look.document(kept.host)
    run.refused(kept.host, 7, "BACKUP-DAMAGED", "restore", str(bad), DEFAULT)
    assert look.document(kept.host) == before


def test_the_replica_lost_and_the_store_kept(kept: Kept) -> None:
    with client(kept.deployment) as registry:
        newer = push(registry, "team/app0", "newer")
        moved = push(registry, "team/app1", size=5_000)
    kept.destroy()
    found = run.data(kept.host, "restore", kept.plain, DEFAULT)
    assert found["restored"] == 3
    assert found["dropped"] == {"team/app0:newer": newer}
    assert found["moved"] == {"team/app1:1": moved}
    assert kept.serves() == kept.digests
    with client(kept.deployment) as registry:
        assert registry.tags("team/app0") == ("1",)
    assert run.data(kept.host, "status")["healthy"]


def test_a_restore_that_fails_or_is_killed_keeps_the_images_and_can_be_run_again(kept: Kept) -> None:
    kept.destroy()
    broken = {"hook": "break_nginx"}
    done = run.trapped(kept.host, broken, "restore", kept.plain, DEFAULT, "--max-wait", "10s")
    assert done.returncode == 8, done.stderr
    nothing_is_left(kept.host)
    killed = {"at": "create services dtr-nginx", "after": True}
    assert run.trapped(kept.host, killed, "restore", kept.plain, DEFAULT).returncode == run.KILLED
    kept.host.msrctl("restore", kept.plain, DEFAULT, check=0)
    assert kept.serves() == kept.digests


def test_a_store_that_lacks_layers_is_told_and_nothing_is_left(kept: Kept) -> None:
    kept.destroy("--remove-data")
    text = run.refused(kept.host, 7, "RESTORE-MISSING", "restore", kept.plain, DEFAULT)
    assert "team/app2:1: layer sha256:" in text
    nothing_is_left(kept.host)
    assert "dtr-registry" not in look_at(kept.host, "volume", "ls")


def test_a_port_that_is_taken_leaves_nothing(kept: Kept) -> None:
    taken = look_at(kept.host, "run", "--detach", "--publish", "443:443", "--entrypoint", "sleep",
                    f"msrctl/msr:{__version__}", "300")  # fmt: skip
    try:
        run.refused(kept.host, 3, "PRE-PORT", "restore", kept.full, DEFAULT, env=PASSPHRASE)
    finally:
        look_at(kept.host, "rm", "--force", taken)
    nothing_is_left(kept.host)


def test_the_store_lost_and_a_backup_with_images_kept(kept: Kept) -> None:
    found = run.data(kept.host, "restore", kept.full, DEFAULT, env=PASSPHRASE)
    assert found["layers"] == 4
    assert found["restored"] == 3
    assert kept.serves() == kept.digests
    assert run.data(kept.host, "status")["healthy"]
