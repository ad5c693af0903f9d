"""The interface of an image store as a set of keys, for inventory, comparison and copy.

Keys are those of the registry's layout below its root, ``docker/registry/v2/...`` (reference:
distribution-storage.md, section 4); an implementation adds what its driver puts in front of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

ROOT = "docker/registry/v2"
BLOBS = f"{ROOT}/blobs"
REPOSITORIES = f"{ROOT}/repositories"
OWNER = "msrctl-owner.json"
"""Key of the marker that says whose store it is; beside the registry's tree, which it never looks at."""

CHUNK = 4 << 20
"""Bytes in which data are streamed."""


class StoreError(Exception):
    """A store does not do what was asked; the text names the store and the key.

    Arguments:
        message: what failed.
        code: short and stable, for example STORE-DENIED.
    """

    def __init__(self, message: str, code: str = "STORE") -> None:
        super().__init__(message)
        self.code = code


class Store(Protocol):
    """One image store. Methods may be called from several threads at once."""

    @property
    def words(self) -> str:
        """The store in a few words, without credentials."""

    @property
    def concurrency(self) -> int:
        """How many transfers at once suit it."""

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below a prefix (a directory) with their sizes in bytes; nothing if there are none."""

    def size(self, key: str) -> int | None:
        """Size in bytes, or None if there is no such key."""

    def read(self, key: str) -> bytes:
        """A small object.

        Raises:
            KeyError: there is no such key.
        """

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks.

        Raises:
            KeyError: there is no such key.
        """

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes an object so that it is there whole or not at all.

        Arguments:
            key: where; what is there is replaced.
            chunks: its bytes.
            size: how many bytes that are.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects; those that are not there do not matter."""

    def probe(self) -> Iterator[dict[str, Any]]:
        """Tries what the registry will do: list, write, read, delete a small object under the root.

        Returns:
            One answer a check, in the order of trying: title, ok, detail, and for a failure code and hint.
            The first failure may end it.
        """
