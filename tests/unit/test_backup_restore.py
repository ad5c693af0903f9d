"""A restore knows what it will do in a store: what is missing, what is written back, what is taken out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from backup_support import Content, content, read, sha
from hypothesis import given, settings
from hypothesis import strategies as st

from msrctl.backup.content import Unpacked, pack_inventory
from msrctl.backup.judge import Judge
from msrctl.transfer.files import FileStore
from msrctl.transfer.inventory import blob_key, take
from msrctl.transfer.resolve import broken_tags
from msrctl.transfer.snapshot import Snapshot
from msrctl.transfer.store import REPOSITORIES
from msrctl.transfer.writeback import DROP, LARGEST, MANIFEST, carry_out, packages, unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from msrctl.transfer.inventory import Inventory


def put(root: Path, made: Content, *, layers: bool = True) -> FileStore:
    """A store that holds a content, as a registry would have left it."""
    store = FileStore(root)
    for digest, data in (made.manifests | (made.layers if layers else {})).items():
        store.write(blob_key(digest), (data,), len(data))
    for key, digest in made.inventory.links().items():
        store.write(key, (digest.encode(),), len(digest))
    return store


def judged(made: Content, there: Inventory) -> Judge:
    judge = Judge(read(made.write()), there)
    judge.judge()
    return judge


def restore_into(store: FileStore, made: Content) -> Judge:
    """What the workflow does in the store, without any engine."""
    judge = judged(made, take(store))
    operations = [
        *((MANIFEST, blob_key(d), made.manifests[d]) for d in sorted(judge.verdict.manifests)),
        *((stage, key, digest.encode()) for stage, key, digest in judge.links()),
        *((DROP, key, None) for key in judge.drops()),
    ]
    for digest in judge.verdict.layers:
        store.write(blob_key(digest), (made.layers[digest],), len(made.layers[digest]))
    for package in packages(operations):
        carry_out(store, unpacked(package))
    return judge


def tags_of(inventory: Inventory) -> dict[str, dict[str, str]]:
    return {name: dict(r.tags) for name, r in inventory.repositories.items() if r.tags}


def test_a_store_that_was_kept_needs_nothing(tmp_path: Path) -> None:
    made = content()
    verdict = judged(made, take(put(tmp_path, made))).verdict
    assert not verdict.writes
    assert not verdict.broken


def test_a_missing_layer_breaks_the_tags_that_need_it_and_no_others(tmp_path: Path) -> None:
    made = content()
    store = put(tmp_path, made)
    store.delete([blob_key(sha(b"layer two" * 90))])
    verdict = judged(made, take(store)).verdict
    assert verdict.broken.keys() == {"team/app:2"}
    assert sha(b"layer two" * 90) in verdict.broken["team/app:2"]


def test_a_layer_of_another_size_breaks_its_tags(tmp_path: Path) -> None:
    made = content()
    store = put(tmp_path, made)
    store.write(blob_key(sha(b"shared")), (b"short",), 5)
    assert judged(made, take(store)).verdict.broken.keys() == {"team/app:1", "team/app:2", "base:latest"}


def test_links_and_manifests_that_are_missing_are_written_back(tmp_path: Path) -> None:
    made = content()
    store = put(tmp_path, made)
    keys = [key for key, _ in store.list(REPOSITORIES)]
    store.delete([*keys, *(blob_key(d) for d in made.manifests)])
    restore_into(store, made)
    there = take(store)
    assert tags_of(there) == tags_of(made.inventory)
    assert broken_tags(there, there, store) == []
    assert not judged(made, there).verdict.writes


def test_an_empty_store_is_filled_from_a_backup_with_layers(tmp_path: Path) -> None:
    made = content(with_layers=True)
    store = FileStore(tmp_path)
    assert len(judged(content(), take(store)).verdict.broken) == 3
    restore_into(store, made)
    there = take(store)
    assert tags_of(there) == tags_of(made.inventory)
    assert broken_tags(there, there, store) == []


def test_tags_that_only_the_store_has_are_taken_out_and_named_with_their_digests(tmp_path: Path) -> None:
    made, later = content(), content()
    digest = later.add("team/app", "3", b"newer")
    other = later.add("new", "1", b"new")
    store = put(tmp_path, later)
    judge = restore_into(store, made)
    assert judge.verdict.dropped == {"team/app:3": digest, "new:1": other}
    there = take(store)
    assert tags_of(there) == tags_of(made.inventory)
    assert digest in there.blobs  # garbage, but nothing that cannot be had again


def test_a_tag_that_moved_after_the_backup_is_set_back(tmp_path: Path) -> None:
    made, later = content(), content()
    now = later.add("base", "latest", b"moved")
    store = put(tmp_path, later)
    judge = restore_into(store, made)
    assert judge.verdict.moved == {"base:latest": now}
    assert tags_of(take(store)) == tags_of(made.inventory)


def test_a_broken_tag_is_neither_made_nor_taken_out(tmp_path: Path) -> None:
    made = content()
    store = put(tmp_path, made)
    store.delete([blob_key(sha(b"layer one" * 100))])
    before = take(store).repositories["team/app"].tags["1"]
    restore_into(store, made)
    assert take(store).repositories["team/app"].tags["1"] == before
    fresh = put(tmp_path / "other", made)
    fresh.delete([blob_key(sha(b"layer one" * 100)), *(k for k, _ in fresh.list(REPOSITORIES))])
    restore_into(fresh, made)
    assert set(take(fresh).repositories["team/app"].tags) == {"2"}


def test_a_tag_comes_after_everything_that_it_names(tmp_path: Path) -> None:
    made = content(with_layers=True)
    stages = [stage for stage, key, _ in sorted(judged(made, take(FileStore(tmp_path))).links())]
    assert set(stages) == {1, 2, 3, 4}
    tags = [key for stage, key, _ in judged(made, take(FileStore(tmp_path))).links() if "/current/" in key]
    assert len(tags) == 3
    assert all(stage == 4 for stage, key, _ in judged(made, take(FileStore(tmp_path))).links() if key in tags)


def test_packages_fit_into_configs_and_keep_their_order() -> None:
    import os

    operations = [(0, f"docker/registry/v2/{n}", os.urandom(20_000)) for n in range(200)]
    operations += [(4, f"docker/registry/v2/t{n}", b"x" * 71) for n in range(5000)]  # type: ignore[list-item]
    made = list(packages(operations))
    assert len(made) > 3
    assert all(len(package) < LARGEST + 50_000 for package in made)
    assert [op for package in made for op in unpacked(package)] == operations


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50))
def test_an_inventory_is_the_same_after_packing(many: int, tags: int) -> None:
    made = Content()
    for number in range(many):
        made.add(f"r{number % 7}", f"t{number % (tags + 1)}", b"%d" % number)
    found = Unpacked()
    for section, chunk in pack_inventory(made.inventory):
        found.add(section, chunk)
    assert found.inventory == made.inventory


class _Moving(FileStore):
    """A store in which a push arrives while it is read: at the first look at a manifest."""

    def __init__(self, root: Path, later: Content) -> None:
        super().__init__(root)
        self._root_path = root
        self._later: Content | None = later

    def read(self, key: str) -> bytes:
        later, self._later = (self._later, None) if key.endswith("/current/link") else (None, self._later)
        if later:
            put(self._root_path, later)
        return super().read(key)


def test_a_tag_that_moves_while_the_backup_is_made_is_recorded_with_a_manifest_that_is_in_it(
    tmp_path: Path,
) -> None:
    made, later = content(), content()
    later.add("base", "latest", b"pushed meanwhile")
    later.add("base", "newest", b"new meanwhile")
    put(tmp_path, made)
    snapshot = Snapshot(_Moving(tmp_path, later))
    out = Content()
    found = Unpacked()
    for section, chunk in snapshot.chunks():
        if section.endswith("manifests"):
            from msrctl.backup.content import read_manifests

            out.manifests |= {m.digest: m.body for m in read_manifests(chunk)}
        else:
            found.add(section, chunk)
    out.inventory = found.inventory
    backup = read(out.write())
    assert snapshot.broken == []
    assert backup.inventory.repositories["base"].tags["latest"] in backup.known
    assert not judged(out, take(FileStore(tmp_path))).verdict.broken


def test_a_tag_that_is_broken_in_the_store_itself_is_left_out_and_named(tmp_path: Path) -> None:
    made = content()
    store = put(tmp_path, made)
    store.delete([blob_key(sha(b"layer two" * 90))])
    snapshot = Snapshot(store)
    list(snapshot.chunks())
    assert [tag for tag, _ in snapshot.broken] == ["team/app:2"]
    assert "2" not in snapshot.inventory.repositories["team/app"].tags


def test_a_package_cannot_write_outside_of_the_registry(tmp_path: Path) -> None:
    import pytest

    from msrctl.transfer.store import StoreError

    for key in ("etc/passwd", "docker/registry/v2/../../x", "/etc/passwd"):
        (package,) = packages([(0, key, b"x")])
        with pytest.raises(StoreError):
            carry_out(FileStore(tmp_path), unpacked(package))
    assert not list(io.BytesIO())
    assert list(tmp_path.iterdir()) == []
