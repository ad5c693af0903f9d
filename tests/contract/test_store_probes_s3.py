"""What the probe of an S3 store says of each fault: a code and a remedy of its own, in seconds."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import socket
import ssl
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from stores_support import ADDRESS, moto_store, opened

from labs.cache import PROJECT
from labs.stores.certificates import server_files
from labs.stores.ports import free_ports
from labs.stores.s3 import S3Store
from msrctl.secret import Secret
from msrctl.transfer.store import StoreError
from unit.tls_factory import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labs.stores.moto import MotoStore

pytestmark = pytest.mark.stores
EXAMPLES = PROJECT / "examples/storage"
PART = 8 << 20
LIMIT = 10.0
"""Seconds that a whole probe may take, whatever the store does."""


@pytest.fixture(scope="module")
def plain() -> Iterator[MotoStore]:
    with moto_store() as store:
        yield store


@pytest.fixture(scope="module")
def tls() -> Iterator[MotoStore]:
    with moto_store(tls=True) as store:
        yield store


def failures(store: S3Store, **changes: object) -> list[dict[str, Any]]:
    """What a probe finds wrong; it has to end in time, and what it says has to be complete and unlike."""
    began = time.monotonic()
    failed = [check for check in opened(store, **changes).probe() if not check["ok"]]
    assert time.monotonic() - began < LIMIT
    assert all(check["title"] and check["detail"] and check["hint"] for check in failed)
    assert len({check["hint"] for check in failed}) == len(failed)
    return failed


def failure(store: S3Store, code: str, **changes: object) -> dict[str, Any]:
    """The one thing that is wrong, which has this code."""
    (failed,) = failures(store, **changes)
    assert failed["code"] == code, failed
    return failed


def at(store: S3Store, endpoint: str, ca: str = "") -> S3Store:
    """The same keys at another address."""
    return dataclasses.replace(store, endpoint=endpoint, ca=ca, ca_file=None)


def keys_left(store: MotoStore) -> str:
    """The bucket's keys and its uploads that go on, as the store lists them."""
    url = f"{store.endpoint}/{store.container}"
    listed = [store.signer.send("GET", url, query).text for query in ({"list-type": "2"}, {"uploads": ""})]
    return "".join(text for text in listed if "<Key>" in text or "<UploadId>" in text)


# -- the address


def test_an_unknown_name(plain: MotoStore) -> None:
    failed = failure(at(plain, "http://no-such-store.invalid:9000"), "PRE-STORE-NAME")
    assert "no-such-store.invalid" in failed["detail"]
    assert "regionendpoint" in failed["hint"]


