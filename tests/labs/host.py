"""A host with a real Docker Engine of its own, and msrctl and the docker command pointed at it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import requests

from labs.machine import Machine
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labs.network import Switch

# Settings of the person who runs the tests; none of them may reach a command under test.
FOREIGN_SETTINGS = ("DOCKER_", "DTR_", "MSR_", "MSRCTL_", "UCP_", "REQUESTS_CA_BUNDLE", "COLUMNS")


class Host(Machine):
    """One Docker Engine host of a lab.

    Attributes:
        number: its place in the lab, from 1.
        ip: its address; the machine reaches it, and nothing outside does.
        sock: path of its engine's socket on the machine. On the host it is also at /run/docker.sock.
        dockerd_args: more arguments for every start of its engine.
        dockerd_env: more environment variables for every start of its engine.
    """

    def __init__(
        self,
        number: int,
        name: str,
        ip: str,
        directory: Path,
        *,
        cgroup: str,
        switch: Switch | None,
        rootfs: Path | None = None,
    ) -> None:
        netns = switch.plug(number, ip) if switch else None
        super().__init__(name, directory, cgroup=cgroup, netns=netns, rootfs=rootfs)
        self.switch = switch
        self.number = number
        self.ip = ip
        self.sock = str(directory / "docker.sock")
        self.dockerd_args: list[str] = []
        self.dockerd_env: dict[str, str] = {}
        self._daemon: subprocess.Popen[bytes] | None = None
        self._client: docker.DockerClient | None = None

    @property
    def url(self) -> str:
        """The engine's endpoint as DOCKER_HOST takes it."""
        return f"unix://{self.sock}"

    @property
    def dockerd_log(self) -> Path:
        """What the engine has logged, over all its starts."""
        return self.directory / "dockerd.log"

    # -- the engine

    def start_docker(self, *more: str, wait: bool = True) -> None:
        """Starts the engine.

        Arguments:
            more: further arguments for dockerd, such as ``--live-restore``.
            wait: return when it answers.

        Raises:
            RuntimeError: dockerd ended; the text has the end of its log.
        """
        with self.dockerd_log.open("a") as log:
            self._daemon = self.spawn(
                "dockerd",
                *("--data-root", "/var/lib/docker", "--exec-root", "/run/docker"),
                *("--pidfile", str(self.directory / "docker.pid")),
                *("-H", self.url, "-H", "unix:///run/docker.sock"),
                *("--cgroup-parent", f"/{self.cgroup}", "--exec-opt", "native.cgroupdriver=cgroupfs"),
                *self.dockerd_args,
                *more,
                env=os.environ | self.dockerd_env,
                log=log,
            )
        if wait:
            self.wait_docker()

    def wait_docker(self, timeout: float = 60) -> None:
        """Waits until the engine answers.

        Raises:
            RuntimeError: dockerd ended; the text has the end of its log.
            AssertionError: it did not answer in time.
        """
        eventually(self.answers, timeout, what=f"{self.name}: dockerd answers")

    def answers(self) -> bool:
        """Whether the engine answers now."""
        if self._daemon is not None and self._daemon.poll() is not None:
            end = self.dockerd_log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name}: dockerd ended:\n{end}")
        try:
            return bool(self.client.ping())
        except (docker.errors.DockerException, requests.RequestException, OSError):
            return False

    def stop_docker(self, *, timeout: float = 60) -> None:
        """Ends the engine in order (SIGTERM), and its containers unless it runs with live-restore."""
        self._end_docker(signal.SIGTERM, timeout)

    def kill_docker(self) -> None:
        """Kills the engine (SIGKILL); its containers go on, and its next start takes them over."""
        self._end_docker(signal.SIGKILL, 20)

    def _end_docker(self, number: signal.Signals, timeout: float) -> None:
        for pid in self.pids("dockerd"):
            os.kill(pid, number)
        if self._daemon is not None:
            self._daemon.wait(timeout)
        self._forget_engine()

    def power_off(self) -> None:
        """Pulls the plug: everything the host runs is killed at once."""
        super().power_off()
        if self._daemon is not None:
            self._daemon.wait(20)
        self._forget_engine()

    def _forget_engine(self) -> None:
        if self._client is not None:
            self._client.close()
        self._daemon = self._client = None

    @property
    def client(self) -> docker.DockerClient:
        """The SDK's client, with a time-out of 60 s. It is not thread-safe: one thread per host at a time."""
        if self._client is None:
            # Neither DOCKER_* nor proxy settings of the environment: this is a socket.
            self._client = docker.DockerClient(self.url, timeout=60)
            self._client.api.trust_env = False
        return self._client

    def link(self, up: bool) -> None:
        """Plugs the host's network cable in (`up`) or out."""
        if self.switch is not None:
            self.switch.link(self.number, up=up)

    def load(self, archive: Path) -> str:
        """Loads a `docker save` archive and returns the id of its (first) image."""
        with archive.open("rb") as stream:
            image: str = self.client.images.load(stream)[0].id or ""
        return image

    def trust(self, registry: str, ca: str) -> None:
        """Makes the engine accept a CA (PEM) for a registry (``host`` or ``host:port``) from now on."""
        directory = self.directory / "etc" / "certs.d" / registry
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "ca.crt").write_text(ca)

    # -- commands pointed at it

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment for a command that is to use this engine and no setting of who runs the tests."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN_SETTINGS)}
        own = {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.directory / "docker-config")}
        return kept | own | dict(more or {})

    def cli(
        self, *args: str, check: bool = True, timeout: float = 60, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the machine's `docker` command against this engine.

        Arguments:
            args: arguments of ``docker``.
            check: raise CalledProcessError when it fails.
            timeout: seconds.
            text: its standard input; None: empty.
        """
        return subprocess.run(
            [docker_command(), *args],
            check=check,
            text=True,
            capture_output=True,
            timeout=timeout,
            env=self.environment(),
            input=text or "",
        )

    def msrctl(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        check: int | None = None,
        timeout: float = 180,
        user: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs msrctl on the machine, without a terminal, with this engine as its endpoint.

        Arguments:
            args: arguments of ``msrctl``.
            env: environment variables to add.
            input: its standard input; None: empty.
            check: the exit code that it must end with; None: any.
            timeout: seconds; then it is killed and TimeoutExpired is raised.
            user: the uid to run as; None: this process's.

        Raises:
            AssertionError: it ended with another exit code than `check`; the text has all that it wrote.
        """
        done = subprocess.run(
            msrctl_command(*args),
            text=True,
            capture_output=True,
            timeout=timeout,
            env=self.environment(env),
            input=input or "",
            user=user,
            check=False,
        )
        if check is not None and done.returncode != check:
            raise AssertionError(
                f"msrctl {' '.join(args)}: exit {done.returncode}, not {check}\n"
                f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
            )
        return done

    def start_msrctl(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts msrctl like `msrctl()`, to be signalled or killed while it works.

        stdout and stderr are pipes: read them with ``communicate()``. It leads a process group of its own.
        """
        return subprocess.Popen(
            msrctl_command(*args),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(env),
            start_new_session=True,
        )


def msrctl_command(*args: str) -> list[str]:
    """The command line that runs the msrctl of this interpreter."""
    return [sys.executable, "-m", "msrctl", *args]


def docker_command() -> str:
    """The docker command: the engine's own from Debian's package if it has one, else whatever is on PATH."""
    debian = Path("/usr/bin/docker")
    return str(debian) if debian.exists() else shutil.which("docker") or "docker"
