"""What a restore has to do in a store: which tags can be pulled again, what is written, what is taken out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msrctl.transfer.inventory import Inventory, Repository
from msrctl.transfer.needs import DEEPEST
from msrctl.transfer.store import REPOSITORIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.backup.check import Backup

_NOTHING = Repository()


@dataclass
class Verdict:
    """What came of comparing a backup with a store.

    Arguments:
        broken: tags whose layers neither the store nor the backup has, with the reason; not restored.
        manifests: digests of manifests that the store lacks; the backup has them all.
        layers: digest to a repository, of layers that the store lacks and the backup has.
        links: number of links that are written.
        set: tags that are made or set back, with the digest that the store has now ("": none).
        dropped: tags that only the store has, with their digests: they are taken out.
    """

    broken: dict[str, str] = field(default_factory=dict)
    manifests: set[str] = field(default_factory=set)
    layers: dict[str, str] = field(default_factory=dict)
    links: int = 0
    set: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)

    @property
    def moved(self) -> dict[str, str]:
        """Tags that name something else in the store than in the backup."""
        return {tag: now for tag, now in self.set.items() if now}

    @property
    def writes(self) -> bool:
        """Whether the store is written to at all."""
        return bool(self.manifests or self.layers or self.links or self.dropped)


class Judge:
    """Compares once.

    Arguments:
        backup: what is wanted.
        store: what is there.
    """

    def __init__(self, backup: Backup, store: Inventory) -> None:
        self._backup = backup
        self._wanted = backup.inventory
        self._store = store
        self._reasons: dict[str, str] = {}
        self.verdict = Verdict()

    def judge(self) -> Verdict:
        """Looks at everything."""
        for name in sorted(self._wanted.repositories):
            self._repository(name, self._wanted.repositories[name])
        for name in sorted(self._store.repositories):
            kept = self._wanted.repositories.get(name, _NOTHING).tags
            for tag, digest in sorted(self._store.repositories[name].tags.items()):
                if tag not in kept:
                    self.verdict.dropped[f"{name}:{tag}"] = digest
        self.verdict.links = sum(1 for _ in self.links())
        return self.verdict

    def links(self) -> Iterator[tuple[int, str, str]]:
        """Links that the store lacks: stage (a tag comes after what it names), key, digest."""
        for name in sorted(self._wanted.repositories):
            wanted = self._wanted.repositories[name]
            there = self._store.repositories.get(name, _NOTHING)
            base = f"{REPOSITORIES}/{name}"
            for digest in sorted(wanted.layers - there.layers):
                if self._has_blob(digest):
                    yield 1, f"{base}/_layers/{_path(digest)}/link", digest
            for digest in sorted(wanted.revisions - there.revisions):
                if not self._why_not(digest):
                    yield 2, f"{base}/_manifests/revisions/{_path(digest)}/link", digest
            for tag, digests in sorted(wanted.tag_index.items()):
                if f"{name}:{tag}" in self.verdict.broken or tag not in wanted.tags:
                    continue
                for digest in sorted(digests - there.tag_index.get(tag, set())):
                    if not self._why_not(digest):
                        yield 3, f"{base}/_manifests/tags/{tag}/index/{_path(digest)}/link", digest
            for tag, digest in sorted(wanted.tags.items()):
                if f"{name}:{tag}" in self.verdict.set:
                    yield 4, f"{base}/_manifests/tags/{tag}/current/link", digest

    def drops(self) -> Iterator[str]:
        """Keys that are taken out: all links of tags that only the store has; their images become garbage."""
        for entry in sorted(self.verdict.dropped):
            name, _, tag = entry.rpartition(":")
            base = f"{REPOSITORIES}/{name}/_manifests/tags/{tag}"
            yield f"{base}/current/link"
            for digest in sorted(self._store.repositories[name].tag_index.get(tag, ())):
                yield f"{base}/index/{_path(digest)}/link"

    def _repository(self, name: str, wanted: Repository) -> None:
        there = self._store.repositories.get(name, _NOTHING)
        for digest in wanted.layers:
            if not self._in_store(digest) and digest in self._backup.layers:
                self.verdict.layers.setdefault(digest, name)
        for digest in wanted.revisions:
            if not self._why_not(digest):
                self._note_manifests(digest)
        for tag, digest in sorted(wanted.tags.items()):
            why = self._why_not(digest)
            if why:
                self.verdict.broken[f"{name}:{tag}"] = why
                continue
            self._note_manifests(digest)
            now = there.tags.get(tag)
            if now != digest:
                self.verdict.set[f"{name}:{tag}"] = now or ""

    def _note_manifests(self, digest: str, depth: int = 0) -> None:
        if not self._in_store(digest):
            self.verdict.manifests.add(digest)
        found = self._backup.known.get(digest)
        if found and depth < DEEPEST:
            for child in found.children:
                self._note_manifests(child, depth + 1)

    def _why_not(self, digest: str, depth: int = 0) -> str:
        """Why a manifest could not be pulled after the restore; "" if it can be."""
        known = self._reasons.get(digest)
        if known is None:
            known = self._reasons[digest] = self._look(digest, depth)
        return known

    def _look(self, digest: str, depth: int) -> str:
        found = self._backup.known.get(digest)
        if found is None:
            return f"manifest {digest} is missing"
        for child in found.children if depth < DEEPEST else ():
            if why := self._why_not(child, depth + 1):
                return why
        for part, size in found.parts:
            have = self._store.blobs.get(part)
            held = self._backup.layers.get(part)
            of = f" ({size / 1e6:.1f} MB)" if size is not None else ""
            if have is None and held is None:
                return f"layer {part}{of} is missing"
            if held is None and size is not None and have != size:
                return f"layer {part} has {have} bytes instead of {size}"
        return ""

    def _in_store(self, digest: str) -> bool:
        have, size = self._store.blobs.get(digest), self._wanted.blobs.get(digest)
        return have is not None and (size is None or have == size)

    def _has_blob(self, digest: str) -> bool:
        return self._in_store(digest) or digest in self._backup.layers


def _path(digest: str) -> str:
    return digest.replace(":", "/", 1)
