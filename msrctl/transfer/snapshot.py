"""The inventory and all manifests of a store that serves: every tag with a digest that it really had.

No freeze is needed. Blobs and manifests never change, and a registry writes a manifest and the links to it
before the tag that names it. So tags are read first and what they need afterwards; whatever was pushed in
between is looked for again under its own keys. A tag that moves meanwhile is recorded with the digest that it
had before or after, and only once everything for that digest is there.
"""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msrctl.backup import layout
from msrctl.backup.content import NAME, TAG, Packer, manifest_record, pack_inventory
from msrctl.transfer.inventory import blob_key, take
from msrctl.transfer.needs import Lack, References, lacks, references
from msrctl.transfer.store import REPOSITORIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from msrctl.transfer.inventory import Inventory
    from msrctl.transfer.store import Store

    Chunk = tuple[str, bytes]

BATCH = 1024
"""Manifests that are read before they are handed on; at some kB each that is some MB."""
ATTEMPTS = 4
LISTED = 1_000
"""Broken tags that are named one by one."""


class Snapshot:
    """Reads a store once.

    Arguments:
        store: any store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, References | None] = {}
        self._packer = Packer(layout.MANIFESTS)
        self.inventory: Inventory
        self.broken: list[tuple[str, str]] = []
        """Tags that cannot be pulled from this very store, with the reason; they are left out."""

    def chunks(self, *, manifests: bool = True) -> Iterator[Chunk]:
        """Manifests, blobs, repositories.

        Arguments:
            manifests: False for the inventory alone.
        """
        self.inventory = take(self._store)
        if manifests:
            wanted = {d for r in self.inventory.repositories.values() for d in r.revisions}
            wanted |= {d for r in self.inventory.repositories.values() for d in r.tags.values() if d}
            yield from self._read(sorted(wanted))
            yield from self._settle()
            yield from self._packer.flush()
        self._leave_out_odd()
        yield from pack_inventory(self.inventory)

    def _read(self, digests: Iterable[str]) -> Iterator[Chunk]:
        """Manifests that were not read yet; what is none, or too large for one, is known as None."""
        todo = [d for d in digests if d not in self._known]
        with ThreadPoolExecutor(self._store.concurrency) as pool:
            for at in range(0, len(todo), BATCH):
                batch = todo[at : at + BATCH]
                for digest, body in zip(batch, pool.map(self._body, batch), strict=True):
                    self._known[digest] = None if body is None else references(body, self._one)
                    if body is not None:
                        yield from self._packer.add(manifest_record(digest, body))

    def _one(self, digest: str) -> str:
        """The one text of a digest: a layer that ten thousand images share is kept once."""
        return sys.intern(digest)

    def _body(self, digest: str) -> bytes | None:
        size = self.inventory.blobs.get(digest)
        if size is None:
            size = self._store.size(blob_key(digest))
        if size is None or size > layout.LARGEST_MANIFEST:
            return None
        self.inventory.blobs[digest] = size
        try:
            body = self._store.read(blob_key(digest))
        except KeyError:
            return None
        algorithm, _, name = digest.partition(":")
        try:
            return body if hashlib.new(algorithm, body).hexdigest() == name else None
        except ValueError:
            return None

    def _settle(self) -> Iterator[Chunk]:
        """Looks again for what tags lack; what still lacks something then is broken in the store itself."""
        for name, repository in self.inventory.repositories.items():
            for tag in sorted(repository.tags):
                missing: list[Lack] = []
                for _ in range(ATTEMPTS):
                    missing = list(self._lacking(name, tag))
                    if not missing:
                        break
                    yield from self._look_again(name, tag, missing)
                    if tag not in repository.tags:
                        break
                else:
                    self.broken.append((f"{name}:{tag}", missing[0].words))
                    del repository.tags[tag]

    def _lacking(self, name: str, tag: str) -> Iterator[Lack]:
        digest = self.inventory.repositories[name].tags[tag]
        return lacks(name, digest, self.inventory, self._known.get)

    def _look_again(self, name: str, tag: str, missing: list[Lack]) -> Iterator[Chunk]:
        """Reads a tag's link again, then everything that was missing, each by its own key."""
        repository = self.inventory.repositories[name]
        base = f"{REPOSITORIES}/{name}"
        try:
            now = self._store.read(f"{base}/_manifests/tags/{tag}/current/link").decode().strip()
        except KeyError:
            del repository.tags[tag]
            return
        except UnicodeDecodeError:
            now = ""
        repository.tags[tag] = now
        for digest in dict.fromkeys([now, *(lack.digest for lack in missing)]):
            if ":" not in digest:
                continue
            path = digest.replace(":", "/", 1)
            size = self._store.size(blob_key(digest))
            if size is not None:
                self.inventory.blobs[digest] = size
            for kind, found in (
                ("_manifests/revisions", repository.revisions),
                ("_layers", repository.layers),
            ):
                if digest not in found and self._store.size(f"{base}/{kind}/{path}/link") is not None:
                    found.add(digest)
            if digest in repository.revisions and self._known.get(digest) is None:
                self._known.pop(digest, None)
                yield from self._read([digest])
        if repository.tags[tag] in repository.revisions:
            repository.tag_index.setdefault(tag, set()).add(repository.tags[tag])

    def _leave_out_odd(self) -> None:
        """Takes out what no registry would have written: a backup holds names that can be restored."""
        for name in [n for n in self.inventory.repositories if not NAME.fullmatch(n)]:
            del self.inventory.repositories[name]
        for repository in self.inventory.repositories.values():
            for tags in (repository.tags, repository.tag_index):
                for tag in [t for t in tags if not TAG.fullmatch(t)]:
                    del tags[tag]
