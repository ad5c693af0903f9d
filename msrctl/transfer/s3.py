"""A store in an S3 bucket."""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from msrctl.transfer.s3_settings import S3Settings
from msrctl.transfer.store import CHUNK, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from msrctl.secret import Secret

UPLOADS = "/_uploads/"
DELETED_AT_ONCE = 1000
"""Keys of one request; S3's own limit."""


class Objects(Protocol):
    """What a library does for `S3Store`: keys here are those of the bucket.

    All methods raise StoreError, and KeyError if there is no such object.
    """

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys that begin with a prefix, which ends in a slash."""

    def size(self, key: str) -> int:
        """Size in bytes."""

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks."""

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes an object whole or not at all."""

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes up to `DELETED_AT_ONCE` objects."""


class S3Store:
    """A bucket with the registry's layout below its root directory.

    Arguments:
        parameters: the registry driver's, without secrets.
        secrets: accesskey and secretkey, or nothing: then those of the environment or the instance.
        root_ca: a CA to trust beside the system's, PEM; "" for none.
        words: the store in words.
    """

    concurrency = 8

    def __init__(
        self, parameters: Mapping[str, Any], secrets: Mapping[str, Secret], root_ca: str, words: str
    ) -> None:
        self.settings = S3Settings.of(parameters, secrets, root_ca, words)
        self.words = self.settings.words

    @cached_property
    def _objects(self) -> Objects:
        from msrctl.transfer import s3_client

        if reason := s3_client.why_not_obstore(self.settings):
            from msrctl.transfer.s3_plain import PlainObjects

            return PlainObjects(self.settings, reason)
        from msrctl.transfer.s3_fast import FastObjects

        return FastObjects(self.settings)

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below a directory with their sizes, without those of uploads that go on."""
        cut = len(self.settings.root)
        for key, size in self._objects.list(f"{self.settings.root}{prefix}/"):
            # What other tools call a directory is an empty object whose key ends in a slash.
            if UPLOADS not in key and not key.endswith("/"):
                yield key[cut:], size

    def size(self, key: str) -> int | None:
        """Size in bytes, or None."""
        try:
            return self._objects.size(self.settings.root + key)
        except KeyError:
            return None

    def read(self, key: str) -> bytes:
        """A small object."""
        return b"".join(self.stream(key))

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks."""
        try:
            yield from self._objects.stream(self.settings.root + key)
        except KeyError:
            raise KeyError(key) from None

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes an object: a small one by one request, others in parts that become an object at the end."""
        self._objects.write(self.settings.root + key, self._exactly(key, chunks, size), size)

    def _exactly(self, key: str, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
        """The chunks, if they are as many bytes as was said: an error here ends an upload without object."""
        seen = 0
        for chunk in chunks:
            seen += len(chunk)
            # Parts are made of these: a huge one would be held in memory several times.
            for begin in range(0, len(chunk), CHUNK):
                yield chunk[begin : begin + CHUNK]
        if seen != size:
            raise StoreError(f"{self.words}: {key}: {seen} bytes instead of {size}", "STORE-SIZE")

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects, many by one request."""
        wanted = (self.settings.root + key for key in keys)
        while batch := list(itertools.islice(wanted, DELETED_AT_ONCE)):
            self._objects.delete(batch)

    def probe(self) -> Iterator[dict[str, Any]]:
        """Tries the address, the keys and every permission that the registry needs."""
        from msrctl.transfer.s3_probe import probe

        yield from probe(self.settings)
