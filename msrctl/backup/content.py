"""The inventory and the manifests of a store, packed into the chunks of a backup, and back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msrctl.backup import layout
from msrctl.backup.faults import fault
from msrctl.transfer.inventory import Inventory, Repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Chunk = tuple[str, bytes]

DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,128}")
NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
"""Names of repositories (distribution, reference/regexp.go)."""
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
SIZE = re.compile(r"[0-9]{1,15}")
ENTRIES = 2_000
"""Tags or links in one line: a repository with more has several lines."""
LINKS = ("tags", "index", "revisions", "layers")


@dataclass(frozen=True)
class Manifest:
    """One manifest: its digest and its bytes, which were hashed."""

    digest: str
    body: bytes


class Packer:
    """Collects small records into chunks.

    Arguments:
        section: of the backup.
    """

    def __init__(self, section: str) -> None:
        self._section = section
        self._held = bytearray()

    def add(self, record: bytes) -> Iterator[Chunk]:
        """Takes a record; gives a chunk when there is enough for one."""
        self._held += record
        if len(self._held) >= layout.CHUNK:
            yield from self.flush()

    def flush(self) -> Iterator[Chunk]:
        """What is left."""
        if self._held:
            yield self._section, bytes(self._held)
            self._held.clear()


def manifest_record(digest: str, body: bytes) -> bytes:
    """A manifest as it stands in a chunk: its digest and size on a line, then its bytes."""
    return f"{digest} {len(body)}\n".encode() + body + b"\n"


def pack_inventory(inventory: Inventory) -> Iterator[Chunk]:
    """Blobs with their sizes, then repositories with their links."""
    packer = Packer(layout.BLOBS)
    for digest in sorted(inventory.blobs):
        yield from packer.add(f"{digest} {inventory.blobs[digest]}\n".encode())
    yield from packer.flush()
    packer = Packer(layout.REPOSITORIES)
    for name in sorted(inventory.repositories):
        for line in _lines(name, inventory.repositories[name]):
            yield from packer.add(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    yield from packer.flush()


def _lines(name: str, repository: Repository) -> Iterator[dict[str, Any]]:
    """A repository in lines of at most so many entries; an empty one has a line too."""
    parts: list[tuple[str, list[Any]]] = [
        ("tags", sorted(repository.tags.items())),
        ("index", sorted((t, sorted(d)) for t, d in repository.tag_index.items())),
        ("revisions", sorted(repository.revisions)),
        ("layers", sorted(repository.layers)),
    ]
    line: dict[str, Any] = {"repository": name}
    room = ENTRIES
    for key, entries in parts:
        for entry in entries:
            if not room:
                yield line
                line, room = {"repository": name}, ENTRIES
            if key in ("tags", "index"):
                line.setdefault(key, {})[entry[0]] = entry[1]
            else:
                line.setdefault(key, []).append(entry)
            room -= 1
    yield line


def read_manifests(chunk: bytes) -> Iterator[Manifest]:
    """The manifests in a chunk, each hashed.

    Raises:
        MsrctlError: BACKUP-CONTENT.
    """
    at = 0
    while at < len(chunk):
        cut = chunk.find(b"\n", at, at + 200)
        digest, _, size = chunk[at : max(cut, at)].decode("utf-8", "replace").partition(" ")
        if cut < 0 or not DIGEST.fullmatch(digest) or not SIZE.fullmatch(size):
            raise fault("BACKUP-CONTENT", "a chunk of manifests is not what it should be")
        body = chunk[cut + 1 : cut + 1 + int(size)]
        if _hash(digest, body) != digest:
            raise fault("BACKUP-CONTENT", f"manifest {digest} is not what its digest says")
        yield Manifest(digest, body)
        at = cut + 2 + int(size)


def _hash(digest: str, body: bytes) -> str:
    algorithm = digest.partition(":")[0]
    return f"sha256:{hashlib.sha256(body).hexdigest()}" if algorithm == "sha256" else _other(algorithm, body)


def _other(algorithm: str, body: bytes) -> str:
    if algorithm not in ("sha384", "sha512"):
        return ""
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


@dataclass
class Unpacked:
    """An inventory that is being read; every digest is kept once, however often it occurs.

    Arguments:
        inventory: what was read so far.
        digests: the one text of each digest.
    """

    inventory: Inventory = field(default_factory=Inventory)
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, section: str, chunk: bytes) -> None:
        """Takes a chunk of blobs or of repositories.

        Raises:
            MsrctlError: BACKUP-CONTENT.
        """
        try:
            text = chunk.decode()
            if section == layout.BLOBS:
                for line in text.splitlines():
                    digest, size = line.split(" ")
                    self.inventory.blobs[self.digest(digest)] = _size(size)
            else:
                for line in text.splitlines():
                    self._repository(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise fault("BACKUP-CONTENT", f"a chunk of the inventory cannot be read: {error}"[:200]) from None

    def digest(self, text: str) -> str:
        """The one text of a digest.

        Raises:
            ValueError: it is none.
        """
        known = self.digests.get(text)
        if known is None:
            if not DIGEST.fullmatch(text):
                raise ValueError(f"{text[:80]!r} is no digest")
            known = self.digests.setdefault(text, text)
        return known

    def _repository(self, line: Mapping[str, Any]) -> None:
        name = str(line["repository"])
        if not NAME.fullmatch(name) or len(name) > 255:
            raise ValueError(f"{name[:80]!r} is no name of a repository")
        repository = self.inventory.repositories.setdefault(name, Repository())
        for tag, digest in line.get("tags", {}).items():
            repository.tags[_tag(tag)] = self.digest(digest)
        for tag, digests in line.get("index", {}).items():
            repository.tag_index.setdefault(_tag(tag), set()).update(map(self.digest, digests))
        repository.revisions.update(map(self.digest, line.get("revisions", [])))
        repository.layers.update(map(self.digest, line.get("layers", [])))


def _size(text: str) -> int:
    if not SIZE.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no size")
    return int(text)


def _tag(text: str) -> str:
    if not TAG.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no tag")
    return text


def digests_of(tags: Iterable[Mapping[str, str]]) -> set[str]:
    """All digests that tags name."""
    return {digest for named in tags for digest in named.values() if digest}
