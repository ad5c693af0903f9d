"""The store at Azure against Azurite: what is particular to it, and what its probe says."""

from __future__ import annotations

import os
import socket
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cloud_support import broken_off, failures, goes_on_after_faults, only_failure

from labs.stores.azure import azurite
from labs.stores.here import names_known, own_loopback
from msrctl.secret import Secret
from msrctl.tls.authority import create_authority
from msrctl.transfer.azure import BLOCK, AzureStore
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.stores.azure import AzureStore as Server

pytestmark = pytest.mark.stores

LARGE = BLOCK * 2 + 5
KEY = "docker/registry/v2/blobs/sha256/ab/abc/data"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with azurite(own_loopback()) as started:
        yield started


@pytest.fixture
def names(server: Server) -> Iterator[None]:
    with names_known(*server.needs_hosts):
        yield


@pytest.fixture
def container() -> str:
    """One that is not there."""
    return f"c{uuid.uuid4().hex}"


@pytest.fixture
def store(server: Server, container: str, names: None) -> AzureStore:
    return of(server, container=container)


@pytest.fixture
def used(store: AzureStore) -> AzureStore:
    """With a container."""
    store.client.create_container()
    return store


def of(
    server: Server, ca: str | None = None, key: Secret | None = None, retries: int = 0, **parameters: Any
) -> AzureStore:
    given = {"accountname": server.account, "container": server.container, "realm": server.realm} | parameters
    secrets = {"accountkey": server.key if key is None else key}
    return AzureStore(given, secrets, server.ca if ca is None else ca, "azure://test", retries=retries)


def blobs(store: AzureStore) -> list[str]:
    return sorted(blob.name for blob in store.client.list_blobs(include=["uncommittedblobs"]))


def test_names_begin_with_a_slash_as_those_of_registry_2_8(used: AzureStore) -> None:
    used.write(KEY, [b"x"], 1)
    assert blobs(used) == [f"/{KEY}"]
    assert list(used.list("docker/registry/v2/blobs")) == [(KEY, 1)]


@pytest.mark.parametrize(
    ("parameters", "front"),
    [
        ({"credentials.type": "shared_key"}, ""),
        ({"rootdirectory": "/images/of/all/"}, "images/of/all/"),
    ],
)
def test_names_of_registry_3_have_no_slash_in_front(
    server: Server, used: AzureStore, parameters: dict[str, Any], front: str
) -> None:
    store = of(server, container=used.container, **parameters)
    store.write(KEY, [b"x"], 1)
    assert blobs(store) == [f"{front}{KEY}"]
    assert list(store.list("docker")) == [(KEY, 1)]
    assert store.read(KEY) == b"x"


def test_the_first_write_makes_the_container_and_nothing_before_does(store: AzureStore) -> None:
    assert list(store.list("docker")) == []
    assert store.size(KEY) is None
    with pytest.raises(KeyError):
        store.read(KEY)
    assert failures(store) == []
    store.delete([KEY])
    assert not store.client.exists()
    store.write(KEY, [b"x"], 1)
    assert store.read(KEY) == b"x"


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, LARGE])
def test_a_blob_of_any_size_is_read_as_it_was_written(used: AzureStore, size: int) -> None:
    data = os.urandom(size)
    used.write(KEY, (data[at : at + 1_000_000] for at in range(0, size, 1_000_000)), size)
    assert b"".join(used.stream(KEY)) == data
    assert used.size(KEY) == size


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_blob_that_the_registry_appended_to_is_replaced(used: AzureStore, size: int) -> None:
    blob = used.client.get_blob_client(f"/{KEY}")
    blob.create_append_blob()
    blob.append_block(b"of the registry")
    data = os.urandom(size)
    used.write(KEY, [data], size)
    assert b"".join(used.stream(KEY)) == data
    assert blob.get_blob_properties().blob_type == "BlockBlob"


def test_a_source_that_fails_leaves_what_was_there(used: AzureStore) -> None:
    used.write(KEY, [b"before"], 6)
    with pytest.raises(RuntimeError, match="the source failed"):
        used.write(KEY, broken_off(os.urandom(LARGE)), LARGE + 1)
    assert used.read(KEY) == b"before"


