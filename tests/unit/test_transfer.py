"""Inventory, comparison, copy and tag resolution, on directories (the real thing) with broken contents."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msrctl.transfer.compare import differences
from msrctl.transfer.copy import Progress, copy_blobs, mirror_links, verify_digests
from msrctl.transfer.files import FileStore
from msrctl.transfer.inventory import blob_key, summary, take
from msrctl.transfer.resolve import broken_tags
from msrctl.transfer.store import REPOSITORIES


class Tree:
    """Makes a store with real images in a directory, in the registry's layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FileStore(root)

    def put(self, key: str, data: bytes) -> None:
        self.store.write(key, [data], len(data))

    def blob(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.put(blob_key(digest), data)
        return digest

    def link(self, repository: str, rest: str, digest: str) -> None:
        self.put(f"{REPOSITORIES}/{repository}/{rest}/link", digest.encode())

    def manifest(self, repository: str, content: dict) -> str:
        digest = self.blob(json.dumps(content).encode())
        self.link(repository, f"_manifests/revisions/{digest.replace(':', '/')}", digest)
        return digest

    def tag(self, repository: str, tag: str, digest: str) -> None:
        self.link(repository, f"_manifests/tags/{tag}/index/{digest.replace(':', '/')}", digest)
        self.link(repository, f"_manifests/tags/{tag}/current", digest)

    def image(self, repository: str, tag: str | None, *layers: bytes) -> str:
        parts = []
        for data in (b"config of " + b"".join(layers), *layers):
            digest = self.blob(data)
            self.link(repository, f"_layers/{digest.replace(':', '/')}", digest)
            parts.append({"mediaType": "application/octet-stream", "digest": digest, "size": len(data)})
        digest = self.manifest(repository, {"schemaVersion": 2, "config": parts[0], "layers": parts[1:]})
        if tag:
            self.tag(repository, tag, digest)
        return digest

    def take(self):
        return take(self.store)


@pytest.fixture
def old(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "old")
    tree.image("web/shop", "1", b"a" * 1000, b"b")
    tree.image("web/shop", "2", b"a" * 1000, b"c")
    tree.image("base", "latest", b"d" * 5_000_000)
    return tree


@pytest.fixture
def new(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "new")


def copy_all(old: Tree, new: Tree) -> Progress:
    progress = Progress()
    source, target = old.take(), new.take()
    copy_blobs(old.store, new.store, source.blobs, target.blobs, progress)
    mirror_links(source, new.store, target, progress)
    return progress


def test_inventory_counts_what_is_there(old: Tree) -> None:
    assert summary(old.take()) == {
        "repositories": 2,
        "tags": 3,
        "blobs": 10,
        "bytes": sum(p.stat().st_size for p in old.root.rglob("data")),
        "links": len(list(old.root.rglob("link"))),
    }


def test_inventory_never_looks_into_uploads(old: Tree) -> None:
    before = summary(old.take())
    old.put(f"{REPOSITORIES}/web/shop/_uploads/7f/data", b"half an upload")
    old.put(f"{REPOSITORIES}/web/shop/_uploads/7f/startedat", b"2026")
    assert summary(old.take()) == before


def test_every_link_of_the_disk_is_in_the_inventory_with_its_digest(old: Tree) -> None:
    on_disk = {str(p.relative_to(old.root)): p.read_text() for p in old.root.rglob("link")}
    assert old.take().links() == on_disk


def test_a_copy_is_exact_and_leaves_nothing_else_behind(old: Tree, new: Tree) -> None:
    copy_all(old, new)
    assert list(differences(old.take(), new.take())) == []
    files = {str(p.relative_to(old.root)): p.read_bytes() for p in old.root.rglob("*") if p.is_file()}
    assert {str(p.relative_to(new.root)): p.read_bytes() for p in new.root.rglob("*") if p.is_file()} == files


def test_a_second_copy_copies_nothing(old: Tree, new: Tree) -> None:
    copy_all(old, new)
    again = copy_all(old, new)
    assert (again.blobs_total, again.links, again.deleted) == (0, 0, 0)


def test_a_copy_that_stopped_goes_on_where_it_was(old: Tree, new: Tree) -> None:
    source = old.take()
    first = dict(list(source.blobs.items())[:4])
    copy_blobs(old.store, new.store, first, {}, Progress())
    assert copy_all(old, new).blobs_total == len(source.blobs) - len(first)


def test_a_corrupt_blob_is_never_written_to_the_new_store(old: Tree, new: Tree) -> None:
    digest = old.blob(b"e" * 100)
    (old.root / blob_key(digest)).write_bytes(b"x" * 100)
    progress = copy_all(old, new)
    assert progress.corrupt == [digest]
    assert not (new.root / blob_key(digest)).exists()
    assert [d.name for d in differences(old.take(), new.take())] == [digest]
    assert not list(new.root.rglob("*.msrctl"))


def test_a_truncated_blob_in_the_new_store_is_found_and_copied_again(old: Tree, new: Tree) -> None:
    copy_all(old, new)
    victim = next(p for p in new.root.rglob("data") if p.stat().st_size == 5_000_000)
    victim.write_bytes(b"short")
    found = list(differences(old.take(), new.take()))
    assert [(d.kind, d.what) for d in found] == [("*", "blob")]
    assert copy_all(old, new).blobs == 1
    assert list(differences(old.take(), new.take())) == []


def test_a_swapped_blob_of_the_same_size_is_found_by_its_digest_only(old: Tree, new: Tree) -> None:
    copy_all(old, new)
    victim = next(p for p in new.root.rglob("data") if p.stat().st_size == 5_000_000)
    victim.write_bytes(b"z" * 5_000_000)
    assert list(differences(old.take(), new.take())) == []
    assert verify_digests(new.store, new.take().blobs) == [f"sha256:{victim.parent.name}"]


def test_a_tag_that_moved_or_went_in_the_old_store_does_so_in_the_new_one(old: Tree, new: Tree) -> None:
    copy_all(old, new)
    old.tag("web/shop", "1", old.take().repositories["web/shop"].tags["2"])
    old.store.delete([k for k in old.take().links() if "/base/" in k])
    progress = copy_all(old, new)
    assert progress.deleted > 0
    assert list(differences(old.take(), new.take())) == []
    assert "base" not in new.take().repositories


def test_while_pushes_go_on_nothing_is_deleted(old: Tree, new: Tree) -> None:
    new.image("other", "9", b"kept")
    source, target = old.take(), new.take()
    mirror_links(source, new.store, target, Progress(), delete=False)
    assert new.take().repositories["other"].tags.keys() == {"9"}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("layer", "layer sha256:"),
        ("manifest", "manifest sha256:"),
        ("layer link", "the link to layer"),
        ("revision link", "the link to manifest"),
        ("json", "cannot be read"),
        ("tag link", "its link is damaged"),
    ],
)
def test_a_tag_that_cannot_be_pulled_is_named_with_the_reason(old: Tree, damage: str, expected: str) -> None:
    inventory = old.take()
    shop = inventory.repositories["web/shop"]
    manifest = shop.tags["1"]
    layer = json.loads((old.root / blob_key(manifest)).read_bytes())["layers"][1]["digest"]
    base = f"{REPOSITORIES}/web/shop"
    match damage:
        case "layer":
            old.store.delete([blob_key(layer)])
        case "manifest":
            old.store.delete([blob_key(manifest)])
        case "layer link":
            old.store.delete([f"{base}/_layers/{layer.replace(':', '/')}/link"])
        case "revision link":
            old.store.delete([f"{base}/_manifests/revisions/{manifest.replace(':', '/')}/link"])
        case "json":
            (old.root / blob_key(manifest)).write_bytes(b"\0" * 400)
        case "tag link":
            old.put(f"{base}/_manifests/tags/1/current/link", b"")
    now = old.take()
    broken = broken_tags(now, now, old.store)
    assert [b.tag for b in broken] == ["web/shop:1"]
    assert expected in broken[0].why


