"""Parts of the stores at Azure and Google that need neither."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from hypothesis import given
from hypothesis import strategies as st

from msrctl.secret import Secret
from msrctl.transfer import azure_probe
from msrctl.transfer.azure import AzureStore
from msrctl.transfer.azure_answers import reason_of, sizes_in
from msrctl.transfer.gcs import lacks_bucket
from msrctl.transfer.gcs import reason_of as said_by_google
from msrctl.transfer.parts import Blocks, Source
from msrctl.transfer.store import StoreError
from msrctl.transfer.web import network_fault

CHUNKS = st.lists(st.binary(max_size=40), max_size=20)


def azure_error(code: str, status: int, text: str = "no") -> Any:
    return SimpleNamespace(error_code=code, status_code=status, message=text, reason="")


@given(CHUNKS, st.integers(1, 50))
def test_blocks_are_the_chunks_in_one_size(chunks: list[bytes], size: int) -> None:
    blocks = Blocks(chunks, size)
    got = list(blocks)
    assert b"".join(got) == b"".join(chunks)
    assert all(len(block) == size for block in got[:-1])
    assert all(got)
    blocks.must_have(sum(map(len, chunks)), "store", "key")


@given(CHUNKS, st.integers(1, 50))
def test_a_source_hands_over_all_and_never_the_end_of_too_much_or_too_little(
    chunks: list[bytes], count: int
) -> None:
    total = sum(map(len, chunks))
    source, got = Source(chunks, total, "store"), b""
    while source.tell() < total:
        part = source.read(count)
        assert 0 < len(part) <= count
        got += part
        assert source.tell() == len(got)
    assert got == b"".join(chunks)
    for wrong in (total - 1, total + 1):
        if wrong >= 0:
            with pytest.raises(StoreError) as caught:
                read_all(Source(chunks, wrong, "store"), wrong, count)
            assert caught.value.code == "STORE-SIZE"


def read_all(source: Source, size: int, count: int) -> None:
    if not size:
        source.read(count)
    while source.tell() < size:
        source.read(count)


def test_names_and_sizes_are_read_from_a_list_of_blobs() -> None:
    answer = (
        "<?xml version='1.0' encoding='utf-8'?><EnumerationResults><Prefix>/a</Prefix><Blobs>"
        "<Blob><Name>/a/b&amp;c</Name><Properties><Content-Length>17</Content-Length></Properties></Blob>"
        "<Blob><Name Encoded='true'>/a/%EF%BF%BE</Name><Properties><Etag>x</Etag>"
        "<Content-Length>0</Content-Length></Properties></Blob></Blobs><NextMarker/></EnumerationResults>"
    )
    assert list(sizes_in(answer.encode())) == [("/a/b&c", 17), ("/a/\ufffe", 0)]


def test_azure_s_reason_is_one_line_with_its_code() -> None:
    error = azure_error("AuthorizationFailure", 403, "Not authorized.\nRequestId:1\nTime:2026")
    assert reason_of(error) == "Not authorized. (AuthorizationFailure)"
    assert reason_of(azure_error("", 502, "")) == "status 502"


@pytest.mark.parametrize(
    ("theirs", "status", "text", "code", "remedy"),
    [
        ("AuthenticationFailed", 403, "Server failed to authenticate", "PRE-AZURE-KEY", "two keys"),
        ("AuthorizationFailure", 403, "Server failed to authenticate", "PRE-AZURE-KEY", "two keys"),
        ("AuthorizationFailure", 403, "not authorized", "PRE-AZURE-FIREWALL", "networking"),
        ("AuthenticationFailed", 403, "Request date header too old: '1'", "PRE-AZURE-CLOCK", "clock"),
        ("KeyBasedAuthenticationNotPermitted", 403, "no", "PRE-AZURE-KEY-DISABLED", "allowSharedKeyAccess"),
        ("AccountIsDisabled", 403, "no", "PRE-AZURE-ACCOUNT-DISABLED", "Enable"),
        ("ContainerBeingDeleted", 409, "no", "PRE-AZURE-CONTAINER-DELETED", "Wait"),
        ("BlobImmutableDueToPolicy", 409, "no", "PRE-AZURE-IMMUTABLE", "immutability"),
        ("InsufficientAccountPermissions", 403, "no", "PRE-AZURE-DENIED", "write"),
        ("SomethingNew", 400, "no", "PRE-AZURE-OTHER", "documentation"),
    ],
)
def test_each_answer_of_azure_has_its_code_and_remedy(
    theirs: str, status: int, text: str, code: str, remedy: str
) -> None:
    store = AzureStore({"accountname": "images", "container": "all"}, {"accountkey": Secret("a2V5")})
    check = azure_probe._refusal(store, "write", azure_error(theirs, status, text), "write")
    assert (check["ok"], check["code"]) == (False, code)
    assert remedy in check["hint"]
    assert "images" in check["detail"]
    assert text in check["detail"]


@pytest.mark.parametrize(
    ("parameters", "slash", "name"),
    [
        ({}, None, "/docker/x"),
        ({"realm": "core.windows.net"}, None, "/docker/x"),
        ({"serviceurl": "https://x"}, None, "docker/x"),
        ({"rootdirectory": "/a/"}, None, "a/docker/x"),
        ({}, False, "docker/x"),
        ({"serviceurl": "https://x"}, True, "/docker/x"),
    ],
)
def test_names_of_blobs_are_those_of_the_registry_s_version(
    parameters: dict[str, Any], slash: bool | None, name: str
) -> None:
    given = {"accountname": "images", "container": "all"} | parameters
    assert AzureStore(given, {}, leading_slash=slash).name("docker/x") == name


class AppendBlob:
    """As Azure answers: it cannot be overwritten."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def upload_blob(self, *_: Any, **__: Any) -> None:
        self.asked.append("put")
        if "delete" not in self.asked:
            error = HttpResponseError("The blob type is invalid for this operation.")
            error.error_code = "InvalidBlobType"  # type: ignore[attr-defined]  # as the library sets it
            raise error

    def delete_blob(self) -> None:
        self.asked.append("delete")