@pytest.mark.parametrize(
    ("given", "said"), [(3, 4), (4, 3), (LARGE, LARGE + 1), (LARGE, LARGE - 1), (1, LARGE)]
)
def test_another_size_than_was_said_is_refused_and_nothing_written(
    used: AzureStore, given: int, said: int
) -> None:
    with pytest.raises(StoreError) as caught:
        used.write(KEY, [os.urandom(given)], said)
    assert caught.value.code == "STORE-SIZE"
    assert used.size(KEY) is None


def test_uploads_are_not_listed(used: AzureStore) -> None:
    base = "docker/registry/v2/repositories/app"
    used.write(f"{base}/_uploads/1/data", [b"x"], 1)
    used.write(f"{base}/_layers/sha256/1/link", [b"x"], 1)
    assert [key for key, _ in used.list("docker")] == [f"{base}/_layers/sha256/1/link"]


def test_a_list_goes_over_several_answers(used: AzureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {f"docker/{number}/link": number for number in range(10)}
    for key, size in keys.items():
        used.write(key, [b"." * size], size)
    monkeypatch.setattr("msrctl.transfer.azure.PAGE", 3)
    found = list(used.list("docker"))
    assert len(found) == len(keys)
    assert dict(found) == keys


def test_a_wrong_key_is_told_as_denied(server: Server, used: AzureStore) -> None:
    with pytest.raises(StoreError) as caught:
        of(server, key=server.with_wrong_secret().key, container=used.container).read(KEY)
    assert caught.value.code == "STORE-DENIED"
    assert "azure://test" in str(caught.value)


def test_a_connection_that_breaks_is_no_end(server: Server, used: AzureStore) -> None:
    goes_on_after_faults(of(server, container=used.container, retries=3), BLOCK + 5)


def test_the_probe_leaves_nothing(used: AzureStore) -> None:
    assert failures(used) == []
    assert blobs(used) == []


def test_the_probe_tells_of_images_that_the_registry_would_not_see(server: Server, used: AzureStore) -> None:
    def told(store: AzureStore) -> bool:
        return any("sees none of them" in check["detail"] for check in store.probe())

    in_3 = of(server, container=used.container, serviceurl=used.endpoint)
    assert not told(used)
    in_3.write(KEY, [b"x"], 1)
    assert told(used)
    assert not told(in_3)
    used.write(KEY, [b"x"], 1)
    assert not told(used)


@pytest.mark.parametrize(
    ("parameters", "key", "code", "said"),
    [
        ({}, "bm90IHRoZSByaWdodCBrZXksIGJ1dCBiYXNlNjQ=", "PRE-AZURE-KEY", "AuthorizationFailure"),
        ({}, "bm90IGJhc2U2N", "PRE-AZURE-KEY-FORMAT", "not base64"),
        ({}, "", "PRE-AZURE-CREDENTIALS", "no accountkey"),
        ({"credentials.type": "client_secret"}, "a2V5", "PRE-AZURE-CREDENTIALS", "client_secret"),
        ({"accountname": "nobody"}, "a2V5", "PRE-AZURE-ACCOUNT", "no account nobody"),
    ],
)
def test_credentials_that_do_not_fit_are_told_apart(
    server: Server, names: None, parameters: dict[str, Any], key: str, code: str, said: str
) -> None:
    failure = only_failure(of(server, key=Secret(key), **parameters))
    assert failure["code"] == code
    assert said in failure["detail"]


def test_an_invalid_name_of_a_container_is_told(server: Server, names: None) -> None:
    assert only_failure(of(server, container="Not_A_Name"))["code"] == "PRE-AZURE-CONTAINER-NAME"


def test_an_unknown_authority_is_told(server: Server, names: None) -> None:
    assert only_failure(of(server, ca=""))["code"] == "PRE-STORE-TLS-CA"
    other = create_authority("somebody else", days=1).certificate
    assert only_failure(of(server, ca=other))["code"] == "PRE-STORE-TLS-CA"


def test_a_port_where_nothing_listens_is_told(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
        assert only_failure(of(server, serviceurl=url))["code"] == "PRE-STORE-REFUSED"


def test_a_store_that_hangs_is_told_in_time(server: Server, names: None) -> None:
    server.machine.freeze()
    try:
        assert only_failure(of(server))["code"] == "PRE-STORE-TIMEOUT"
    finally:
        server.machine.freeze(False)
