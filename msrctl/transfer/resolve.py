"""Follows every tag to its manifests, configuration and layers, and says which cannot be pulled, and why."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msrctl.transfer.inventory import blob_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.transfer.inventory import Inventory, Repository
    from msrctl.transfer.store import Store

FOREIGN = ("foreign", "nondistributable")
"""Parts of media types of layers that are not kept in a registry (OCI image specification, layer)."""


@dataclass(frozen=True)
class Broken:
    """A tag that cannot be pulled.

    Arguments:
        tag: ``repository:tag``.
        why: the first reason, in words.
        missing: digests that are missing for it.
    """

    tag: str
    why: str
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For the file with the whole list."""
        return {"tag": self.tag, "why": self.why, "missing": list(self.missing)}


def broken_tags(wanted: Inventory, there: Inventory, reader: Store) -> list[Broken]:
    """Tags of `wanted` that cannot be pulled from what is `there`.

    Arguments:
        wanted: whose tags are looked at.
        there: blobs and links that exist; the same inventory to check a store for itself.
        reader: a store to read manifests from.
    """
    resolver = _Resolver(there, reader)
    tags = [
        (name, tag, digest) for name, repo in wanted.repositories.items() for tag, digest in repo.tags.items()
    ]
    # Read the manifests side by side first; following them is then a matter of memory.
    with ThreadPoolExecutor(reader.concurrency) as pool:
        list(pool.map(resolver.manifest, {digest for _, _, digest in tags if digest}))
    found = []
    for name, tag, digest in sorted(tags):
        reasons = list(resolver.reasons(name, digest))
        if reasons:
            missing = tuple(dict.fromkeys(d for d, _ in reasons if d))
            found.append(Broken(f"{name}:{tag}", reasons[0][1], missing))
    return found


class _Resolver:
    def __init__(self, there: Inventory, reader: Store) -> None:
        self._there = there
        self._reader = reader
        self._manifests: dict[str, dict[str, Any] | None] = {}

    def manifest(self, digest: str) -> dict[str, Any] | None:
        """A manifest's content; None if it cannot be read as one."""
        if digest not in self._manifests:
            try:
                content = json.loads(self._reader.read(blob_key(digest)))
            except (KeyError, ValueError):
                content = None
            self._manifests[digest] = content if isinstance(content, dict) else None
        return self._manifests[digest]

    def reasons(self, name: str, digest: str, depth: int = 0) -> Iterator[tuple[str, str]]:
        """Why a manifest cannot be pulled from a repository: (digest, words); nothing if it can."""
        repository = self._there.repositories.get(name)
        if not digest:
            yield "", "its link is damaged"
            return
        if repository is None:
            yield digest, f"repository {name} is missing"
            return
        if digest not in self._there.blobs:
            yield digest, f"manifest {digest} is missing"
            return
        if digest not in repository.revisions:
            yield digest, f"the link to manifest {digest} is missing"
            return
        content = self.manifest(digest)
        if content is None:
            yield digest, f"manifest {digest} cannot be read"
            return
        for child in content.get("manifests") or []:
            if depth < 4:  # an index of an index of an index is as deep as anybody goes
                yield from self.reasons(name, str(child.get("digest", "")), depth + 1)
        yield from self._parts(repository, content)

    def _parts(self, repository: Repository, content: dict[str, Any]) -> Iterator[tuple[str, str]]:
        parts = [content["config"]] if isinstance(content.get("config"), dict) else []
        parts += content.get("layers") or []
        parts += [{"digest": layer.get("blobSum")} for layer in content.get("fsLayers") or []]
        for part in parts:
            if any(word in str(part.get("mediaType", "")) for word in FOREIGN):
                continue
            digest = str(part.get("digest", ""))
            size = f" ({part['size'] / 1e6:.1f} MB)" if isinstance(part.get("size"), int) else ""
            have = self._there.blobs.get(digest)
            if have is None:
                yield digest, f"layer {digest}{size} is missing"
            elif isinstance(part.get("size"), int) and have != part["size"]:
                yield digest, f"layer {digest} has {have} bytes instead of {part['size']}"
            elif digest not in repository.layers:
                yield digest, f"the link to layer {digest} is missing"
