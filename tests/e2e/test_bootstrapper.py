"""The image is the bootstrapper: `docker run ... msrctl/msr COMMAND` does what msrctl does on the host."""

from __future__ import annotations

import re
import signal
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from support import look
from support.certificates import make
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import PASSWORD, Deployment
from labs.host import docker_command
from labs.system import eventually
from msrctl import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host

SOCKET = ("-v", "/var/run/docker.sock:/var/run/docker.sock")
IMAGE = "msrctl/msr"  # no version, as people type it


@dataclass(frozen=True)
class Booted(Deployment):
    """A registry that the bootstrapper installed, with a password that was generated."""

    done: subprocess.CompletedProcess[str] = field(kw_only=True, repr=False)


def command(*args: str, options: Sequence[str] = SOCKET) -> list[str]:
    """The command line that runs the bootstrapper."""
    return [docker_command(), "run", "--rm", *options, IMAGE, *args]


def boot(
    host: Host, *args: str, check: int = 0, options: Sequence[str] = SOCKET, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs the bootstrapper without a terminal; it must end with this exit code."""
    done = subprocess.run(
        command(*args, options=options),
        env=host.environment(),
        input=text,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def deployed(lab: Lab, msr_image: Path) -> Booted:
    """Installed by the bootstrapper on an engine in no swarm; the last test but one takes it away."""
    clean_lab(lab, leave_swarm=True)
    host = lab[1]
    host.msrctl("images", "load", str(msr_image), check=0)
    done = boot(host, "install", "--dtr-external-url", f"https://{host.ip}")
    found = re.search(r"^Replica ID is set to: ([0-9a-f]{12})$", done.stdout, re.MULTILINE)
    password = re.search(r"password: (\S+) \(shown once\)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert password, done.stdout
    return Booted(
        host,
        host.ip,
        found[1],
        look.document(host)["tls"]["ca"],
        password=password[1],
        done=done,
    )


def test_the_registry_serves_with_the_password_that_was_shown_once(deployed: Booted) -> None:
    assert (deployed.done.stdout + deployed.done.stderr).count(deployed.password) == 1
    with client(deployed) as registry:
        assert push(registry, "boot/app") == pull(registry, "boot/app")


def test_scripts_for_the_original_find_the_replicas_id_in_the_log(deployed: Booted) -> None:
    line = f'level=info msg="Replica ID is set to: {deployed.replica_id}"'
    assert line in deployed.done.stderr
    assert f"--existing-replica-id {deployed.replica_id}" in deployed.done.stderr


def test_the_container_leaves_nothing_behind(deployed: Booted) -> None:
    def only_services() -> bool:
        listed = deployed.host.client.api.containers(all=True)
        assert all("com.docker.swarm.service.id" in c["Labels"] for c in listed), listed
        return True

    eventually(only_services, 10)


def test_status_sees_the_replica_from_inside_a_container(deployed: Booted) -> None:
    text = boot(deployed.host, "status").stdout
    for words in (deployed.replica_id, deployed.host.name, deployed.url, "healthy"):
        assert words in text


def test_reconfigure_changes_what_runs(deployed: Booted) -> None:
    boot(deployed.host, "reconfigure", "--log-level", "debug")
    assert look.document(deployed.host)["settings"]["log_level"] == "debug"
    with client(deployed) as registry:
        assert pull(registry, "boot/app")
    assert "Nothing to do" in boot(deployed.host, "reconfigure", "--log-level", "debug").stdout


def test_files_are_taken_from_where_they_are_mounted(deployed: Booted, tmp_path: Path) -> None:
    root = make("Operator's root", ca=True)
    leaf = make("registry.test", "registry.test", deployed.host.ip, issuer=root)
    for name, text in (("ca.pem", root.pem), ("cert.pem", leaf.pem), ("key.pem", leaf.key)):
        (tmp_path / name).write_text(text)
    files = ("--dtr-ca", "/tls/ca.pem", "--dtr-cert", "/tls/cert.pem", "--dtr-key", "@/tls/key.pem")
    told = boot(deployed.host, "reconfigure", *files, check=2).stderr
    assert "mount it" in told
    boot(deployed.host, "reconfigure", *files, options=(*SOCKET, "-v", f"{tmp_path}:/tls:ro"))
    with client(deployed, ca=root.pem) as registry:
        assert pull(registry, "boot/app")


def test_exit_codes_pass_through(deployed: Booted) -> None:
    eventually(lambda: look.quiet(deployed.host), 30)
    before = look.objects(deployed.host)
    assert "ALREADY-INSTALLED" in boot(deployed.host, "install", check=6).stderr
    assert "CONFIRM" in boot(deployed.host, "destroy", check=2).stderr
    boot(deployed.host, "reconfigure", "--log-level", "loud", check=2)
    without = boot(deployed.host, "status", check=5, options=()).stderr
    assert "-v /var/run/docker.sock:/var/run/docker.sock" in without
    assert eventually(lambda: look.objects(deployed.host) == before, 10)


def test_images_work_from_inside_the_image(deployed: Booted, tmp_path: Path) -> None:
    host, archive = deployed.host, tmp_path / "msr.tar"
    assert boot(host, "images", options=()).stdout == f"msrctl/msr:{__version__}\n"
    with archive.open("wb") as stream:
        subprocess.run(
            command("images", "save", "-"),
            env=host.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,
            timeout=180,
            check=True,
        )
    with tarfile.open(archive) as tar:
        assert "manifest.json" in tar.getnames()
    with archive.open("rb") as stream:
        subprocess.run(
            command("images", "load", "-", options=(*SOCKET, "-i")),
            env=host.environment(),
            stdin=stream,
            capture_output=True,
            timeout=180,
            check=True,
        )
    told = boot(host, "images", "build", "--force", check=1).stderr
    assert "has no pip" in told
    assert "images load" in told


def test_destroy_takes_everything_away(deployed: Booted) -> None:
    boot(deployed.host, "destroy", "--yes", "--remove-data")
    assert look.objects(deployed.host)["swarm"] == "inactive", "install had made the swarm"
    assert eventually(lambda: look.empty(deployed.host), 10)


def test_a_password_comes_by_stdin_and_an_interrupt_undoes_the_install(bare: Host, msr_image: Path) -> None:
    bare.msrctl("images", "load", str(msr_image), check=0)
    process = subprocess.Popen(
        command("install", "--admin-password-file", "-", options=(*SOCKET, "-i")),
        env=bare.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(f"{PASSWORD}\n")
    process.stdin.close()
    process.stdin = None

    def services() -> list[str]:
        info = bare.client.info()["Swarm"]
        listed = look.names(bare, "services") if info["ControlAvailable"] else []
        return [name for name in listed if name.startswith("dtr-")]

    eventually(services, 60)
    process.send_signal(signal.SIGINT)
    told = "".join(process.communicate(timeout=120))
    assert process.returncode == 130, told
    assert PASSWORD not in told
    assert look.objects(bare)["swarm"] == "inactive"
    assert eventually(lambda: look.empty(bare), 10)
