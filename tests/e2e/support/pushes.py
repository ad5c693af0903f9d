"""Several threads that push all the time and write down what was acknowledged, and what was held."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

import requests

from support.use import LAYER, TYPE

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from labs.deployment import Deployment


@dataclass(frozen=True)
class Held:
    """One push that was answered with 503, at this moment (seconds, monotonic)."""

    moment: float
    retry_after: str


class _HeldError(Exception):
    """The registry holds pushes."""


class PushLoop:
    """Pushes small images in some threads while in its block; one that is held is begun again.

    Arguments:
        threads: clients at a time.
        size: bytes of each image's layer.
        pause: seconds between two pushes of one client.

    Attributes:
        acknowledged: ``repository:tag`` to the digest of its manifest.
        held: every answer of 503 with Retry-After.
        failures: what else went wrong, in words.
    """

    def __init__(
        self,
        deployment: Deployment,
        ca_file: Path,
        *,
        threads: int = 3,
        size: int = 20_000,
        pause: float = 0.2,
    ) -> None:
        self._deployment = deployment
        self._ca_file = ca_file
        self._size = size
        self._pause = pause
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]
        self.acknowledged: dict[str, str] = {}
        self.held: list[Held] = []
        self.failures: list[str] = []

    @property
    def window(self) -> float:
        """Seconds from the first push that was held to the last."""
        return self.held[-1].moment - self.held[0].moment if self.held else 0.0

    def _run(self, number: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self._ca_file)
            session.auth = (self._deployment.user, self._deployment.password)
            count = 0
            while not self._stop.is_set():
                name = f"load/thread{number}"
                try:
                    digest = self._push(session, name, f"t{count}")
                except _HeldError:
                    self._stop.wait(0.05)
                    continue
                except (requests.RequestException, AssertionError) as error:
                    with self._lock:
                        self.failures.append(f"{name}:t{count}: {error}")
                else:
                    with self._lock:
                        self.acknowledged[f"{name}:t{count}"] = digest
                count += 1
                self._stop.wait(self._pause)

    def _push(self, session: requests.Session, name: str, tag: str) -> str:
        layer = hashlib.shake_256(f"{name}:{tag}".encode()).digest(self._size)
        config = json.dumps({"architecture": "amd64", "os": "linux", "text": f"{name}:{tag}"}).encode()
        parts = [self._blob(session, name, blob) for blob in (config, layer)]
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": TYPE,
                "config": {**parts[0], "mediaType": "application/vnd.docker.container.image.v1+json"},
                "layers": [{**parts[1], "mediaType": LAYER}],
            }
        ).encode()
        url = f"{self._deployment.url}/v2/{name}/manifests/{tag}"
        self._ask(session, "PUT", url, 201, data=manifest, headers={"Content-Type": TYPE})
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    def _blob(self, session: requests.Session, name: str, data: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        opened = self._ask(session, "POST", f"{self._deployment.url}/v2/{name}/blobs/uploads/", 202)
        location = urljoin(opened.url, opened.headers["Location"])
        headers = {"Content-Type": "application/octet-stream"}
        target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        self._ask(session, "PUT", target, 201, data=data, headers=headers)
        return {"digest": digest, "size": len(data)}

    def _ask(
        self, session: requests.Session, method: str, url: str, wanted: int, **more: Any
    ) -> requests.Response:
        answer = session.request(method, url, timeout=60, **more)
        if answer.status_code == 503 and "Retry-After" in answer.headers:
            with self._lock:
                self.held.append(Held(time.monotonic(), answer.headers["Retry-After"]))
            raise _HeldError
        assert answer.status_code == wanted, f"{method} {url}: {answer.status_code} {answer.text[:300]}"
        return answer

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