def test_nothing_listens(plain: MotoStore) -> None:
    (port,) = free_ports(ADDRESS, 1)
    failed = failure(at(plain, f"http://{ADDRESS}:{port}"), "PRE-STORE-REFUSED")
    assert f"{ADDRESS}:{port}" in failed["detail"]
    assert "port" in failed["hint"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_accepts_and_never_answers(plain: MotoStore, scheme: str) -> None:
    with socket.create_server((ADDRESS, 0)) as silent:
        url = f"{scheme}://{ADDRESS}:{silent.getsockname()[1]}"
        failed = failure(at(plain, url), "PRE-STORE-TIMEOUT")
    assert "accepts, but gives no answer" in failed["detail"]
    assert "firewall" in failed["hint"]


def test_a_frozen_store(plain: MotoStore) -> None:
    plain.machine.freeze()
    try:
        failure(plain, "PRE-STORE-TIMEOUT")
    finally:
        plain.machine.freeze(False)
    assert failures(plain) == []


def test_an_authority_that_is_not_trusted(tls: MotoStore) -> None:
    failed = failure(dataclasses.replace(tls, ca=""), "PRE-STORE-TLS-CA")
    assert "msrctl test stores" in failed["detail"]
    assert "rootca" in failed["hint"]


def test_an_authority_among_several_is_trusted_by_the_check_and_by_what_copies(tls: MotoStore) -> None:
    several = dataclasses.replace(tls, ca=make("other", ca=True).pem + tls.ca)
    assert failures(several) == []
    store = opened(several)
    store.write("docker/several", [b"x"], 1)
    assert dict(store.list("docker")) == {"docker/several": 1}
    assert store.read("docker/several") == b"x"
    store.delete(["docker/several"])


def test_another_authority_than_the_right_one(tls: MotoStore) -> None:
    failed = failure(dataclasses.replace(tls, ca=make("other", ca=True).pem), "PRE-STORE-TLS-CA")
    assert "what is there now is of another one" in failed["hint"]


def test_an_expired_certificate(plain: MotoStore, tmp_path: Path) -> None:
    old = make("old", names=(ADDRESS,), start=timedelta(days=-9), end=timedelta(days=-1))
    (tmp_path / "crt").write_text(old.pem)
    (tmp_path / "key").write_bytes(old.key.reveal())
    with serving(Answers(), tmp_path / "crt", tmp_path / "key") as url:
        failed = failure(at(plain, url, ca=old.pem), "PRE-STORE-TLS-EXPIRED")
    assert "expired on" in failed["detail"]
    assert "clock" in failed["hint"]


def test_a_certificate_for_another_name(plain: MotoStore, tmp_path: Path) -> None:
    files = server_files(tmp_path, "store.example")
    with serving(Answers(), files.certificate, files.key) as url:
        failed = failure(at(plain, url, ca=files.ca), "PRE-STORE-TLS-NAME")
    assert "store.example" in failed["detail"]


def test_https_is_asked_of_a_port_with_http(plain: MotoStore) -> None:
    failed = failure(at(plain, plain.endpoint.replace("http:", "https:")), "PRE-STORE-TLS-PLAIN")
    assert plain.endpoint in failed["hint"]


def test_http_is_asked_of_a_port_with_https(tls: MotoStore) -> None:
    failed = failure(at(tls, tls.endpoint.replace("https:", "http:")), "PRE-STORE-TLS-HTTPS")
    assert tls.endpoint in failed["hint"]


# -- keys and bucket


def test_a_wrong_key_id(plain: MotoStore) -> None:
    failed = failure(dataclasses.replace(plain, access_key="AKIAIOSFODNN7EXAMPLE"), "PRE-S3-KEY-ID")
    assert "accesskey" in failed["hint"]


def test_a_wrong_secret(plain: MotoStore) -> None:
    failed = failure(plain.with_wrong_secret(), "PRE-S3-SECRET")
    assert "secretkey" in failed["hint"]


def test_no_keys_at_all(plain: MotoStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    # The instance's address answers nothing here, as on a machine that is no instance.
    with socket.create_server((ADDRESS, 0)) as silent:
        metadata = f"http://{ADDRESS}:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
        failed = failure(plain, "PRE-S3-CREDENTIALS", accesskey=None, secretkey=None)
    assert "role" in failed["hint"]


def test_a_bucket_that_does_not_exist(plain: MotoStore) -> None:
    failed = failure(dataclasses.replace(plain, container="no-such-bucket"), "PRE-S3-BUCKET")
    assert "no-such-bucket" in failed["detail"]


# -- permissions

PERMISSIONS = {
    "ListBucket": "arn:aws:s3:::registry ",
    "GetBucketLocation": "arn:aws:s3:::registry ",
    "ListBucketMultipartUploads": "arn:aws:s3:::registry ",
    "PutObject": "arn:aws:s3:::registry/team/*",
    "GetObject": "arn:aws:s3:::registry/team/*",
    "DeleteObject": "arn:aws:s3:::registry/team/*",
    "ListMultipartUploadParts": "arn:aws:s3:::registry/team/*",
    "AbortMultipartUpload": "arn:aws:s3:::registry/team/*",
}


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_missing_permission_is_named(plain: MotoStore, permission: str) -> None:
    user = dataclasses.replace(plain.restricted(permission), root="/team")
    failed = failure(user, f"PRE-S3-DENIED-{permission.upper()}")
    assert permission in failed["detail"]
    assert f"s3:{permission} on {PERMISSIONS[permission]}" in failed["hint"]


def test_all_missing_permissions_are_named_at_once(plain: MotoStore) -> None:
    user = plain.restricted("ListBucket", "GetObject", "AbortMultipartUpload")
    codes = [failed["code"].removeprefix("PRE-S3-DENIED-") for failed in failures(user)]
    assert codes == ["LISTBUCKET", "GETOBJECT", "ABORTMULTIPARTUPLOAD"]


def test_a_good_store_has_a_check_for_each_permission_and_nothing_stays(plain: MotoStore) -> None:
    fresh = plain.bucket("fresh")
    checks = list(opened(fresh).probe())
    assert [check for check in checks if not check["ok"]] == []
    assert len(checks) >= 3 + len(PERMISSIONS)
    assert keys_left(dataclasses.replace(plain, container="fresh")) == ""


@pytest.mark.parametrize("acl", ["private", "bucket-owner-read"])
@pytest.mark.parametrize("size", [5, 9 << 20])
def test_objects_are_made_as_the_storage_section_says(plain: MotoStore, acl: str, size: int) -> None:
    store = opened(plain, encrypt=True, storageclass="REDUCED_REDUNDANCY", objectacl=acl)
    assert [check for check in store.probe() if not check["ok"]] == []
    store.write(f"made/{acl}/{size}", (b"." * size,), size)
    url = f"{plain.endpoint}/{plain.container}/made/{acl}/{size}"
    headers = plain.signer.send("HEAD", url).headers
    assert headers["x-amz-server-side-encryption"] == "AES256"
    assert headers["x-amz-storage-class"] == "REDUCED_REDUNDANCY"
    assert headers["Content-Type"] == "application/octet-stream"


def test_a_private_authority_is_taken(tls: MotoStore) -> None:
    assert failures(tls) == []
    assert failures(dataclasses.replace(tls, ca=""), skipverify=True) == []


def test_a_stores_own_certificate_may_be_its_authority(tmp_path: Path) -> None:
    own = make("own", names=(ADDRESS,), ca=True)
    (tmp_path / "crt").write_text(own.pem)
    (tmp_path / "key").write_bytes(own.key.reveal())
    described = S3Store(
        endpoint="",
        container="images",
        machine=None,  # type: ignore[arg-type]  # it is no machine of the labs
        access_key="key",
        secret_key=Secret("secret"),
    )
    answers = Answers(
        200, "<ListBucketResult><Contents><Key>docker/a</Key><Size>7</Size></Contents></ListBucketResult>"
    )
    with serving(answers, tmp_path / "crt", tmp_path / "key") as url:
        assert list(opened(at(described, url, ca=own.pem)).list("docker")) == [("docker/a", 7)]


# -- what no store of the labs does: answers as Amazon's API reference has them


def error(code: str, more: str = "") -> str:
    return f"<Error><Code>{code}</Code><Message>of {code}</Message>{more}</Error>"


@dataclasses.dataclass
class Answers:
    """What a made-up store answers to everything but HEAD."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0
    """How long it takes to answer."""
    applies: Callable[[http.server.BaseHTTPRequestHandler], bool] = lambda _: True
    """Which requests get this answer; the others get an empty one with status 200."""
    asked: list[str] = dataclasses.field(default_factory=list)
    """Methods and paths of the requests so far."""


@contextlib.contextmanager
def serving(answers: Answers, certificate: Path | None = None, key: Path | None = None) -> Iterator[str]:
    """A made-up store on a port of its own; yields its URL."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answers.asked.append(f"{self.command} {self.path}")
            empty = self.command == "HEAD" or not answers.applies(self)
            stop.wait(0 if empty else answers.seconds)
            data = b"" if empty else answers.body.encode()
            self.send_response_only(200 if empty else answers.status)
            for name, value in ({"Content-Length": str(len(data))} | answers.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - as the library wants them

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hung up is what some tests are about."""

    server = Server((ADDRESS, 0), Handler)
    scheme = "http"
    if certificate and key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{scheme}://{ADDRESS}:{server.server_port}"
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


REGION = error("AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>")
SKEW = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
SCRIPTED = {
    "region": (Answers(400, REGION), "PRE-S3-REGION", "but in eu-west-3", "Set region to eu-west-3"),
    "redirect": (
        Answers(301, error("PermanentRedirect"), {"x-amz-bucket-region": "sa-east-1"}),
        *("PRE-S3-REGION", "sa-east-1", "Set region to sa-east-1"),
    ),
    "clock": (Answers(403, error("RequestTimeTooSkewed"), SKEW), "PRE-S3-CLOCK", "01 Jan 2024", "clock"),
    "token": (Answers(400, error("ExpiredToken")), "PRE-S3-TOKEN", "session token", "keys that last"),
    "busy": (Answers(503, error("SlowDown")), "PRE-S3-OTHER", "503 SlowDown", "log"),
    "no store": (Answers(404, "<html>Not found"), "PRE-S3-NOT-S3", "404", "something else"),
    "slow": (Answers(200, "<ok/>", seconds=2.5), "PRE-STORE-TIMEOUT", "too slowly", "overloaded"),
    "hangs": (Answers(seconds=60), "PRE-STORE-TIMEOUT", "gives no answer in time", "overloaded"),
}


@pytest.mark.parametrize("case", SCRIPTED)
def test_what_amazon_answers_is_understood(plain: MotoStore, case: str) -> None:
    answers, code, detail, hint = SCRIPTED[case]
    with serving(answers) as url:
        failed = failure(at(plain, url), code)
    assert detail in failed["detail"]
    assert hint in failed["hint"]


def test_no_check_shows_a_key(plain: MotoStore) -> None:
    said = str([failures(plain.with_wrong_secret()), failures(plain.restricted("PutObject"))])
    assert plain.secret_key.reveal_text() not in said
    assert plain.with_wrong_secret().secret_key.reveal_text() not in said


def test_a_dead_store_is_told_in_bounded_time_by_every_operation(plain: MotoStore) -> None:
    (port,) = free_ports(ADDRESS, 1)
    store = opened(at(plain, f"http://{ADDRESS}:{port}"))
    began = time.monotonic()
    operations: list[Callable[[], object]] = [
        lambda: list(store.list("docker")),
        lambda: store.size("a"),
        lambda: store.read("a"),
        lambda: store.write("a", (b"x",), 1),
        lambda: store.delete(["a"]),
    ]
    for operation in operations:
        with pytest.raises(StoreError, match=r"the s3 store.*refused") as caught:
            operation()
        assert caught.value.code == "STORE-REFUSED"
    assert time.monotonic() - began < 40


@pytest.mark.parametrize("acl", [None, "bucket-owner-full-control"])
def test_a_refusal_names_store_key_and_reason(plain: MotoStore, acl: str | None) -> None:
    store = opened(plain.restricted("PutObject", "DeleteObject"), objectacl=acl)
    refused: list[Callable[[], object]] = [
        lambda: store.write("x/y", (b"x",), 1),
        lambda: store.delete(["x/y"]),
    ]
    for operation in refused:
        with pytest.raises(StoreError, match=r"the s3 store: .*x/y.*AccessDenied") as caught:
            operation()
        assert caught.value.code == "STORE-DENIED"
    missing = opened(dataclasses.replace(plain, container="no-such-bucket"), objectacl=acl)
    absent: list[Callable[[], object]] = [lambda: list(missing.list("x")), lambda: missing.read("x")]
    for operation in absent:
        with pytest.raises(StoreError, match="bucket does not exist"):
            operation()


@pytest.mark.parametrize("acl", [None, "public-read"])
def test_a_store_that_deletes_one_object_at_a_time_will_do(plain: MotoStore, acl: str | None) -> None:
    answers = Answers(501, error("NotImplemented"), applies=lambda request: request.command == "POST")
    with serving(answers) as url:
        opened(at(plain, url), objectacl=acl).delete(["a", "b/c"])
    bucket = f"/{plain.container}"
    assert {line for line in answers.asked if line.startswith("DELETE")} == {
        f"DELETE {bucket}/a",
        f"DELETE {bucket}/b/c",
    }


def test_a_right_to_set_acls_that_is_missing_is_told_from_a_right_to_write(plain: MotoStore) -> None:
    answers = Answers(403, error("AccessDenied"), applies=lambda request: "x-amz-acl" in request.headers)
    with serving(answers) as url:
        codes = [failed["code"] for failed in failures(at(plain, url))]
    # The made-up store keeps nothing, which is told as well.
    assert codes == ["PRE-S3-DENIED-PUTOBJECTACL", "PRE-S3-OTHER-BYTES"]


def test_a_store_without_regions_will_do(plain: MotoStore) -> None:
    answers = Answers(501, error("NotImplemented"), applies=lambda request: "location" in request.path)
    with serving(answers) as url:
        checks = list(opened(at(plain, url)).probe())
    (check,) = [check for check in checks if check["title"] == "region of the bucket"]
    assert (check["ok"], check["detail"]) == (True, "the store does not tell")


# -- the policy in the examples


POLICY = json.loads((EXAMPLES / "s3-policy.json").read_text())["Statement"]
ACTIONS = [action for statement in POLICY for action in statement["Action"]]


@pytest.fixture(scope="module")
def example(plain: MotoStore) -> MotoStore:
    """The bucket of the example."""
    plain.bucket("example-images")
    return dataclasses.replace(plain, container="example-images", root="registry")


def test_the_policy_of_the_example_is_all_that_is_needed(example: MotoStore) -> None:
    user = example.with_policy(POLICY)
    assert failures(user) == []
    store = opened(user)
    large = bytes(PART + 1)
    store.write("docker/large", [large], len(large))
    assert dict(store.list("docker")) == {"docker/large": len(large)}
    # moto wants the right on the bucket for several objects at once; Amazon wants it on each of them.
    opened(example).delete(["docker/large"])
    assert keys_left(example) == ""


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_in_the_policy_of_the_example_is_without_need(example: MotoStore, action: str) -> None:
    less = [{**s, "Action": [a for a in s["Action"] if a != action]} for s in POLICY]
    name = action.removeprefix("s3:")
    failed = failure(example.with_policy([s for s in less if s["Action"]]), f"PRE-S3-DENIED-{name.upper()}")
    assert f"s3:{name}" in failed["hint"]
