"""A support bundle of a real deployment holds what helps and not one of its secrets."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from support import look
from support.use import client, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.host import docker_command
from labs.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from labs.engines import Lab

BY_HAND = "planted-by-hand-9x7"


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    """A registry that served, and in whose service somebody put a password by hand."""
    clean_lab(lab, leave_swarm=True)
    made = install(lab[1])
    with client(made) as registry:
        push(registry, "in/the/log")
    name = f"dtr-registry-{made.replica_id}"
    lab[1].cli("service", "update", "--detach", "--env-add", f"REDIS_PASSWORD={BY_HAND}", name)
    eventually(lambda: look.environment(lab[1], "registry", made.replica_id), 10)
    eventually(lambda: look.quiet(lab[1]), 60)
    return made


def unpacked(packed: bytes) -> dict[str, str]:
    """Files of a bundle by their names."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        members = [member for member in tar if member.isfile()]
        return {m.name.partition("/")[2]: tar.extractfile(m).read().decode() for m in members}  # type: ignore[union-attr]


def secrets_of(deployed: Deployment) -> list[tuple[str, str]]:
    """Every secret that a container of the deployment can read, and those that are in no container."""
    found = [("the administrator's password", deployed.password), ("what was put in by hand", BY_HAND)]
    for component in ("nginx", "registry"):
        files = look.inside(deployed.host, component, deployed.replica_id, "ls", "/run/secrets").split()
        assert files
        for file in files:
            text = look.inside(deployed.host, component, deployed.replica_id, "cat", f"/run/secrets/{file}")
            if file == "htpasswd":
                found += [("a hash", line.partition(":")[2]) for line in text.split() if ":" in line]
            else:
                found.append((file, text.strip()))
    return found


def test_it_holds_what_helps_and_no_secret(deployed: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    deployed.host.msrctl("support-bundle", "--output-file", str(path), check=0)
    assert path.stat().st_mode & 0o777 == 0o600
    files = unpacked(path.read_bytes())
    parts = json.loads(files["index.json"])["parts"]
    assert all(part["complete"] for part in parts), parts
    assert "in/the/log" in files[f"logs/{deployed.replica_id}-registry.log"]
    assert "in/the/log" in files[f"logs/{deployed.replica_id}-nginx.log"]
    status = json.loads(files["status.json"])
    assert [r["replica_id"] for r in status["replicas"]] == [deployed.replica_id]
    assert "REDIS_PASSWORD=****" in files["services.json"]
    assert json.loads(files["engine.json"])["ServerVersion"]
    assert look.leaks(files, secrets_of(deployed)) == []


def test_the_image_writes_it_to_stdout(deployed: Deployment) -> None:
    done = subprocess.run(
        [
            *(docker_command(), "run", "--rm", "-v", "/var/run/docker.sock:/var/run/docker.sock"),
            *(
                f"msrctl/msr:{look.document(deployed.host)['version']}",
                "support-bundle",
                "--output-file",
                "-",
            ),
        ],
        env=deployed.host.environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cluster.json" in unpacked(done.stdout)


def test_with_nothing_installed_there_is_one_as_well(deployed: Deployment, lab: Lab, tmp_path: Path) -> None:
    clean_lab(lab)
    path = tmp_path / "bundle.tar.gz"
    told = lab[1].msrctl("support-bundle", "--output-file", str(path), check=0)
    assert "not in the bundle: cluster.json" in told.stderr
    assert json.loads(unpacked(path.read_bytes())["nodes.json"])
