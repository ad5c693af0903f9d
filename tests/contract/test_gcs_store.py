"""The store at Google against a fake with service accounts: its particulars, and what its probe says."""

from __future__ import annotations

import json
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cloud_support import broken_off, failures, goes_on_after_faults, only_failure

from labs.stores.fixtures import GCS_ACCOUNTS
from labs.stores.gcs import fake_gcs
from labs.stores.here import names_known, own_loopback
from msrctl.secret import Secret
from msrctl.tls.authority import create_authority
from msrctl.transfer.gcs import PART, GcsStore
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.stores.gcs import GcsServer
    from labs.stores.gcs import GcsStore as Seen

pytestmark = pytest.mark.stores

LARGE = PART * 2 + 5
KEY = "docker/registry/v2/blobs/sha256/ab/abc/data"


@pytest.fixture(scope="module")
def server() -> Iterator[GcsServer]:
    with fake_gcs(own_loopback(), GCS_ACCOUNTS) as started:
        yield started


@pytest.fixture
def names(server: GcsServer) -> Iterator[None]:
    with names_known(*server.needs_hosts):
        yield


@pytest.fixture
def root() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def store(server: GcsServer, root: str, names: None) -> GcsStore:
    return of(server, rootdirectory=root)


def of(server: Seen, ca: str | None = None, **parameters: Any) -> GcsStore:
    secrets = {"keyfile": Secret(json.dumps(server.key_file()))}
    return with_secrets(server, secrets, ca, **parameters)


def with_secrets(
    server: Seen,
    secrets: dict[str, Secret],
    ca: str | None = None,
    retry_seconds: float = 0,
    **parameters: Any,
) -> GcsStore:
    given = {"bucket": server.container} | parameters
    trusted = server.ca if ca is None else ca
    return GcsStore(given, secrets, trusted, "gs://test", retry_seconds=retry_seconds)


def objects(store: GcsStore, root: str) -> list[str]:
    return sorted(blob.name for blob in store.bucket.list_blobs(prefix=root))


@pytest.mark.parametrize("written", ["{}", "/{}/", "{}/deeper"])
def test_names_begin_with_the_root_without_slashes(
    server: GcsServer, store: GcsStore, root: str, written: str
) -> None:
    rooted = of(server, rootdirectory=written.format(root))
    rooted.write(KEY, [b"x"], 1)
    assert objects(store, root) == [f"{written.format(root).strip('/')}/{KEY}"]
    assert list(rooted.list("docker/registry/v2/blobs")) == [(KEY, 1)]


def test_without_a_root_names_are_the_keys(server: GcsServer, names: None) -> None:
    store = of(server)
    store.write(KEY, [b"x"], 1)
    assert objects(store, KEY) == [KEY]
    store.delete([KEY])
    assert objects(store, KEY) == []


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, LARGE])
def test_an_object_of_any_size_is_read_as_it_was_written(store: GcsStore, size: int) -> None:
    data = os.urandom(size)
    store.write(KEY, (data[at : at + 1_000_000] for at in range(0, size, 1_000_000)), size)
    assert b"".join(store.stream(KEY)) == data
    assert store.size(KEY) == size


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_source_that_fails_leaves_what_was_there(store: GcsStore, size: int) -> None:
    store.write(KEY, [b"before"], 6)
    with pytest.raises(RuntimeError, match="the source failed"):
        store.write(KEY, broken_off(os.urandom(size)), size + 1)
    assert store.read(KEY) == b"before"


@pytest.mark.parametrize(
    ("given", "said"), [(3, 4), (4, 3), (LARGE, LARGE + 1), (LARGE, LARGE - 1), (1, LARGE)]
)
def test_another_size_than_was_said_is_refused_and_nothing_written(
    store: GcsStore, given: int, said: int
) -> None:
    with pytest.raises(StoreError) as caught:
        store.write(KEY, [os.urandom(given)], said)
    assert caught.value.code == "STORE-SIZE"
    assert store.size(KEY) is None


def test_what_is_not_there_is_a_key_error_and_no_obstacle_to_deleting(store: GcsStore) -> None:
    with pytest.raises(KeyError):
        store.read(KEY)
    with pytest.raises(KeyError):
        list(store.stream(KEY))
    store.delete([KEY])


def test_uploads_are_not_listed(store: GcsStore) -> None:
    base = "docker/registry/v2/repositories/app"
    store.write(f"{base}/_uploads/1/data", [b"x"], 1)
    store.write(f"{base}/_layers/sha256/1/link", [b"x"], 1)
    assert [key for key, _ in store.list("docker")] == [f"{base}/_layers/sha256/1/link"]


