"""Uses a registry as clients do: pushes, pulls, and a loop of pulls that counts what fails."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from msrctl.errors import MsrctlError, Unreachable
from msrctl.registry.client import Registry
from msrctl.secret import Secret

if TYPE_CHECKING:
    from types import TracebackType

    from labs.deployment import Deployment

TYPE = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def client(
    deployment: Deployment, url: str | None = None, ca: str | None = None, *, timeout: float = 5.0
) -> Registry:
    """A client that verifies TLS with the deployment's CA and is logged in.

    Arguments:
        url: another URL; it is looked for at the host's address all the same.
        ca: another CA.
        timeout: seconds to wait for each piece of an answer.
    """
    url = url or deployment.url
    port = urlsplit(url).port or 443
    return Registry(
        url,
        ca=ca or deployment.ca,
        auth=(deployment.user, Secret(deployment.password)),
        timeout=timeout,
        connect_to=(deployment.front or deployment.host.ip, port),
    )


def push(registry: Registry, repository: str, tag: str = "1", *, size: int = 100_000) -> str:
    """Pushes a small image; returns the digest of its manifest."""
    layer = hashlib.shake_256(f"{repository}:{tag}".encode()).digest(size)
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": TYPE,
        "config": _descriptor(registry.push_blob(repository, config), config, TYPE),
        "layers": [_descriptor(registry.push_blob(repository, layer), layer, LAYER)],
    }
    return registry.push_manifest(repository, tag, json.dumps(manifest).encode(), TYPE)


def pull(registry: Registry, repository: str, tag: str = "1") -> str:
    """Pulls an image with all its blobs, each checked by its digest; returns the manifest's."""
    manifest = registry.pull_manifest(repository, tag)
    data = json.loads(manifest.body)
    for blob in (data["config"], *data["layers"]):
        assert registry.pull_blob(repository, blob["digest"]) == blob["size"]
    return manifest.digest


def _descriptor(digest: str, data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(data), "digest": digest}


class PullLoop:
    """Pulls one image again and again, each time over a new connection, while in its block.

    Arguments:
        threads: clients at a time.
        pause: seconds between two pulls of one client.
        timeout: seconds to wait for each piece of an answer.
        again: how often a pull whose connection was cut is begun again before it counts as failed.

    Attributes:
        pulls: how many succeeded.
        failures: moment (seconds, monotonic) and text of each that did not.
    """

    def __init__(
        self,
        deployment: Deployment,
        repository: str,
        *,
        threads: int = 1,
        pause: float = 0.05,
        timeout: float = 5.0,
        again: int = 0,
    ) -> None:
        self._deployment = deployment
        self._repository = repository
        self._pause = pause
        self._timeout = timeout
        self._again = again
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.pulls = 0
        self.failures: list[tuple[float, str]] = []

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._pull(self._again)
                self.pulls += 1
            except (MsrctlError, AssertionError) as error:
                self.failures.append((time.monotonic(), str(error)))
            self._stop.wait(self._pause)

    def _pull(self, again: int) -> None:
        try:
            with client(self._deployment, timeout=self._timeout) as registry:
                pull(registry, self._repository)
        except Unreachable as error:
            if not again or error.code != "REGISTRY-CLOSED":
                raise
            self._pull(again - 1)

    @property
    def outage(self) -> float:
        """Seconds from the first failure to the last."""
        return self.failures[-1][0] - self.failures[0][0] if self.failures else 0.0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
