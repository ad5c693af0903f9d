"""The store in Swift against OpenStack's own: segments, tokens, and what its probe says."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests
from cloud_support import broken_off, failures, only_failure
from stores_support import ADDRESS, opened

from labs.stores.ports import free_ports
from labs.stores.swift import SwiftStore as Server
from labs.stores.swift import swift_v1, swift_v3
from labs.system import eventually
from msrctl.secret import Secret
from msrctl.transfer import swift
from msrctl.transfer.inventory import blob_key
from msrctl.transfer.store import BLOBS, REPOSITORIES, StoreError
from msrctl.transfer.swift import SMALL, SwiftStore
from msrctl.transfer.swift_auth import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

PREFIX = "team/images"


@pytest.fixture(scope="module")
def first() -> Iterator[Server]:
    with swift_v1(ADDRESS) as started:
        yield started


@pytest.fixture(scope="module")
def third() -> Iterator[Server]:
    with swift_v3(ADDRESS) as started:
        yield started


@pytest.fixture
def server(first: Server) -> Server:
    """With a container that is not there."""
    return dataclasses.replace(first, container=f"c{uuid4().hex}")


@pytest.fixture
def store(server: Server) -> SwiftStore:
    return of(server)


def of(server: Server, **limits: int) -> SwiftStore:
    ((_, section),) = server.storage_section().items()
    secrets = {"password": Secret(section.pop("password"))}
    return SwiftStore({**section, "prefix": PREFIX}, secrets, None, "the store", **limits)


class Raw:
    """The container as anybody sees it who knows Swift."""

    def __init__(self, store: SwiftStore) -> None:
        access = store.client.access()
        self.url = f"{access.url}/{store.client.container}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Auth-Token"] = access.token.reveal_text()

    def send(self, method: str, name: str = "", **more: Any) -> requests.Response:
        answer = self._session.request(method, f"{self.url}/{quote(name)}".rstrip("/"), timeout=30, **more)
        answer.raise_for_status()
        return answer

    def ready(self) -> bool:
        """Makes the container; Swift says 503 as long as not all of its servers have begun."""
        try:
            self.send("PUT")
        except requests.HTTPError as error:
            if error.response.status_code == 503:
                return False
            raise
        return True

    def names(self) -> set[str]:
        return set(self.send("GET").text.split())

    def push(self, name: str, parts: list[bytes]) -> None:
        """As the driver pushes a layer: segments, and an empty object that names them."""
        start = f"{PREFIX}/segments/abc/{uuid4().hex}"
        for number, part in enumerate(parts, 1):
            self.send("PUT", f"{start}/{number:016}", data=part)
        container = self.url.rpartition("/")[2]
        self.send("PUT", name, data=b"", headers={"X-Object-Manifest": f"{container}/{start}"})


@pytest.fixture
def raw(store: SwiftStore) -> Raw:
    made = Raw(store)
    eventually(made.ready, 30)
    return made


def key_of(data: bytes) -> str:
    return blob_key(f"sha256:{hashlib.sha256(data).hexdigest()}")


# --- objects and segments


def test_names_are_those_of_the_driver(store: SwiftStore, raw: Raw) -> None:
    store.write(f"{REPOSITORIES}/a/_layers/x/link", [b"sha256:1"], 8)
    assert raw.names() == {f"{PREFIX}/files/docker/registry/v2/repositories/a/_layers/x/link"}


def test_a_pushed_layer_has_the_size_of_its_segments_and_is_read_as_one(store: SwiftStore, raw: Raw) -> None:
    data = b"a" * 70_000 + b"b" * 5
    key = key_of(data)
    raw.push(f"{PREFIX}/files/{key}", [data[:70_000], data[70_000:]])
    store.write(f"{BLOBS}/sha256/00/0/data", [], 0)
    assert dict(store.list(BLOBS)) == {key: len(data), f"{BLOBS}/sha256/00/0/data": 0}
    assert store.size(key) == len(data)
    assert store.read(key) == data
    assert b"".join(store.stream(key)) == data


@pytest.mark.parametrize("many", [0, 100])
def test_sizes_are_right_however_they_are_found_out(
    many: int, store: SwiftStore, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swift, "MANY", many)
    sizes = {f"{BLOBS}/sha256/{n:02}/{n}/data": n for n in (1, 2, 5)}
    for key, size in sizes.items():
        raw.push(f"{PREFIX}/files/{key}", [b"x"] * size)
    raw.push(f"{PREFIX}/files/{BLOBS}/sha256/00/{swift.EMPTY}/data", [])
    store.write(f"{BLOBS}/sha256/03/3/data", [b"abc"], 3)
    wanted = sizes | {f"{BLOBS}/sha256/00/{swift.EMPTY}/data": 0, f"{BLOBS}/sha256/03/3/data": 3}
    assert dict(store.list(BLOBS)) == wanted


def test_deleting_a_pushed_layer_takes_its_segments_along_and_no_others(store: SwiftStore, raw: Raw) -> None:
    for letter in (b"x", b"y"):
        raw.push(f"{PREFIX}/files/{key_of(letter)}", [letter, letter])
    store.delete([key_of(b"x")])
    assert len([name for name in raw.names() if "/segments/" in name]) == 2
    assert store.read(key_of(b"y")) == b"yy"
    store.delete([key_of(b"y")])
    assert raw.names() == set()


def test_replacing_a_pushed_layer_leaves_no_segments(store: SwiftStore, raw: Raw) -> None:
    key = key_of(b"new")
    raw.push(f"{PREFIX}/files/{key}", [b"damaged", b"layer"])
    store.write(key, [b"n", b"ew"], 3)
    assert store.read(key) == b"new"
    assert raw.names() == {f"{PREFIX}/files/{key}"}


def test_what_is_too_large_for_swift_is_written_in_segments_as_the_driver_does(server: Server) -> None:
    store, raw = of(server, largest=100, segment=70), Raw(of(server))
    data = bytes(range(250))
    key = key_of(data)
    store.write(key, [data[:65], data[65:90], data[90:]], 250)
    assert raw.send("GET", f"{PREFIX}/files/{key}").content == data
    manifest = raw.send("HEAD", f"{PREFIX}/files/{key}").headers["X-Object-Manifest"]
    start = manifest.partition("/")[2]
    assert manifest.startswith(f"{server.container}/{PREFIX}/segments/")
    wanted = {f"{start}/{number:016}" for number in (1, 2, 3, 4)}
    assert raw.names() == wanted | {f"{PREFIX}/files/{key}"}
    assert store.size(key) == 250
    assert dict(store.list(BLOBS)) == {key: 250}
    store.write(key, [data], 250)  # again
    assert len(raw.names()) == 5
    store.delete([key])
    assert raw.names() == set()


@pytest.mark.parametrize("size", [300, 10])
def test_segments_of_what_was_not_written_whole_are_taken_away(size: int, server: Server) -> None:
    store = of(server, largest=5, segment=3)
    with pytest.raises((RuntimeError, StoreError)):
        store.write(key_of(b"x"), broken_off(b"01234567"), size)
    with pytest.raises(StoreError, match="more than 6"):
        store.write(key_of(b"x"), [b"01234567"], 6)
    with pytest.raises(StoreError, match="instead of"):
        store.write(key_of(b"x"), [b"0123"], 6)
    assert Raw(store).names() == set()


def test_a_stream_of_another_length_than_was_said_is_no_object(store: SwiftStore, raw: Raw) -> None:
    large = SMALL + 10
    for data in ([b"x" * large, b"y"], [b"x" * (large - 1)], [b"x" * large, b"", b"y" * 5]):
        with pytest.raises(StoreError, match="bytes instead of") as caught:
            store.write(key_of(b"x"), data, large)
        assert caught.value.code == "STORE-SIZE"
    assert raw.names() == set()
    store.write(key_of(b"x"), [b"", b"x" * large, b""], large)
    assert store.size(key_of(b"x")) == large


@pytest.mark.parametrize("size", [3, SMALL + 10])
def test_a_container_that_is_not_there_is_made_by_the_first_write(size: int, store: SwiftStore) -> None:
    assert list(store.list("docker")) == []
    assert store.size("docker/x") is None
    store.delete(["docker/x"])
    store.write("docker/x", [b"x" * size], size)
    assert store.size("docker/x") == size


@pytest.mark.parametrize("size", [3, SMALL + 10])
def test_a_token_that_is_not_taken_any_more_is_renewed(size: int, store: SwiftStore, raw: Raw) -> None:
    def spoil() -> None:
        store.client._access = Access(store.client.access().url, Secret("gone"))

    for use in (
        lambda: store.write("docker/x", [b"x" * size], size),
        lambda: store.size("docker/x"),
        lambda: list(store.list("docker")),
        lambda: store.read("docker/x"),
        lambda: store.delete(["docker/x"]),
    ):
        spoil()
        use()
    assert raw.names() == set()


def test_a_wrong_password_and_a_store_that_is_gone_are_told_as_such(server: Server) -> None:
    with pytest.raises(StoreError, match="refuses the user") as caught:
        of(server.with_wrong_secret()).size("docker/x")
    assert caught.value.code == "STORE-DENIED"
    assert server.with_wrong_secret().password.reveal_text() not in str(caught.value)
    (port,) = free_ports(ADDRESS, 1)
    gone = of(dataclasses.replace(server, endpoint=f"http://{ADDRESS}:{port}/auth/v1.0"))
    with pytest.raises(StoreError, match="connection refused"):
        gone.size("docker/x")


# --- the probe


def test_the_probe_makes_a_missing_container_and_takes_it_away_again(
    server: Server, store: SwiftStore
) -> None:
    assert failures(opened(server)) == []
    assert store.client.send("HEAD").status_code == 404
    store.write("docker/x", [b"x"], 1)
    assert failures(opened(server)) == []
    assert Raw(store).names() == {f"{PREFIX}/files/docker/x"}


@pytest.mark.parametrize("version", ["first", "third"])
def test_a_wrong_password(version: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(version)
    found = only_failure(opened(server.with_wrong_secret()))
    assert found["code"] == "PRE-SWIFT-PASSWORD"
    assert server.user in found["detail"]
    assert server.with_wrong_secret().password.reveal_text() not in str(found)


def test_a_wrong_user_in_version_1_is_told_how_it_is_written(first: Server) -> None:
    found = only_failure(opened(dataclasses.replace(first, user="tester")))
    assert found["code"] == "PRE-SWIFT-PASSWORD"
    assert "tenant:user" in found["hint"]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"tenant": "nobodys"}, "PRE-SWIFT-TENANT", "the tenant nobodys"),
        ({"tenant": None, "tenantid": "0123"}, "PRE-SWIFT-TENANT", "the tenant 0123"),
        ({"trustid": "0123"}, "PRE-SWIFT-TENANT", "the trust 0123"),
        ({"tenantdomain": "Elsewhere"}, "PRE-SWIFT-TENANT", "the tenant regproj"),
        ({"domain": "Elsewhere"}, "PRE-SWIFT-PASSWORD", "of the domain Elsewhere"),
        ({"domain": None}, "PRE-SWIFT-DOMAIN", "does not understand"),
        ({"region": "R2"}, "PRE-SWIFT-REGION", "not in the region R2, but in R1"),
        ({"tenant": None}, "PRE-SWIFT-STORAGE-URL", "names no address of an object store"),
        ({"endpointtype": "internal"}, None, ""),
        ({"region": None}, None, ""),
        ({"authversion": 2}, "PRE-SWIFT-VERSION", "no authentication of version 2"),
    ],
)
def test_what_keystone_refuses_is_told_apart(
    changes: dict[str, Any], code: str | None, words: str, third: Server
) -> None:
    found = failures(opened(third, **changes))
    assert [failure["code"] for failure in found] == ([code] if code else [])
    if code:
        assert words in found[0]["detail"]


def test_an_address_without_this_version(first: Server, third: Server) -> None:
    wrong = dataclasses.replace(first, endpoint=first.endpoint.replace("/auth/v1.0", "/other/v1.0"))
    assert only_failure(opened(wrong))["code"] == "PRE-SWIFT-VERSION"
    wrong = dataclasses.replace(third, endpoint=f"{third.endpoint}/v3/nothing")
    assert only_failure(opened(wrong))["code"] == "PRE-SWIFT-VERSION"


def test_rights_that_are_missing_are_named(server: Server, raw: Raw, store: SwiftStore) -> None:
    guest = opened(server.as_guest())
    assert only_failure(guest)["code"] == "PRE-SWIFT-LIST"
    raw.send("POST", headers={"X-Container-Read": server.as_guest().user})
    found = only_failure(opened(server.as_guest()))
    assert (found["code"], "guest may not write there" in found["detail"]) == ("PRE-SWIFT-WRITE", True)
    raw.send("POST", headers={"X-Container-Write": server.as_guest().user})
    assert failures(opened(server.as_guest())) == []
    raw.send("POST", headers={"X-Remove-Container-Read": "x"})
    # Without the right to read there is none to list either.
    assert only_failure(opened(server.as_guest()))["code"] == "PRE-SWIFT-LIST"
    raw.send("POST", headers={"X-Container-Read": ".r:*,.rlistings"})
    assert raw.names() == set()


def test_a_container_that_the_user_may_not_make(server: Server) -> None:
    missing = dataclasses.replace(server.as_guest(), container=f"c{uuid4().hex}")
    found = only_failure(opened(missing))
    # Swift does not tell strangers what is not there.
    assert found["code"] == "PRE-SWIFT-LIST"
    assert missing.container in found["detail"]


def test_faults_of_the_network_are_those_of_every_store(first: Server) -> None:
    (port,) = free_ports(ADDRESS, 1)
    for endpoint, code in (
        (f"http://{ADDRESS}:{port}/auth/v1.0", "PRE-STORE-REFUSED"),
        ("http://nowhere.invalid/auth/v1.0", "PRE-STORE-NAME"),
        (first.endpoint.replace("http://", "https://"), "PRE-STORE-TLS-PLAIN"),
    ):
        found = only_failure(opened(dataclasses.replace(first, endpoint=endpoint)))
        assert found["code"] == code
        assert "authurl" in found["hint"] or code == "PRE-STORE-NAME"


def test_a_store_that_hangs_is_told_within_the_time(first: Server) -> None:
    first.machine.freeze()
    try:
        assert only_failure(opened(first))["code"] == "PRE-STORE-TIMEOUT"
    finally:
        first.machine.freeze(False)
    with socket.create_server((ADDRESS, 0)) as silent:
        url = f"http://{ADDRESS}:{silent.getsockname()[1]}/auth/v1.0"
        assert only_failure(opened(dataclasses.replace(first, endpoint=url)))["code"] == "PRE-STORE-TIMEOUT"
