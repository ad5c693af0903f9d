"""Obligations of an image store, the same for a directory and for every object store."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from stores_support import STORES

from msrctl.transfer.inventory import blob_key, take
from msrctl.transfer.owner import Owner, read_owner, write_owner
from msrctl.transfer.store import BLOBS, REPOSITORIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.transfer.store import Store

pytestmark = pytest.mark.stores
MANY = 1_200
"""More than a page of most stores' listings, and more than S3 deletes by one request."""


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with STORES[request.param](tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture
def place() -> str:
    """A directory in the store that is this test's alone."""
    return f"{REPOSITORIES}/{uuid4().hex}"


def put(store: Store, key: str, data: bytes) -> None:
    store.write(key, (data,), len(data))


def test_what_was_written_is_read_back_with_its_size(store: Store, place: str) -> None:
    put(store, f"{place}/a", b"hello")
    assert store.read(f"{place}/a") == b"hello"
    assert b"".join(store.stream(f"{place}/a")) == b"hello"
    assert store.size(f"{place}/a") == 5


def test_an_empty_object_is_an_object(store: Store, place: str) -> None:
    store.write(f"{place}/empty", (), 0)
    assert store.size(f"{place}/empty") == 0
    assert store.read(f"{place}/empty") == b""
    assert list(store.list(place)) == [(f"{place}/empty", 0)]


def test_a_missing_key_is_a_key_error_and_has_no_size(store: Store, place: str) -> None:
    put(store, f"{place}/a/b", b"x")
    for key in (f"{place}/none", f"{place}/a", f"{place}/a/b/c"):
        assert store.size(key) is None or key == f"{place}/a"  # a directory of files has some size
        with pytest.raises(KeyError) as caught:
            store.read(key)
        assert caught.value.args == (key,)
        with pytest.raises(KeyError):
            next(iter(store.stream(key)))


def test_a_list_has_all_keys_below_a_directory_and_no_others(store: Store, place: str) -> None:
    inside = {f"{place}/app/x": 1, f"{place}/app/y/z": 2}
    for key, size in (inside | {f"{place}/app2/x": 3, f"{place}/application": 4, f"{place}/ap": 5}).items():
        put(store, key, b"." * size)
    assert dict(store.list(f"{place}/app")) == inside
    assert list(store.list(f"{place}/nothing")) == []
    assert list(store.list(f"{place}/application")) == []


def test_uploads_that_go_on_are_not_listed(store: Store, place: str) -> None:
    put(store, f"{place}/_uploads/1234/data", b"half")
    put(store, f"{place}/_layers/x/link", b"whole")
    assert [key for key, _ in store.list(place)] == [f"{place}/_layers/x/link"]


def test_names_of_repositories_and_tags_keep_every_character(store: Store, place: str) -> None:
    keys = {
        f"{place}/a-b_c__d.e/f--g/_manifests/tags/V1.0_rc-1/current/link",
        f"{place}/0/_manifests/tags/_x/current/link",
        f"{place}/z/_manifests/tags/{'t' * 128}/current/link",
    }
    for key in keys:
        put(store, key, key.encode())
    assert {key for key, _ in store.list(place)} == keys
    for key in keys:
        assert store.read(key) == key.encode()


def test_an_object_is_replaced(store: Store, place: str) -> None:
    put(store, f"{place}/a", b"long before")
    put(store, f"{place}/a", b"short")
    assert store.read(f"{place}/a") == b"short"
    assert list(store.list(place)) == [(f"{place}/a", 5)]


def test_a_large_object_goes_and_comes_in_pieces(store: Store) -> None:
    pieces = [os.urandom(1 << 20) for _ in range(21)] + [b"the rest"]
    want = hashlib.sha256(b"".join(pieces)).hexdigest()
    key, size = blob_key(f"sha256:{want}"), sum(map(len, pieces))
    store.write(key, iter(pieces), size)
    got, largest = hashlib.sha256(), 0
    for chunk in store.stream(key):
        got.update(chunk)
        largest = max(largest, len(chunk))
    assert (got.hexdigest(), store.size(key)) == (want, size)
    assert largest < size
    assert take(store).blobs[f"sha256:{want}"] == size


@pytest.mark.parametrize("size", [100, 21 << 20])
def test_what_could_not_be_written_whole_is_not_there(store: Store, place: str, size: int) -> None:
    class Damaged(Exception):
        pass

    def chunks() -> Iterator[bytes]:
        step = max(1, size // 21)
        for _ in range(20):
            yield b"x" * step
        raise Damaged

    for key in (f"{place}/new", f"{place}/old"):
        if key.endswith("old"):
            put(store, key, b"before")
        with pytest.raises(Damaged):
            store.write(key, chunks(), size)
    assert dict(store.list(place)) == {f"{place}/old": 6}
    assert store.read(f"{place}/old") == b"before"


def test_a_vanished_source_is_told_as_such(store: Store, place: str) -> None:
    with pytest.raises(KeyError, match="gone"):
        store.write(f"{place}/copy", (chunk for chunk in _gone()), 20 << 20)
    assert list(store.list(place)) == []


def _gone() -> Iterator[bytes]:
    yield b"x" * (1 << 20)
    raise KeyError("gone")


def test_thousands_of_keys_are_listed_once_each_and_deleted(store: Store, place: str) -> None:
    keys = {f"{place}/{number:04}/link": number % 7 for number in range(MANY)}
    with ThreadPoolExecutor(store.concurrency) as pool:
        list(pool.map(lambda item: put(store, item[0], b"." * item[1]), keys.items()))
    put(store, f"{place}-beside/link", b"stays")
    found = list(store.list(place))
    assert len(found) == MANY
    assert dict(found) == keys
    store.delete([f"{place}/missing", *keys, f"{place}/missing-too"])
    assert list(store.list(place)) == []
    assert store.read(f"{place}-beside/link") == b"stays"


def test_deleting_what_is_not_there_does_not_matter(store: Store, place: str) -> None:
    store.delete([])
    store.delete([f"{place}/none"])
    store.delete(f"{place}/{number}" for number in range(3))


def test_many_threads_may_use_it_at_once(store: Store, place: str) -> None:
    def one(number: int) -> bool:
        key, data = f"{place}/{number}", bytes([number]) * (number << 10)
        put(store, key, data)
        same = store.read(key) == data and store.size(key) == len(data)
        if number % 2:
            store.delete([key])
        return same

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(64)))
    assert {key for key, _ in store.list(place)} == {f"{place}/{number}" for number in range(0, 64, 2)}


def test_the_marker_of_the_owner_is_no_part_of_the_images(store: Store) -> None:
    assert read_owner(store) is None
    owner = Owner("store", "cluster", "https://images.example", "2026-01-01T00:00:00Z")
    write_owner(store, owner)
    assert read_owner(store) == owner
    assert [key for key, _ in store.list(BLOBS) if "owner" in key] == []
    store.delete(["msrctl-owner.json"])
    assert read_owner(store) is None


def test_a_good_store_passes_its_probe_and_keeps_nothing_of_it(store: Store) -> None:
    before = sum(1 for _ in store.list("docker"))
    checks = list(store.probe())
    assert [check for check in checks if not check["ok"]] == []
    assert all(check["title"] for check in checks)
    assert sum(1 for _ in store.list("docker")) == before


def test_it_says_what_it_is_and_how_much_at_once_suits_it(store: Store) -> None:
    assert store.words
    assert 1 <= store.concurrency <= 64
