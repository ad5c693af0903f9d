"""A store in OpenStack Swift, with the names that the registry's driver gives its objects.

The driver's layers are "dynamic large objects": an empty object whose header X-Object-Manifest names the
beginning of its segments' names. Listings have them with 0 bytes, so their size is asked for one by one.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import uuid4

import requests

from msrctl.transfer.copy import each
from msrctl.transfer.parts import Blocks
from msrctl.transfer.store import CHUNK, StoreError
from msrctl.transfer.swift_body import Body, Split
from msrctl.transfer.swift_client import SwiftClient
from msrctl.transfer.web import network_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from msrctl.secret import Secret

SMALL = 8 << 20
"""Bytes up to which an object is held in memory, so that its request can be sent again."""
LARGEST = 5 << 30
"""Bytes of the largest single object that Swift takes."""
SEGMENT = 1 << 30
"""Bytes of a segment of what is larger."""
CONNECT_SECONDS, READ_SECONDS, RETRIES = 5, 60, 3
MANY = 100
"""Layers in a page of a listing from which on all segments are listed at once."""
MANIFEST = "X-Object-Manifest"
EMPTY = hashlib.sha256(b"").hexdigest()
LATE_SECONDS = 15
"""How long the registry waits for a listing that lags behind (2.8.3, swift.go, readAfterWriteTimeout)."""
LATE_STEP = 0.5
"""Seconds between two looks at it."""
NEWEST = {"X-Newest": "true"}
"""Makes Swift ask all replicas of an object: what was replaced or deleted just now is not read any more."""


class SwiftStore:
    """A container.

    Arguments:
        parameters: as in schemas/storage-swift.json.
        secrets: values of the secret parameters.
        root_ca: a CA to trust beside the system's, PEM.
        words: the store in words.
        largest: bytes of the largest object that is written as one.
        segment: bytes of a segment of those that are larger.
    """

    concurrency = 16

    def __init__(
        self,
        parameters: Mapping[str, Any],
        secrets: Mapping[str, Secret],
        root_ca: str | None = None,
        words: str = "",
        *,
        largest: int = LARGEST,
        segment: int = SEGMENT,
    ) -> None:
        self.parameters = parameters
        self.secrets = secrets
        self.root_ca = root_ca or ""
        self.words = words or f"swift://{parameters['container']}"
        self._largest, self._segment = largest, segment
        # As the driver joins them (swift.go, swiftPath): slashes are taken from the front only.
        prefix = str(parameters.get("prefix", ""))
        self._front = f"{prefix}/files/".lstrip("/")
        self._segments = f"{prefix}/segments/".lstrip("/")
        # Names written here with their sizes, and names deleted here: what a listing is measured by.
        self._known: dict[str, int | None] = {}

    @cached_property
    def client(self) -> SwiftClient:
        """Sends the requests."""
        limits: dict[str, Any] = {"retries": RETRIES, "connect": CONNECT_SECONDS, "read": READ_SECONDS}
        return SwiftClient(self.parameters, self.secrets, self.root_ca, self.words, **limits)

    def name(self, key: str) -> str:
        """Name of a key's object."""
        return self._front + key

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below a prefix with their sizes; nothing if there is no container yet.

        Swift's listings lag behind, by seconds and more. What was written or deleted through this store is
        looked at itself where the listing says otherwise.
        """
        start = self.name(f"{prefix.rstrip('/')}/" if prefix else "")
        with ThreadPoolExecutor(self.concurrency) as pool:
            ours = {name: size for name, size in self._known.copy().items() if name.startswith(start)}
            sums: dict[str, int] = {}
            for page in self.client.pages(start):
                # Uploads come and go while we look; nothing of them is ever wanted.
                found = [(name, size) for name, size in page if "/_uploads/" not in name]
                asked = [name for name, size in found if not size or ours.get(name, size) != size]
                if len(asked) > MANY and not sums:
                    sums = self._sums()
                real = pool.map(partial(self._size_by, sums), asked)
                sizes = dict(found) | dict(zip(asked, real, strict=True))
                yield from self._keys(sizes)
                for name in sizes:
                    ours.pop(name, None)
            missing = [name for name, size in ours.items() if size is not None and "/_uploads/" not in name]
            yield from self._keys(dict(zip(missing, pool.map(self._size, missing), strict=True)))

    def _sums(self) -> dict[str, int]:
        """Bytes of all segments by what their names begin with."""
        sums: dict[str, int] = {}
        for page in self.client.pages(self._segments):
            for name, size in page:
                start = name.rpartition("/")[0]
                sums[start] = sums.get(start, 0) + size
        return sums

    def _size_by(self, sums: Mapping[str, int], name: str) -> int | None:
        """As `_size`, without having Swift list the segments of each object: in half the time (measured)."""
        start = self._manifest(name) if sums else None
        return (sums.get(start.rstrip("/")) if start else None) or self._size(name)

    def _keys(self, sizes: Mapping[str, int | None]) -> Iterator[tuple[str, int]]:
        for name, size in sizes.items():
            if size is not None:
                yield name[len(self._front) :], size

    def size(self, key: str) -> int | None:
        """Size in bytes, or None."""
        return self._size(self.name(key))

    def _size(self, name: str) -> int | None:
        until = time.monotonic() + LATE_SECONDS
        while True:
            answer = self.client.send("HEAD", name, headers=NEWEST)
            if answer.status_code == 404:
                return None
            found = int(self.client.must(answer, "HEAD", name).headers.get("Content-Length", 0))
            # The size is the sum of the segments that Swift finds in its listing, which may lag behind.
            late = not found and MANIFEST in answer.headers and EMPTY not in name
            if not late or time.monotonic() > until:
                return found
            time.sleep(LATE_STEP)

    def read(self, key: str) -> bytes:
        """A small object."""
        return b"".join(self.stream(key))

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks."""
        name = self.name(key)
        answer = self.client.send("GET", name, headers=NEWEST, stream=True)
        with answer:
            if answer.status_code == 404:
                raise KeyError(key)
            self.client.must(answer, "GET", name)
            try:
                yield from answer.iter_content(CHUNK)
            except requests.RequestException as error:
                code, reason = network_fault(error)
                raise StoreError(f"{self.words}: read {name}: {reason}", code) from None

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes one object, or if that is too large for Swift, segments and then their manifest.

        The registry reads, replaces and deletes both: they are as its own. A container that is not there is
        made, as the registry does.
        """
        name = self.name(key)
        # Only layers are ever made of segments, so links are spared the question.
        old = None if _is_link(key) else self._manifest(name)
        if size > self._largest:
            self._write_segments(name, chunks, size)
        elif size > SMALL:
            self._write_stream(name, chunks, size)
        else:
            blocks = Blocks(chunks, SMALL)
            data = next(blocks, b"")
            blocks.must_have(size, self.words, key)
            self._put(name, data)
        self._known[name] = size
        if old is not None:
            self._delete_segments(old)

    def _put(self, name: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        more = {"Content-Type": "application/octet-stream", **(headers or {})}
        answer = self.client.send("PUT", name, data=data, headers=more)
        if answer.status_code == 404:
            self.client.must(self.client.make_container(), "PUT")
            answer = self.client.send("PUT", name, data=data, headers=more)
        self.client.must(answer, "PUT", name)

    def _write_stream(self, name: str, chunks: Iterable[bytes], size: int) -> None:
        # It can be sent only once: so first see that the token is taken, and that there is a container.
        answer = self.client.send("HEAD")
        if answer.status_code == 404:
            answer = self.client.make_container()
        self.client.must(answer, "HEAD")
        body = Body(chunks, size, f"{self.words}: {name}")
        headers = {"Content-Type": "application/octet-stream"}
        self.client.must(self.client.send("PUT", name, data=body, headers=headers, again=False), "PUT", name)

    def _write_segments(self, name: str, chunks: Iterable[bytes], size: int) -> None:
        word = hashlib.sha256(name.encode()).hexdigest() + uuid4().hex
        start = f"{self._segments}{word[:3]}/{word[3:]}"
        left, source = size, Split(chunks)
        try:
            for number in range(-(-size // self._segment)):
                part = min(left, self._segment)
                self._write_stream(f"{start}/{number + 1:016}", source.take(part), part)
                left -= part
            source.must_be_at_the_end(f"{self.words}: {name}: more than {size} bytes")
            # The size of the whole is the sum of the listing: whoever reads must find all of them there.
            self._wait_for(start, size)
            self._put(name, b"", {MANIFEST: f"{self.client.container}/{start}"})
        except BaseException:
            with contextlib.suppress(StoreError):
                self._delete_segments(start)
            raise

    def _wait_for(self, start: str, size: int) -> None:
        until = time.monotonic() + LATE_SECONDS * 4
        while sum(part for page in self.client.pages(f"{start}/") for _, part in page) != size:
            if time.monotonic() > until:
                raise StoreError(
                    f"{self.words}: {start}: the segments do not appear in the listing", "STORE-LATE"
                )
            time.sleep(LATE_STEP)

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects, and the segments of those that have some."""

        def one(key: str) -> None:
            name = self.name(key)
            segments = None if _is_link(key) else self._manifest(name)
            self._delete(name)
            self._known[name] = None
            if segments is not None:
                self._delete_segments(segments)

        each(one, deque(keys), self.concurrency, lambda: None)

    def _delete(self, name: str) -> None:
        answer = self.client.send("DELETE", name)
        if answer.status_code != 404:
            self.client.must(answer, "DELETE", name)

    def _manifest(self, name: str) -> str | None:
        """What the names of an object's segments begin with; None if there is no object or it has none."""
        answer = self.client.send("HEAD", name, params={"multipart-manifest": "get"}, headers=NEWEST)
        if answer.status_code == 404:
            return None
        named = unquote(self.client.must(answer, "HEAD", name).headers.get(MANIFEST, ""))
        container, _, start = named.partition("/")
        # Whoever made a manifest that points elsewhere has to tidy up there.
        return start if container == self.client.container and start.startswith(self._segments) else None

    def _delete_segments(self, start: str) -> None:
        for page in self.client.pages(f"{start.rstrip('/')}/"):
            each(self._delete, deque(name for name, _ in page), self.concurrency, lambda: None)

    def probe(self) -> Iterator[dict[str, Any]]:
        """See `swift_probe.probe`."""
        from msrctl.transfer.swift_probe import probe

        yield from probe(self.parameters, self.secrets, self.root_ca, self.words)


def _is_link(key: str) -> bool:
    return key.endswith("/link")