def test_a_wrong_key_is_told_as_denied(server: GcsServer, names: None) -> None:
    with pytest.raises(StoreError) as caught:
        of(server.with_wrong_secret()).read(KEY)
    assert caught.value.code == "STORE-DENIED"
    assert "gs://test" in str(caught.value)


def test_a_bucket_that_is_not_there_is_told(server: GcsServer, names: None) -> None:
    store = of(server, bucket="no-such-bucket")
    with pytest.raises(StoreError) as caught:
        list(store.list("docker"))
    assert caught.value.code == "STORE-BUCKET"
    assert only_failure(store)["code"] == "PRE-GCS-BUCKET"


def test_a_connection_that_breaks_is_no_end(server: GcsServer, root: str, names: None) -> None:
    goes_on_after_faults(of(server, rootdirectory=root, retry_seconds=60), LARGE)


def test_the_probe_leaves_nothing(store: GcsStore, root: str) -> None:
    assert failures(store) == []
    assert objects(store, root) == []


@pytest.mark.parametrize("verb", ["list", "create", "get", "delete"])
def test_a_right_that_is_missing_is_named(server: GcsServer, store: GcsStore, root: str, verb: str) -> None:
    failure = only_failure(of(server.others[f"without-{verb}"], rootdirectory=root))
    assert failure["code"] == f"PRE-GCS-{verb.upper()}"
    assert f"storage.objects.{verb}" in failure["detail"]
    assert f"storage.objects.{verb}" in failure["hint"]
    left = objects(store, root)
    assert len(left) == (1 if verb == "delete" else 0)
    assert all(name in failure["detail"] for name in left)


def test_a_token_that_is_refused_is_told(server: GcsServer, names: None) -> None:
    failure = only_failure(of(server.with_wrong_secret()))
    assert failure["code"] == "PRE-GCS-TOKEN"
    assert server.account in failure["detail"]


KEY_FILE = {"type": "service_account", "client_email": "a@b", "token_uri": "https://x"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not JSON", "not JSON"),
        ('{"type": "authorized_user"}', "not the key of a service account"),
        (json.dumps(KEY_FILE), "private_key missing"),
        (json.dumps(KEY_FILE | {"private_key": "x"}), "not a key in PEM form"),
    ],
)
def test_a_key_file_that_is_none_is_told(server: GcsServer, names: None, text: str, said: str) -> None:
    failure = only_failure(with_secrets(server, {"keyfile": Secret(text)}))
    assert failure["code"] == "PRE-GCS-KEYFILE"
    assert said in failure["detail"]


def test_no_credentials_at_all_are_told(
    server: GcsServer, names: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    assert only_failure(with_secrets(server, {}))["code"] == "PRE-GCS-CREDENTIALS"


def test_a_node_that_looks_for_its_credentials_for_long_is_not_waited_for(
    server: GcsServer, names: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    monkeypatch.setattr("google.auth.default", lambda **_: (given_up.wait(60), None))
    monkeypatch.setattr("msrctl.transfer.gcs.LOOK_SECONDS", 0.2)
    try:
        assert only_failure(with_secrets(server, {}))["code"] == "PRE-GCS-CREDENTIALS"
    finally:
        given_up.set()


def test_the_node_s_own_credentials_are_used_where_there_is_no_key(
    server: GcsServer, names: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(server.key_file()))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert failures(with_secrets(server, {})) == []


def test_an_unknown_authority_is_told(server: GcsServer, names: None) -> None:
    assert only_failure(of(server, ca=""))["code"] == "PRE-STORE-TLS-CA"
    other = create_authority("somebody else", days=1).certificate
    assert only_failure(of(server, ca=other))["code"] == "PRE-STORE-TLS-CA"


def test_a_name_that_does_not_resolve_is_told(server: GcsServer) -> None:
    with names_known(("storage.googleapis.com", "nowhere.invalid")):
        assert only_failure(of(server))["code"] == "PRE-STORE-NAME"


def test_a_port_where_nothing_listens_is_told(server: GcsServer) -> None:
    with names_known(*((name, "127.0.0.19") for name, _ in server.needs_hosts)):
        assert only_failure(of(server))["code"] == "PRE-STORE-REFUSED"


def test_a_store_that_hangs_is_told_in_time(server: GcsServer, names: None) -> None:
    server.machine.freeze()
    try:
        assert only_failure(of(server))["code"] == "PRE-STORE-TIMEOUT"
    finally:
        server.machine.freeze(False)
