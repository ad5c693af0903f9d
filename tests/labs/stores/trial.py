"""A registry of a store's own, as a container of a lab: pushes and pulls that show whether a store works."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
import yaml

from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from labs.host import Host
    from labs.stores.description import ObjectStore

PORT = 5000
CONFIG_PATH = "/etc/docker/registry/config.yml"
CA_PATH = "/etc/store-ca.crt"


@dataclass(frozen=True)
class TrialRegistry:
    """A registry without users or TLS.

    Attributes:
        url: where it answers.
        container: the name of its container.
    """

    url: str
    container: str

    def push(self, repository: str, blob: bytes) -> requests.Response:
        """Pushes a blob in two chunks; returns the first answer that is an error, else the last."""
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        with _session() as session:
            answer = session.post(f"{self.url}/v2/{repository}/blobs/uploads/", timeout=60)
            half = len(blob) // 2
            for part in (blob[:half], blob[half:]):
                if answer.ok:
                    answer = session.patch(answer.headers["Location"], data=part, timeout=120)
            if answer.ok:
                answer = session.put(answer.headers["Location"], params={"digest": digest}, timeout=120)
            return answer

    def pull(self, repository: str, digest: str) -> bytes:
        """Pulls a blob through the registry.

        Raises:
            requests.HTTPError: it is not there, or the store fails.
        """
        with _session() as session:
            answer = session.get(f"{self.url}/v2/{repository}/blobs/{digest}", timeout=120)
            answer.raise_for_status()
            return answer.content


@contextlib.contextmanager
def trial_registry(
    host: Host,
    image: str,
    store: ObjectStore,
    *,
    network: str = "host",
    docker_options: tuple[str, ...] = (),
    wait: bool = True,
) -> Iterator[TrialRegistry]:
    """Runs a registry on a host of a lab, with a store behind it.

    Arguments:
        host: where; its engine has the image.
        image: one that has the registry as ``docker-registry``.
        store: what is behind it.
        network: the container's network; its port is reached by the host's address (``host``) or published.
        docker_options: more options for ``docker run``.
        wait: return when it answers.

    Raises:
        AssertionError: it did not answer within 30 s; the text has its log.
    """
    name = f"trial-{uuid.uuid4().hex[:8]}"
    directory = host.directory / name
    directory.mkdir()
    (directory / "config.yml").write_text(yaml.safe_dump(registry_config(store.storage_section())))
    (directory / "ca.crt").write_text(store.ca)
    mounts = ("-v", f"{directory}/config.yml:{CONFIG_PATH}:ro", "-v", f"{directory}/ca.crt:{CA_PATH}:ro")
    trust = ("-e", f"SSL_CERT_FILE={CA_PATH}") if store.ca else ()
    options = ("--network", network, *(() if network == "host" else ("-p", f"{PORT}:{PORT}")))
    command = ("--entrypoint", "docker-registry", *docker_options, image, "serve", CONFIG_PATH)
    host.cli("run", "-d", "--name", name, *options, *mounts, *trust, *command)
    registry = TrialRegistry(f"http://{host.ip}:{PORT}", name)
    try:
        if wait:
            _wait(host, registry)
        yield registry
    finally:
        host.cli("rm", "-f", name)


def registry_config(section: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration for the registry that serves blobs itself: clients do not know the stores' CA."""
    storage = dict(section) | {"redirect": {"disable": True}, "delete": {"enabled": True}}
    return {"version": 0.1, "storage": storage, "http": {"addr": f":{PORT}", "secret": "of no importance"}}


def blobs() -> list[bytes]:
    """Three blobs, one of them larger than a chunk of any driver (Swift's is 20 MiB)."""
    return [os.urandom(size) for size in (1_000, 300_000, 24_000_000)]


def _wait(host: Host, registry: TrialRegistry) -> None:
    def answers() -> bool:
        with _session() as session, contextlib.suppress(requests.RequestException):
            return session.get(f"{registry.url}/v2/", timeout=5).ok
        state = host.cli("inspect", "-f", "{{.State.Running}}", registry.container).stdout.strip()
        if state != "true":
            raise RuntimeError(f"the registry ended: {logs(host, registry)}")
        return False

    try:
        eventually(answers, 30, what="the registry answers")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{logs(host, registry)}") from None


def logs(host: Host, registry: TrialRegistry) -> str:
    """The end of what the registry has logged."""
    done = host.cli("logs", "--tail", "20", registry.container)
    return done.stdout + done.stderr


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session
