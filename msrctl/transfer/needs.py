"""What a tag needs to be pulled: manifests, configuration and layers, and the links to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msrctl.transfer.resolve import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.transfer.inventory import Inventory, Repository

DEEPEST = 4
"""An index of an index of an index is as deep as anybody goes."""


@dataclass(frozen=True, slots=True)
class References:
    """What one manifest refers to.

    Arguments:
        children: digests of manifests (of an index).
        parts: digest and size (None: not said) of configuration and layers that a registry keeps.
    """

    children: tuple[str, ...]
    parts: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Lack:
    """One thing that is missing for a tag.

    Arguments:
        what: manifest, revision, blob, layer, or size.
        digest: of what.
        words: for people.
    """

    what: str
    digest: str
    words: str


def references(body: bytes, one: Callable[[str], str] = str) -> References | None:
    """What a manifest refers to; None if it cannot be read as one.

    Arguments:
        body: its bytes.
        one: gives the one text of a digest, so that each is kept once.
    """
    try:
        content = json.loads(body)
        if not isinstance(content, dict):
            return None
        children = tuple(one(str(child["digest"])) for child in content.get("manifests") or [])
        return References(children, tuple(_parts(content, one)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _parts(content: dict[str, Any], one: Callable[[str], str]) -> Iterator[tuple[str, int | None]]:
    parts = [content["config"]] if isinstance(content.get("config"), dict) else []
    parts += content.get("layers") or []
    parts += [{"digest": layer.get("blobSum")} for layer in content.get("fsLayers") or []]
    for part in parts:
        if any(word in str(part.get("mediaType", "")) for word in FOREIGN):
            continue
        size = part.get("size")
        yield one(str(part["digest"])), size if isinstance(size, int) else None


def lacks(
    name: str, digest: str, there: Inventory, known: Callable[[str], References | None], depth: int = 0
) -> Iterator[Lack]:
    """What is missing for a manifest to be pulled from a repository; nothing if it can be.

    Arguments:
        name: the repository.
        digest: the manifest's.
        there: blobs and links that exist.
        known: gives what a manifest refers to.
    """
    repository = there.repositories.get(name)
    if not digest:
        yield Lack("manifest", "", "its link is damaged")
        return
    if digest not in there.blobs:
        yield Lack("manifest", digest, f"manifest {digest} is missing")
    if repository is None or digest not in repository.revisions:
        yield Lack("revision", digest, f"the link to manifest {digest} is missing")
    found = known(digest)
    if found is None:
        yield Lack("manifest", digest, f"manifest {digest} cannot be read")
        return
    for child in found.children:
        if depth < DEEPEST:
            yield from lacks(name, child, there, known, depth + 1)
    yield from _missing_parts(repository, found, there)


def _missing_parts(repository: Repository | None, found: References, there: Inventory) -> Iterator[Lack]:
    for digest, size in found.parts:
        have = there.blobs.get(digest)
        of = f" ({size / 1e6:.1f} MB)" if size is not None else ""
        if have is None:
            yield Lack("blob", digest, f"layer {digest}{of} is missing")
        elif size is not None and have != size:
            yield Lack("size", digest, f"layer {digest} has {have} bytes instead of {size}")
        if repository is None or digest not in repository.layers:
            yield Lack("layer", digest, f"the link to layer {digest} is missing")
