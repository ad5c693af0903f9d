"""The S3 store without a server: where its keys lie, what it asks for, what errors of its library become."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from msrctl.secret import Secret
from msrctl.transfer import open as opening
from msrctl.transfer.library_errors import as_store_errors
from msrctl.transfer.s3 import S3Store
from msrctl.transfer.s3_client import why_not_obstore
from msrctl.transfer.s3_probe import _Probe
from msrctl.transfer.s3_settings import S3Settings
from msrctl.transfer.store import StoreError

KEYS = {"accesskey": Secret("AKIAEXAMPLE"), "secretkey": Secret("do-not-tell")}


def settings(root_ca: str = "", **parameters: Any) -> S3Settings:
    given = {"region": "eu-west-1", "bucket": "images", **parameters}
    return S3Settings.of(given, KEYS, root_ca, "s3://images")


@pytest.mark.parametrize(
    ("root", "begins"),
    [(None, ""), ("/", ""), ("a", "a/"), ("/a", "a/"), ("a/b/", "a/b/"), ("/a//b//", "a//b/")],
)
def test_keys_begin_as_those_of_the_registry_do(root: str | None, begins: str) -> None:
    # s3Path of the 2.8.3 driver: TrimLeft(TrimRight(rootdirectory, "/") + path, "/").
    path = "/docker/registry/v2"
    assert ((root or "").rstrip("/") + path).lstrip("/") == f"{begins}docker/registry/v2"
    assert settings(rootdirectory=root).root == begins


@pytest.mark.parametrize(
    ("parameters", "base"),
    [
        ({}, "https://images.s3.eu-west-1.amazonaws.com"),
        ({"secure": False}, "http://images.s3.eu-west-1.amazonaws.com"),
        ({"region": "cn-north-1"}, "https://images.s3.cn-north-1.amazonaws.com.cn"),
        ({"bucket": "my.images"}, "https://s3.eu-west-1.amazonaws.com/my.images"),
        ({"bucket": "My_Images"}, "https://s3.eu-west-1.amazonaws.com/My_Images"),
        ({"regionendpoint": "https://s3.example:9000/"}, "https://s3.example:9000/images"),
        ({"regionendpoint": "s3.example"}, "https://s3.example/images"),
        ({"regionendpoint": "s3.example", "secure": False}, "http://s3.example/images"),
        ({"regionendpoint": "http://s3.example", "secure": True}, "http://s3.example/images"),
    ],
)
def test_the_bucket_is_asked_where_the_registry_asks_it(parameters: dict[str, Any], base: str) -> None:
    assert settings(**parameters).base == base


def test_new_objects_are_made_as_the_registry_makes_them() -> None:
    assert settings().new_object() == {
        "Content-Type": "application/octet-stream",
        "x-amz-acl": "private",
        "x-amz-storage-class": "STANDARD",
    }
    made = settings(storageclass="NONE", encrypt=True, keyid="alias/k", objectacl="public-read").new_object()
    assert "x-amz-storage-class" not in made
    assert made["x-amz-server-side-encryption"] == "aws:kms"
    assert made["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/k"
    assert made["x-amz-acl"] == "public-read"
    assert settings(encrypt=True).new_object()["x-amz-server-side-encryption"] == "AES256"


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, ""),
        ({"rootdirectory": "/a/b"}, ""),
        ({"objectacl": "private", "v4auth": True}, ""),
        ({"v4auth": False}, "v4auth: false"),
        ({"objectacl": "bucket-owner-full-control"}, "objectacl"),
        ({"rootdirectory": "a//b"}, "rootdirectory"),
        ({"rootdirectory": "a/../b"}, "rootdirectory"),
    ],
)
def test_what_obstore_cannot_do_goes_by_single_requests(parameters: dict[str, Any], reason: str) -> None:
    assert why_not_obstore(settings(**parameters)) == reason


def test_no_settings_show_a_key() -> None:
    store = S3Store({"region": "eu-west-1", "bucket": "images"}, KEYS, "", "")
    assert store.words == "s3://images"
    assert "do-not-tell" not in repr(store.settings)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (
            "x non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code>",
            "STORE-DENIED",
            "403 AccessDenied",
        ),
        ("request failed for key a: Access Denied (code: AccessDenied)", "STORE-DENIED", "AccessDenied"),
        (
            "x non-2xx status code: 503 Slow: <Code>SlowDown</Code><Message>of it",
            "STORE-ANSWER",
            "503 SlowDown of it",
        ),
        ("x non-2xx status code: 404 <Code>NoSuchBucket</Code>", "STORE-BUCKET", "does not exist"),
        ("x - HTTP error\n\nkind: Timeout,", "STORE-TIMEOUT", "no answer in time"),
        ("x\ntcp connect error: Connection refused (os error 111)", "STORE-REFUSED", "refused"),
        ("x\ninvalid peer certificate: UnknownIssuer", "STORE-TLS", "TLS failed"),
        ("x\ndns error: failed to lookup address", "STORE-NAME", "resolved"),
        ("PUT http://169.254.169.254/latest/api/token", "STORE-CREDENTIALS", "no keys are given"),
        ("something new\n\nDebug source: pages", "STORE", "something new"),
    ],
)
def test_errors_of_the_library_become_a_code_and_one_line(text: str, code: str, words: str) -> None:
    exceptions = pytest.importorskip("obstore.exceptions")
    with pytest.raises(StoreError, match="the store") as caught, as_store_errors("the store", "a/b"):
        raise exceptions.GenericError(text)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_not_found_is_a_key_error_unless_it_is_the_bucket() -> None:
    pytest.importorskip("obstore")
    with pytest.raises(KeyError) as caught, as_store_errors("the store", "a/b"):
        raise FileNotFoundError("Object at location a/b not found")
    assert caught.value.args == ("a/b",)
    with pytest.raises(StoreError, match="does not exist"), as_store_errors("the store", "a/b"):
        raise FileNotFoundError("non-2xx status code: 404: <Code>NoSuchBucket</Code>")


def test_a_kind_that_is_not_known_and_a_library_that_is_not_there_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    described = {"kind": "tape", "words": "the tape", "parameters": {}, "root_ca": ""}
    with pytest.raises(StoreError, match="tape") as unknown:
        opening.open_store(described, {}, Path("/old"))
    assert unknown.value.code == "STORE-KIND"
    monkeypatch.setitem(opening.OVER_THE_NETWORK, "tape", ("no_such_library", "Tape"))
    with pytest.raises(StoreError, match=r"no_such_library is not installed.*msrctl\[stores\]") as missing:
        opening.open_store(described, {}, Path("/old"))
    assert missing.value.code == "STORE-LIBRARY"


def test_an_opened_store_is_given_what_the_cluster_document_says() -> None:
    described = {
        "kind": "s3",
        "words": "s3://images",
        "parameters": {"region": "eu-west-1", "bucket": "images"},
        "root_ca": None,
    }
    store = opening.open_store(described, KEYS, Path("/old"))
    assert isinstance(store, S3Store)
    assert store.settings.keys == ("AKIAEXAMPLE", Secret("do-not-tell"))
    assert store.settings.root_ca == ""


class Amazon:
    """Answers as Amazon does of a bucket in some region; nothing else is of interest."""

    def __init__(self, body: bytes) -> None:
        self.status, self.data = 200, body
        self.headers: dict[str, str] = {}

    def end_within(self, seconds: float) -> None:
        assert seconds > 0

    def send(self, *_: object) -> Amazon:
        return self


@pytest.mark.parametrize(
    ("body", "region", "fault"),
    [
        (b"<LocationConstraint xmlns='s3'>eu-west-1</LocationConstraint>", "eu-west-1", None),
        (b"<LocationConstraint xmlns='s3'/>", "us-east-1", None),
        (b"<LocationConstraint xmlns='s3'>EU</LocationConstraint>", "eu-west-1", None),
        (
            b"<LocationConstraint xmlns='s3'>sa-east-1</LocationConstraint>",
            "eu-west-1",
            "Set region to sa-east-1.",
        ),
        (b"<LocationConstraint xmlns='s3'/>", "eu-west-1", "Set region to us-east-1."),
    ],
)
def test_a_bucket_in_another_region_of_amazon_is_told(body: bytes, region: str, fault: str | None) -> None:
    pytest.importorskip("urllib3")
    client: Any = Amazon(body)
    checks = list(_Probe(settings(region=region), client, time.monotonic()).run())
    wrong = [check for check in checks if check.get("code") == "PRE-S3-REGION"]
    assert [check["hint"] for check in wrong] == ([fault] if fault else [])
