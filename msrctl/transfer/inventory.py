"""What a store holds: repositories, tags, manifests, layers, blobs, read from the layout alone."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msrctl.transfer.store import BLOBS, REPOSITORIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msrctl.transfer.store import Store

BATCH = 1024
"""Links of tags that are read before the next are begun."""


@dataclass
class Repository:
    """One repository; digests as text, ``sha256:<hex>``."""

    layers: set[str] = field(default_factory=set)
    revisions: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    """Tag to the digest that it names now ("" if its link is damaged)."""
    tag_index: dict[str, set[str]] = field(default_factory=dict)
    """Tag to all digests that it ever named."""


@dataclass
class Inventory:
    """A whole store.

    Arguments:
        blobs: digest to size in bytes.
        repositories: by name.
        odd: keys that do not belong to the layout; they are never copied.
    """

    blobs: dict[str, int] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)

    @property
    def tags(self) -> int:
        """How many tags there are."""
        return sum(len(r.tags) for r in self.repositories.values())

    @property
    def bytes(self) -> int:
        """Bytes of all blobs."""
        return sum(self.blobs.values())

    def links(self) -> dict[str, str]:
        """All link keys with the digest that each holds, tags last."""
        out: dict[str, str] = {}
        late: dict[str, str] = {}
        for name, repository in self.repositories.items():
            base = f"{REPOSITORIES}/{name}"
            for digest in repository.layers:
                out[f"{base}/_layers/{_path(digest)}/link"] = digest
            for digest in repository.revisions:
                out[f"{base}/_manifests/revisions/{_path(digest)}/link"] = digest
            for tag, digests in repository.tag_index.items():
                for digest in digests:
                    out[f"{base}/_manifests/tags/{tag}/index/{_path(digest)}/link"] = digest
            for tag, digest in repository.tags.items():
                late[f"{base}/_manifests/tags/{tag}/current/link"] = digest
        return out | late


def blob_key(digest: str) -> str:
    """Key of a blob's data."""
    algorithm, _, name = digest.partition(":")
    return f"{BLOBS}/{algorithm}/{name[:2]}/{name}/data"


def take(store: Store) -> Inventory:
    """Reads a store's inventory: one listing, and one small read for each tag.

    Arguments:
        store: any store.
    """
    inventory = Inventory()
    for key, size in store.list(BLOBS):
        parts = key.split("/")
        if len(parts) == 8 and parts[7] == "data":
            inventory.blobs[_one(parts[4], parts[6])] = size
        else:
            inventory.odd.append(key)
    current: list[str] = []
    for key, _ in store.list(REPOSITORIES):
        if not _add(inventory, key, current):
            inventory.odd.append(key)
    with ThreadPoolExecutor(store.concurrency) as pool:
        # The pool keeps a record of some kB for all that it is given at once.
        for at in range(0, len(current), BATCH):
            batch = current[at : at + BATCH]
            for key, digest in zip(batch, pool.map(lambda k: _link(store, k), batch), strict=True):
                name, tag = _split_tag(key)
                if digest is not None:
                    inventory.repositories[name].tags[tag] = sys.intern(digest)
    return inventory


def _one(algorithm: str, name: str) -> str:
    """The one text of a digest, which occurs as a blob, in links, and as what tags name."""
    return sys.intern(f"{algorithm}:{name}")


def _add(inventory: Inventory, key: str, current: list[str]) -> bool:
    """Files one key of the repositories' tree; False if it does not belong to the layout."""
    rest = key[len(REPOSITORIES) + 1 :]
    if not rest.endswith("/link"):
        return "/_uploads/" in rest
    for marker in ("/_layers/", "/_manifests/"):
        name, found, tail = rest.partition(marker)
        if not found:
            continue
        repository = inventory.repositories.setdefault(name, Repository())
        parts = tail.split("/")
        match parts:
            case [algorithm, digest, "link"] if marker == "/_layers/":
                repository.layers.add(_one(algorithm, digest))
            case ["revisions", algorithm, digest, "link"]:
                repository.revisions.add(_one(algorithm, digest))
            case ["tags", _, "current", "link"]:
                current.append(key)
            case ["tags", tag, "index", algorithm, digest, "link"]:
                repository.tag_index.setdefault(tag, set()).add(_one(algorithm, digest))
            case _:
                return False
        return True
    return False


def _link(store: Store, key: str) -> str | None:
    """The digest in a link; "" if it is damaged, None if it went away meanwhile."""
    try:
        text = store.read(key).decode(errors="replace").strip()
    except KeyError:
        return None
    algorithm, colon, digest = text.partition(":")
    good = bool(colon) and algorithm.isalnum() and all(c in "0123456789abcdef" for c in digest) and digest
    return text if good else ""


def _split_tag(key: str) -> tuple[str, str]:
    name, _, tail = key[len(REPOSITORIES) + 1 :].partition("/_manifests/tags/")
    return name, tail.split("/", 1)[0]


def _path(digest: str) -> str:
    return digest.replace(":", "/", 1)


def summary(inventory: Inventory) -> dict[str, int]:
    """The inventory in numbers."""
    return {
        "repositories": len(inventory.repositories),
        "tags": inventory.tags,
        "blobs": len(inventory.blobs),
        "bytes": inventory.bytes,
        "links": _count_links(inventory.repositories.values()),
    }


def _count_links(repositories: Iterable[Repository]) -> int:
    return sum(
        len(r.layers) + len(r.revisions) + len(r.tags) + sum(len(d) for d in r.tag_index.values())
        for r in repositories
    )