def test_tags_of_the_old_store_that_the_new_one_cannot_serve_are_named(old: Tree, new: Tree) -> None:
    copy_all(old, new)
    shared = next(d for d, s in old.take().blobs.items() if s == 1000)
    new.store.delete([blob_key(shared)])
    broken = broken_tags(old.take(), new.take(), old.store)
    assert [b.tag for b in broken] == ["web/shop:1", "web/shop:2"]
    assert all(shared in b.missing for b in broken)


def test_an_index_is_followed_to_its_children(old: Tree) -> None:
    child = old.image("multi", None, b"arm")
    index = old.manifest("multi", {"manifests": [{"digest": child}]})
    old.tag("multi", "1", index)
    now = old.take()
    assert broken_tags(now, now, old.store) == []
    layer = json.loads((old.root / blob_key(child)).read_bytes())["layers"][0]["digest"]
    old.store.delete([blob_key(layer)])
    now = old.take()
    assert [b.tag for b in broken_tags(now, now, old.store)] == ["multi:1"]


def test_a_tag_that_only_the_new_store_has_is_a_difference_but_a_stray_blob_is_harmless(
    old: Tree, new: Tree
) -> None:
    copy_all(old, new)
    new.blob(b"stray")
    assert [d.harmless for d in differences(old.take(), new.take())] == [True]
    new.image("web/shop", "zombie", b"a" * 1000, b"b")
    assert ("+", "web/shop:zombie", False) in [
        (d.kind, d.name, d.harmless) for d in differences(old.take(), new.take())
    ]


names = st.lists(st.sampled_from(["a", "b-1", "lib", "x_y"]), min_size=1, max_size=3).map("/".join)
tags = st.sampled_from(["latest", "1.0", "v2"])
layers = st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(names, tags, layers), max_size=6), st.lists(st.tuples(names, tags, layers), max_size=4)
)
def test_whatever_two_stores_hold_mirroring_makes_them_serve_the_same(
    tmp_path_factory: pytest.TempPathFactory, first: list, second: list
) -> None:
    base = tmp_path_factory.mktemp("stores")
    old, new = Tree(base / "old"), Tree(base / "new")
    for tree, images in ((old, first), (new, second)):
        for name, tag, parts in images:
            tree.image(name, tag, *parts)
    copy_all(old, new)
    assert [d for d in differences(old.take(), new.take()) if not d.harmless] == []
    assert new.take().links() == old.take().links()
    assert broken_tags(old.take(), new.take(), new.store) == []
