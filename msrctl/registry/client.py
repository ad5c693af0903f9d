"""A small client for the registry's HTTP API: to probe it, and to push and pull in tests and checks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from msrctl.errors import VerifyFailed
from msrctl.registry.answers import origin_of, status_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    import requests

    from msrctl.secret import Secret

MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)

_CHUNK = 1 << 20
# The most that Distribution 2.8.3 and 3 both give in one page.
_PAGE = 1000


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry gave it; its digest is computed, not believed.

    Arguments:
        digest: ``sha256:...`` of the body.
        media_type: its Content-Type.
        body: its bytes.
    """

    digest: str
    media_type: str
    body: bytes


class Registry:
    """A registry's HTTP API. Use it as a context manager, or call `close`.

    It takes nothing from the environment (proxies, netrc, CA variables): what it finds depends on its
    arguments alone. Redirects are followed; the password goes to the registry's own origin only.

    Arguments:
        url: scheme, host and perhaps port, such as ``https://registry.example.com``.
        ca: the authorities to trust, PEM; None: the system's.
        auth: user and password; None: anonymous.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        connect_to: address and port to connect to instead of the URL's host. The URL's host stays in SNI,
            Host header and certificate check: one replica is asked as clients ask the whole registry.

    Raises:
        UsageFault: the URL or the authorities cannot be used.

    All methods raise `Unreachable` when the registry cannot be asked (codes ``REGISTRY-REFUSED``, ``-NAME``,
    ``-TIMEOUT``, ``-ROUTE``, ``-CLOSED``, ``-TLS``, ``-TLS-CA``, ``-TLS-NAME``, ``-TLS-DATE``, ``-FAILED``),
    and `VerifyFailed` with code ``AUTH`` when it does not accept the user.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: str | None = None,
        auth: tuple[str, Secret] | None = None,
        timeout: float = 5.0,
        connect_to: tuple[str, int] | None = None,
    ) -> None:
        from msrctl.registry.transport import Connection  # `msrctl --help` does without requests

        self._connection = Connection(url, ca=ca, auth=auth, timeout=timeout, connect_to=connect_to)
        self._ask = self._connection.ask
        self._url = self._connection.url

    def __repr__(self) -> str:
        return f"Registry({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def ping(self) -> int:
        """HTTP status of ``/v2/``. It says that the API is there, nothing about the storage behind it.

        Without a user 401 is returned: a registry with accounts answers so. With one it is an error.
        """
        return self._ask("GET", "/v2/", may_refuse=self._connection.anonymous).status_code

    def health(self, *, ready: bool = False) -> tuple[bool, str]:
        """Whether the replica says that it is healthy (``/_ping``), and its own words when it is not.

        Arguments:
            ready: whether it works (``/-/ready``), also while it tells balancers to go elsewhere.
        """
        answer = self._ask("GET", "/-/ready" if ready else "/_ping", may_refuse=True)
        try:
            body = json.loads(answer.content)
            healthy, text = bool(body["Healthy"]), str(body.get("Error") or "")
        except (ValueError, KeyError, TypeError):
            return False, status_text(answer)
        return healthy and answer.status_code == 200, text

    def probe_upload(self, repository: str = "msrctl/probe") -> None:
        """Open an upload and cancel it: this shows at once whether the registry can write to its storage.

        ``/v2/`` answers 200 with a store that is missing or refuses the keys (measured, Distribution 2.8.3).

        Not for frequent use: the registry (measured, 2.8.2) saves a small hash state after it cancelled
        the upload, in ``_uploads/<uuid>/hashstates`` of the repository, and its purger never removes that,
        for want of a ``startedat``. The repository does not appear in the catalog.

        Raises:
            VerifyFailed: code ``UPLOAD`` or ``UPLOAD-CANCEL``, with what came back.
        """
        location = self._open_upload(repository)
        answer = self._ask("DELETE", location)
        _expect(answer, 204, f"an upload to {repository} cannot be cancelled", "UPLOAD-CANCEL")

    def drained(self) -> bool:
        """Whether the replica's proxy has no write under way at this moment (``/-/drained``)."""
        return self._ask("GET", "/-/drained", may_refuse=True).status_code == 200

    def probe_pull(self, *, look_at: int = 20) -> str:
        """Pull the manifest of one tag, whichever is found first; returns its name, "" if there is none.

        Arguments:
            look_at: how many repositories to look through for a tag; deleted ones stay in the catalog.

        Raises:
            VerifyFailed: a tag is listed and its manifest cannot be pulled.
        """
        answer = self._ask("GET", f"/v2/_catalog?n={look_at}")
        _expect(answer, 200, "the catalog cannot be listed", "LIST")
        for name in json.loads(answer.content)["repositories"] or []:
            try:
                tags = self.tags(name)
            except VerifyFailed as error:
                if error.code != "NOT-FOUND":
                    raise
                continue
            if tags:
                self.pull_manifest(name, tags[0])
                return f"{name}:{tags[0]}"
        return ""

    def push_blob(self, repository: str, data: bytes) -> str:
        """Push a blob in one piece; returns its digest.

        Raises:
            VerifyFailed: code ``UPLOAD``, with what came back.
        """
        digest = _digest(data)
        location = self._open_upload(repository)
        target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        answer = self._ask("PUT", target, headers={"Content-Type": "application/octet-stream"}, data=data)
        _expect(answer, 201, f"a blob cannot be pushed to {repository}", "UPLOAD")
        return digest

    def push_pieces(self, repository: str, digest: str, pieces: Iterator[bytes]) -> None:
        """Push a blob whose bytes come in pieces; the registry compares them with the digest.

        Raises:
            VerifyFailed: code ``UPLOAD``, with what came back.
        """
        location = self._open_upload(repository)
        kind = {"Content-Type": "application/octet-stream"}
        answer = self._ask("PATCH", location, headers=kind, data=pieces)
        _expect(answer, 202, f"a blob cannot be pushed to {repository}", "UPLOAD")
        location = urljoin(answer.url, answer.headers.get("Location", ""))
        if origin_of(location) != origin_of(answer.url):
            raise VerifyFailed(f"{self._url} sends uploads elsewhere", code="UPLOAD-LOCATION")
        target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        answer = self._ask("PUT", target, headers=kind)
        _expect(answer, 201, f"blob {digest} cannot be pushed to {repository}", "UPLOAD")

    def push_manifest(self, repository: str, tag: str, body: bytes, media_type: str) -> str:
        """Push a manifest under a tag (or its digest); returns its digest.

        Raises:
            VerifyFailed: code ``MANIFEST``, with what came back.
        """
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._ask("PUT", path, headers={"Content-Type": media_type}, data=body)
        _expect(answer, 201, f"manifest {repository}:{tag} cannot be pushed", "MANIFEST")
        return _digest(body)

    def pull_manifest(self, repository: str, reference: str) -> Manifest:
        """Pull a manifest by tag or digest.

        Raises:
            VerifyFailed: code ``NOT-FOUND``, ``MANIFEST``, or ``DIGEST`` when it is not what its digest says.
        """
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self._ask("GET", path, headers={"Accept": ", ".join(MANIFEST_TYPES)})
        _expect(answer, 200, f"manifest {repository}:{reference} cannot be pulled", "MANIFEST")
        digest = _digest(answer.content)
        claims = [answer.headers.get("Docker-Content-Digest", digest)]
        claims += [reference] if reference.startswith("sha256:") else []
        for claim in claims:
            if claim != digest:
                raise VerifyFailed(
                    f"manifest {repository}:{reference} has digest {digest}, not {claim}", code="DIGEST"
                )
        return Manifest(digest, answer.headers.get("Content-Type", ""), answer.content)

    def pull_blob(self, repository: str, digest: str, write: Callable[[bytes], object] | None = None) -> int:
        """Pull a blob piece by piece and check its sha256; returns its size in bytes.

        Arguments:
            repository: where it is.
            digest: ``sha256:...``.
            write: takes the pieces; what it got is only to be trusted when this returns.

        Raises:
            VerifyFailed: code ``NOT-FOUND``, ``BLOB``, or ``DIGEST`` when it is not what its digest says.
        """
        found, size = hashlib.sha256(), 0
        with self._ask("GET", f"/v2/{repository}/blobs/{digest}", stream=True) as answer:
            _expect(answer, 200, f"blob {digest} of {repository} cannot be pulled", "BLOB")
            pieces = answer.iter_content(_CHUNK)
            while piece := self._connection.next_piece(pieces):
                found.update(piece)
                size += len(piece)
                if write is not None:
                    write(piece)
        if f"sha256:{found.hexdigest()}" != digest:
            raise VerifyFailed(
                f"blob {digest} of {repository} has digest sha256:{found.hexdigest()} ({size} bytes)",
                code="DIGEST",
            )
        return size

    def catalog(self) -> tuple[str, ...]:
        """Names of all repositories; those whose tags were all deleted stay listed."""
        return self._pages(f"/v2/_catalog?n={_PAGE}", "repositories", "the catalog cannot be listed")

    def tags(self, repository: str) -> tuple[str, ...]:
        """Tags of a repository, in the registry's order.

        Raises:
            VerifyFailed: code ``NOT-FOUND`` when there is no such repository.
        """
        return self._pages(f"/v2/{repository}/tags/list", "tags", f"tags of {repository} cannot be listed")

    def _pages(self, path: str, key: str, what: str) -> tuple[str, ...]:
        entries: list[str] = []
        asked: set[str] = set()
        following: str | None = path
        while following is not None and following not in asked:
            asked.add(following)
            answer = self._ask("GET", following)
            _expect(answer, 200, what, "LIST")
            try:
                entries += json.loads(answer.content)[key] or []
            except (ValueError, KeyError, TypeError):
                raise VerifyFailed(f"{what}: the answer is not the list it should be", code="LIST") from None
            link = answer.links.get("next", {}).get("url")
            following = urljoin(following, link) if link else None
        return tuple(entries)

    def _open_upload(self, repository: str) -> str:
        """Open an upload; returns its absolute URL, which is checked to be the registry's own."""
        answer = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
        _expect(answer, 202, f"an upload to {repository} cannot be opened", "UPLOAD")
        location = urljoin(answer.url, answer.headers.get("Location", ""))
        if origin_of(location) != origin_of(answer.url):
            parts = urlsplit(location)
            raise VerifyFailed(
                f"{self._url} sends uploads to {parts.scheme}://{parts.netloc}",
                code="UPLOAD-LOCATION",
                hint="The proxy in front of the registry must hand on Host and X-Forwarded-Proto.",
            )
        return location


def _expect(answer: requests.Response, status: int, what: str, code: str) -> None:
    if answer.status_code != status:
        missing = answer.status_code == 404 and answer.request.method == "GET"
        raise VerifyFailed(f"{what}: {status_text(answer)}", code="NOT-FOUND" if missing else code)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
