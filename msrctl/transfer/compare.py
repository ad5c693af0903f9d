"""Compares two inventories. Classes as rclone's check has them.

``=`` the same in both, ``-`` missing in the new store, ``+`` only in the new store, ``*`` different, ``!``
cannot be read. Blobs that only the new store has do no harm; tags that only it has would come back from the
dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from msrctl.transfer.inventory import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.transfer.inventory import Inventory

Class = Literal["-", "+", "*", "!"]


@dataclass(frozen=True)
class Difference:
    """One difference between an old and a new store.

    Arguments:
        kind: its class.
        what: blob, tag, revision, layer or tag-index.
        name: the digest, or ``repository:tag``, or ``repository@digest``.
        detail: sizes or digests in words.
        harmless: whether the new store serves everything that the old one does in spite of it.
    """

    kind: Class
    what: str
    name: str
    detail: str = ""
    harmless: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the file with the whole list."""
        return {"class": self.kind, "what": self.what, "name": self.name, "detail": self.detail}


def differences(old: Inventory, new: Inventory) -> Iterator[Difference]:
    """Every difference, blobs first.

    Arguments:
        old: what must be there.
        new: what is there.
    """
    for digest, size in old.blobs.items():
        have = new.blobs.get(digest)
        if have is None:
            yield Difference("-", "blob", digest, f"{size} bytes")
        elif have != size:
            yield Difference("*", "blob", digest, f"{have} bytes instead of {size}")
    for digest in new.blobs.keys() - old.blobs.keys():
        yield Difference("+", "blob", digest, f"{new.blobs[digest]} bytes", harmless=True)
    empty = Repository()
    for name in sorted(old.repositories.keys() | new.repositories.keys()):
        yield from _repository(name, old.repositories.get(name, empty), new.repositories.get(name, empty))


def _repository(name: str, old: Repository, new: Repository) -> Iterator[Difference]:
    for tag in sorted(old.tags.keys() | new.tags.keys()):
        have, want = new.tags.get(tag), old.tags.get(tag)
        if want == "":
            yield Difference("!", "tag", f"{name}:{tag}", "its link is damaged in the old store")
        elif have is None:
            yield Difference("-", "tag", f"{name}:{tag}", f"{want}")
        elif want is None:
            yield Difference("+", "tag", f"{name}:{tag}", f"{have}")
        elif have != want:
            yield Difference("*", "tag", f"{name}:{tag}", f"{have or 'damaged'} instead of {want}")
    for what, have_set, want_set in (
        ("revision", new.revisions, old.revisions),
        ("layer", new.layers, old.layers),
    ):
        for digest in sorted(want_set - have_set):
            yield Difference("-", what, f"{name}@{digest}")
        for digest in sorted(have_set - want_set):
            yield Difference("+", what, f"{name}@{digest}", harmless=True)
    for tag, digests in sorted(old.tag_index.items()):
        for digest in sorted(digests - new.tag_index.get(tag, set())):
            yield Difference("-", "tag-index", f"{name}:{tag}@{digest}")
