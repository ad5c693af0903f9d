"""The image with --ucp-url and no socket: through a controller behind a balancer that cuts requests."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import look
from support.use import client, pull, push

from fakes.mke_front import MkeFront
from labs.deployment import PASSWORD, Deployment
from labs.engines import Lab
from labs.host import docker_command, msrctl_command
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IMAGE = "msrctl/msr"
# Started in the background of a shell, this run ignores SIGINT, and so would what it starts.
INTERRUPTIBLE = ("env", "--default-signal=INT")
CUT_AFTER = 3.0
"""Seconds; a real balancer has 30 or 60, and this is as short as any request of msrctl's may be."""
TOKEN_USES = 7


@dataclass(frozen=True)
class Mke:
    """A lab engine, and the controller that it is reached through."""

    lab: Lab
    front: MkeFront

    def endpoint(self, ca: str | None = None) -> list[str]:
        """The options that name the controller."""
        return [
            *("--ucp-url", self.front.url, "--ucp-username", self.front.username),
            *("--ucp-ca", ca or self.front.ca),
        ]

    def boot(
        self,
        command: str,
        *args: str,
        check: int = 0,
        ca: str | None = None,
        password: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs the image with -i and without the engine's socket; it must end with this exit code."""
        variables = {"UCP_PASSWORD": self.front.password if password is None else password, **(env or {})}
        names = [word for name in variables for word in ("-e", name)]
        done = subprocess.run(
            [
                docker_command(),
                "run",
                "-i",
                "--rm",
                *names,
                IMAGE,
                *command.split(),
                *self.endpoint(ca),
                *args,
            ],
            env=self.lab[1].environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert self.front.password not in done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def mke(msr_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mke]:
    """An engine in no swarm, behind a controller whose tokens end soon and a balancer that cuts."""
    with Lab(1) as lab:
        lab[1].msrctl("images", "load", str(msr_image), check=0)
        front = MkeFront(
            Path(lab[1].sock),
            tmp_path_factory.mktemp("mke"),
            address=lab.gateway,
            token_uses=TOKEN_USES,
            cut_after=CUT_AFTER,
        )
        with front:
            yield Mke(lab, front)


@pytest.fixture(scope="module")
def deployed(mke: Mke) -> Deployment:
    """Installed by the image through the controller; the last test takes it away."""
    host = mke.lab[1]
    before = mke.front.logins
    done = mke.boot(
        *("install", "--dtr-external-url", f"https://{host.ip}"), env={"MSRCTL_ADMIN_PASSWORD": PASSWORD}
    )
    assert mke.front.logins > before + 1, "no token ended while it ran"
    # Scripts for the original take the id from this line of its log.
    lines = re.findall(r'level=info msg="Replica ID is set to: ([0-9a-f]{12})"', done.stderr)
    assert len(lines) == 1, done.stderr
    assert f"--existing-replica-id {lines[0]}" in done.stderr
    assert "level=fatal" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return Deployment(host, host.ip, lines[0], look.document(host)["tls"]["ca"])


def test_what_was_installed_through_the_controller_serves(deployed: Deployment) -> None:
    with client(deployed) as registry:
        assert push(registry, "over/mke") == pull(registry, "over/mke")


def test_automation_finds_containers_by_prefix_and_the_replica_by_their_labels(deployed: Deployment) -> None:
    for component in ("nginx", "registry"):
        listed = deployed.host.cli(
            *("ps", "--filter", f"name=dtr-{component}"),
            *(
                "--format",
                '{{.Names}} {{.Label "com.docker.dtr.replica"}}|{{.Label "com.docker.dtr.version"}}',
            ),
        ).stdout.splitlines()
        (line,) = listed
        name, _, labels = line.partition(" ")
        assert name.startswith(f"dtr-{component}-{deployed.replica_id}")
        replica, _, version = labels.partition("|")
        assert replica == deployed.replica_id
        assert version == look.document(deployed.host)["version"]
    volumes = deployed.host.cli("volume", "ls", "--quiet", "--filter", "name=dtr-").stdout.split()
    assert f"dtr-registry-{deployed.replica_id}" in volumes
    assert "dtr-ol" in deployed.host.cli("network", "ls", "--format", "{{.Name}}").stdout.split()


def test_status_and_reconfigure_work_from_the_image_without_a_socket(mke: Mke, deployed: Deployment) -> None:
    found = json.loads(mke.boot("status", "--output", "json").stdout)
    assert found["data"]["healthy"]
    assert found["data"]["replicas"][0]["replica_id"] == deployed.replica_id
    done = mke.boot("reconfigure", "--log-level", "debug")
    assert "level=fatal" not in done.stderr
    assert look.document(deployed.host)["settings"]["log_level"] == "debug"
    with client(deployed) as registry:
        assert pull(registry, "over/mke")


@pytest.mark.parametrize("broken", ["password", "ca", "no password", "arguments"])
def test_a_failure_is_an_exit_code_and_a_last_line_of_level_fatal(
    mke: Mke, deployed: Deployment, broken: str, tmp_path: Path
) -> None:
    before = mke.front.logins
    if broken == "password":
        done = mke.boot("status", check=5, password="wrong")
    elif broken == "ca":
        with MkeFront(Path(deployed.host.sock), tmp_path) as other:
            done = mke.boot("status", check=5, ca=other.ca)
        assert mke.front.logins == before, "it logged in to a controller that it does not trust"
    elif broken == "no password":
        done = mke.boot("status", check=2, password="")
        assert "no terminal to ask on" in done.stderr
        assert mke.front.logins == before
    else:
        done = mke.boot("reconfigure", "--log-level", "loud", check=2)
    assert re.match(r'time="\S+" level=fatal msg="', done.stderr.splitlines()[-1])
    assert done.stdout == ""


def test_the_other_commands_take_the_same_way(mke: Mke, deployed: Deployment) -> None:
    assert f"{deployed.replica_id}/registry" in mke.boot("logs", "--tail", "5").stdout
    assert mke.boot("lock status").stdout == "The lock is free.\n"
    assert deployed.replica_id in mke.boot("storage usage").stdout


def test_logs_are_followed_for_longer_than_the_balancer_likes(
    mke: Mke, deployed: Deployment, tmp_path: Path
) -> None:
    out, cuts = tmp_path / "out", mke.front.cuts
    with out.open("w") as stream:
        process = subprocess.Popen(
            [
                *INTERRUPTIBLE,
                *msrctl_command("--output", "json", "logs", "--follow", "--tail", "0", *mke.endpoint()),
            ],
            env={
                **deployed.host.environment(),
                "UCP_PASSWORD": mke.front.password,
                "DOCKER_HOST": "unix:///no",
            },
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: _pushed(deployed, "before/cut") in out.read_text(), 30, every=1)
        eventually(lambda: mke.front.cuts > cuts + 3, 60, what="the balancer cut both logs twice")
        eventually(lambda: _pushed(deployed, "after/cut") in out.read_text(), 30, every=1)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=30)[1]
    assert process.returncode == 0, told
    assert "warning" not in told
    lines = out.read_text().splitlines()
    assert len(set(lines)) == len(lines), "a line came twice"


def test_destroy_takes_everything_away_through_the_controller(mke: Mke, deployed: Deployment) -> None:
    mke.boot("destroy", "--yes", "--remove-data")
    assert look.objects(deployed.host)["swarm"] == "inactive", "install had made the swarm"
    assert eventually(lambda: look.empty(deployed.host), 10)


def _pushed(deployed: Deployment, repository: str) -> str:
    with client(deployed) as registry:
        push(registry, repository)
    return repository
