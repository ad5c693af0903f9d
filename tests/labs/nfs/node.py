"""A guest with a real Docker Engine, and msrctl pointed at it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import docker
import requests

from labs.host import FOREIGN_SETTINGS, docker_command, msrctl_command
from labs.nfs.guest import Guest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from labs.network import Switch
    from labs.nfs.image import GuestImage

API_PORT = 2375
CLIENT_TIMEOUT = 120


class DockerNode(Guest):
    """One Docker Engine with the kernel's NFS client under it.

    Attributes:
        images: ids of the images that were loaded, in order.
    """

    role = "docker"
    memory = "1500M"
    survey = f"docker ps --all --no-trunc; docker volume ls; tail -n 300 /var/log/dockerd.log; {Guest.survey}"

    def __init__(
        self, number: int, name: str, ip: str, directory: Path, *, image: GuestImage, switch: Switch
    ) -> None:
        super().__init__(number, name, ip, directory, image=image, switch=switch)
        self.images: list[str] = []
        self._client: docker.DockerClient | None = None

    @property
    def url(self) -> str:
        """The engine's endpoint as DOCKER_HOST takes it."""
        return f"tcp://{self.ip}:{API_PORT}"

    @property
    def client(self) -> docker.DockerClient:
        """The SDK's client, with a time-out of 120 s; one thread at a time."""
        if self._client is None:
            self._client = docker.DockerClient(self.url, timeout=CLIENT_TIMEOUT)
            self._client.api.trust_env = False
        return self._client

    def ready(self) -> bool:
        """Whether the engine answers."""
        try:
            answer = requests.get(f"http://{self.ip}:{API_PORT}/_ping", timeout=3, proxies={"http": ""})
        except requests.RequestException:
            return False
        return answer.status_code == 200

    def load(self, archive: Path) -> str:
        """Loads a `docker save` archive and returns the id of its (first) image."""
        shared = self.share / archive.name
        try:
            os.link(archive, shared)
        except OSError:
            shutil.copy(archive, shared)
        try:
            # By the guest's own file system on the machine: the network between them is slower.
            loaded = self.ssh(f"docker load --quiet --input /host/{archive.name}", timeout=300)
        finally:
            shared.unlink()
        reference = loaded.split(": ", 1)[1].strip().splitlines()[0]
        image: str = self.client.images.get(reference).id or ""
        self.images.append(image)
        return image

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment for a command that is to use this engine and no setting of who runs the tests."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN_SETTINGS)}
        own = {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.directory / "docker-config")}
        return kept | own | dict(more or {})

    def cli(self, *args: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs the machine's `docker` command against this engine.

        Arguments:
            args: arguments of ``docker``.
            check: raise CalledProcessError when it fails.
            timeout: seconds.
        """
        command = [docker_command(), *args]
        return subprocess.run(
            command, check=check, text=True, capture_output=True, timeout=timeout, env=self.environment()
        )

    def msrctl(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        check: int | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Runs msrctl on the machine, without a terminal, with this engine as its endpoint.

        Arguments:
            args: arguments of ``msrctl``.
            env: environment variables to add.
            check: the exit code that it must end with; None: any.
            timeout: seconds; then it is killed and TimeoutExpired is raised.

        Raises:
            AssertionError: it ended with another exit code than `check`; the text has all that it wrote.
        """
        done = subprocess.run(
            msrctl_command(*args),
            text=True,
            capture_output=True,
            timeout=timeout,
            env=self.environment(env),
            input="",
            check=False,
        )
        if check is not None and done.returncode != check:
            raise AssertionError(
                f"msrctl {' '.join(args)}: exit {done.returncode}, not {check}\n"
                f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
            )
        return done

    def power_off(self) -> None:
        """Pulls the plug."""
        if self._client is not None:
            self._client.close()
            self._client = None
        super().power_off()