def test_a_blob_of_the_other_type_is_deleted_and_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = AppendBlob()
    store = AzureStore({"accountname": "images", "container": "all"}, {"accountkey": Secret("a2V5")})
    monkeypatch.setattr(store, "_blob", lambda _: blob)
    store.write("docker/x/link", [b"x"], 1)
    assert blob.asked == ["put", "delete", "put"]


def test_google_s_reason_is_what_its_answer_says() -> None:
    answer = SimpleNamespace(text='{"error": {"code": 403, "message": "a does not have b access"}}')
    error = SimpleNamespace(
        response=answer, message="POST https://x: {...}: ('Request failed', 403)", code=403
    )
    assert said_by_google(error) == "a does not have b access"
    plain = SimpleNamespace(response=SimpleNamespace(text="No such object: b/o\n"), message="x", code=404)
    assert said_by_google(plain) == "No such object: b/o"
    assert not lacks_bucket(plain)
    bucket = SimpleNamespace(response=None, message="The specified bucket does not exist.", code=404)
    assert lacks_bucket(bucket)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("HTTPSConnectionPool(...): Max retries exceeded (Caused by NameResolutionError(...))", "STORE-NAME"),
        ("NewConnectionError: [Errno 111] Connection refused", "STORE-REFUSED"),
        ("HTTPSConnectionPool(host='x', port=443): Read timed out. (read timeout=3)", "STORE-TIMEOUT"),
        ("ConnectTimeoutError(<...>, 'Connection to x timed out.')", "STORE-TIMEOUT"),
        ("SSLError(SSLCertVerificationError(1, 'certificate verify failed'))", "STORE-TLS"),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", "STORE-NETWORK"),
    ],
)
def test_faults_of_the_network_are_told_in_words(text: str, code: str) -> None:
    told, words = network_fault(OSError(text))
    assert told == code
    assert words
    assert "(" not in words
