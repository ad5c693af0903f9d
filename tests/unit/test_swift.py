"""Swift as its own servers seldom answer: refusals, quotas, lags, passing failures, version 2."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tls_factory import Made, make, server_context

from msrctl.secret import Secret
from msrctl.transfer import swift, swift_client
from msrctl.transfer.store import StoreError
from msrctl.transfer.swift import SwiftStore

Answer = tuple[int, dict[str, str], bytes]
PASSWORD = "the-password-itself"
NAME = "files/docker/x"


class FakeSwift:
    """Answers as the test says; what is not said is answered as by a good store.

    Attributes:
        seen: method and path of every request, with its query.
        says: answers by method and path, used up in order, the last one again and again.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.says: dict[str, list[Answer]] = {}
        self.bodies: list[Any] = []
        self.objects: dict[str, bytes] = {}
        self.url = ""

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        parts = urlsplit(path)
        self.seen.append(f"{method} {path}")
        said = self.says.get(f"{method} {parts.path}") or self.says.get(method)
        if said:
            return said.pop(0) if len(said) > 1 else said[0]
        if parts.path.startswith("/auth"):
            if headers.get("X-Auth-Key") != PASSWORD:
                return 401, {}, b""
            return 200, {"X-Storage-Url": f"{self.url}/v1/a", "X-Auth-Token": "token"}, b""
        if parts.path.endswith("/tokens"):
            self.bodies.append(json.loads(body))
            return 404, {}, b""
        return self._object(method, parts.path.removeprefix("/v1/a/c").lstrip("/"), parts.query, body)

    def _object(self, method: str, name: str, query: str, body: bytes) -> Answer:
        if not name:
            prefix, marker = (parse_qs(query).get(key, [""])[0] for key in ("prefix", "marker"))
            names = sorted(n for n in self.objects if n.startswith(prefix) and n > marker)
            listed = [{"name": n, "bytes": len(self.objects[n])} for n in names]
            return 200, {}, json.dumps(listed).encode() if method == "GET" else b""
        if method == "PUT":
            self.objects[name] = body
            return 201, {}, b""
        if name not in self.objects:
            return 404, {}, b""
        if method == "DELETE":
            del self.objects[name]
            return 204, {}, b""
        return 200, {}, self.objects[name]


@pytest.fixture
def fake() -> Iterator[FakeSwift]:
    with serving() as made:
        yield made


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[FakeSwift]:
    made = FakeSwift()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, data = made.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(data))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815 - its names

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client that only looks at the certificate
                super().handle()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swift_client, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(swift, "LATE_STEP", 0.001)
    monkeypatch.setattr(swift, "LATE_SECONDS", 30)  # never reached, however slow the machine
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def opened(fake: FakeSwift, *, password: str = PASSWORD, ca: str = "", **more: Any) -> SwiftStore:
    parameters = {"authurl": f"{fake.url}/auth/v1.0", "username": "t:u", "container": "c"} | more
    return SwiftStore(parameters, {"password": Secret(password)}, ca, "the store")


def failure(store: SwiftStore) -> dict[str, Any]:
    (found,) = [check for check in store.probe() if not check["ok"]]
    assert found["hint"]
    assert PASSWORD not in str(found)
    return found


def put(store: SwiftStore, key: str, data: bytes) -> None:
    store.write(key, [data], len(data))


# --- requests


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(status: int, fake: FakeSwift) -> None:
    bad: Answer = (status, {}, b"")
    fake.says["PUT /v1/a/c/files/docker/x/link"] = [bad, bad, (201, {}, b"")]
    put(opened(fake), "docker/x/link", b"sha256:1")
    assert len([line for line in fake.seen if line.startswith("PUT")]) == 3


def test_a_failure_that_stays_is_told_after_some_tries(fake: FakeSwift) -> None:
    fake.says[f"HEAD /v1/a/c/{NAME}"] = [(503, {}, b"")]
    with pytest.raises(StoreError, match="look at files/docker/x: 503") as caught:
        opened(fake).size("docker/x")
    assert caught.value.code == "STORE-ANSWER"
    assert len([line for line in fake.seen if line.startswith("HEAD")]) == swift.RETRIES + 1


def test_a_refusal_is_not_tried_again(fake: FakeSwift) -> None:
    fake.says[f"GET /v1/a/c/{NAME}"] = [(403, {}, b"")]
    with pytest.raises(StoreError) as caught:
        opened(fake).read("docker/x")
    assert caught.value.code == "STORE-DENIED"
    assert len([line for line in fake.seen if "docker/x" in line]) == 1


def test_many_threads_share_one_token(fake: FakeSwift) -> None:
    store = opened(fake)
    fake.objects |= {f"files/docker/{n}": b"" for n in range(40)}
    assert len(dict(store.list("docker"))) == 40
    assert len([line for line in fake.seen if "/auth/" in line]) == 1


def test_a_token_that_is_never_taken_ends_in_a_refusal_not_in_a_loop(fake: FakeSwift) -> None:
    fake.says[f"HEAD /v1/a/c/{NAME}"] = [(401, {}, b"")]
    with pytest.raises(StoreError) as caught:
        opened(fake).size("docker/x")
    assert caught.value.code == "STORE-DENIED"
    assert len([line for line in fake.seen if "/auth/" in line]) == 2


def test_an_authentication_that_fails_for_a_moment_is_asked_again(fake: FakeSwift) -> None:
    headers = {"X-Storage-Url": f"{fake.url}/v1/a", "X-Auth-Token": "token"}
    fake.says["GET /auth/v1.0"] = [(503, {}, b""), (502, {}, b""), (200, headers, b"")]
    assert opened(fake).size("docker/x") is None
    fake.says["GET /auth/v1.0"] = [(503, {}, b"")]
    with pytest.raises(StoreError) as caught:
        opened(fake).size("docker/x")
    assert caught.value.code == "STORE-ANSWER"
    fake.says["GET /auth/v1.0"] = [(401, {}, b"")]
    fake.seen.clear()
    with pytest.raises(StoreError):
        opened(fake).size("docker/x")
    assert len(fake.seen) == 1


def test_names_are_quoted_for_the_address(fake: FakeSwift) -> None:
    store = opened(fake, prefix="a b?c#d")
    put(store, "docker/ü%41/link", b"x")
    assert fake.seen[-1] == "PUT /v1/a/c/a%20b%3Fc%23d/files/docker/%C3%BC%2541/link"


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("", "files/k"), ("a", "a/files/k"), ("/a/", "a//files/k"), ("a/b", "a/b/files/k"), ("/", "files/k")],
)
def test_a_prefix_is_joined_as_the_driver_does(prefix: str, name: str, fake: FakeSwift) -> None:
    assert opened(fake, prefix=prefix).name("k") == name


# --- lags


def test_segments_that_are_not_listed_yet_are_waited_for(fake: FakeSwift) -> None:
    manifest = {"X-Object-Manifest": "c/segments/1"}
    empty: Answer = (200, manifest, b"")
    fake.says[f"HEAD /v1/a/c/{NAME}"] = [empty, empty, (200, manifest, b"12345")]
    assert opened(fake).size("docker/x") == 5


def test_an_empty_layer_is_not_waited_for(fake: FakeSwift) -> None:
    name = f"files/docker/registry/v2/blobs/sha256/e3/{swift.EMPTY}/data"
    fake.says[f"HEAD /v1/a/c/{name}"] = [(200, {"X-Object-Manifest": "c/segments/1"}, b"")]
    began = time.monotonic()
    assert opened(fake).size(name.removeprefix("files/")) == 0
    assert len([line for line in fake.seen if line.startswith("HEAD")]) == 1
    assert time.monotonic() - began < 1


def test_a_listing_that_lags_behind_what_was_written_here_is_set_right(fake: FakeSwift) -> None:
    store = opened(fake)
    put(store, "docker/new", b"new")
    put(store, "docker/replaced", b"longer than before")
    put(store, "docker/gone", b"gone")
    put(store, "docker/other/x", b"")
    store.delete(["docker/gone"])
    stale = [{"name": "files/docker/gone", "bytes": 4}, {"name": "files/docker/replaced", "bytes": 1}]
    fake.says["GET /v1/a/c"] = [(200, {}, json.dumps(stale).encode()), (200, {}, b"[]")]
    assert dict(store.list("docker")) == {"docker/new": 3, "docker/replaced": 18, "docker/other/x": 0}


def test_what_others_deleted_after_us_is_not_listed(fake: FakeSwift) -> None:
    store = opened(fake)
    put(store, "docker/x", b"x")
    fake.objects.clear()
    assert list(store.list("docker")) == []


# --- what a probe says


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("GET /v1/a/c", 403, "PRE-SWIFT-LIST"),
        ("PUT", 403, "PRE-SWIFT-WRITE"),
        ("PUT", 413, "PRE-SWIFT-QUOTA"),
        ("PUT", 507, "PRE-SWIFT-QUOTA"),
        ("PUT", 500, "PRE-SWIFT-OTHER"),
        ("DELETE", 403, "PRE-SWIFT-DELETE"),
        ("DELETE", 409, "PRE-SWIFT-OTHER"),
    ],
)
def test_each_refusal_has_its_code_and_is_not_tried_again(
    key: str, status: int, code: str, fake: FakeSwift
) -> None:
    fake.says[key] = [(status, {}, b"")]
    assert failure(opened(fake))["code"] == code
    assert len([line for line in fake.seen if line.startswith(key)]) == 1


def test_a_container_that_may_not_be_made_is_told(fake: FakeSwift) -> None:
    fake.says["GET /v1/a/c"] = [(404, {}, b"")]
    fake.says["PUT /v1/a/c"] = [(403, {}, b"")]
    found = failure(opened(fake))
    assert found["code"] == "PRE-SWIFT-CONTAINER"
    assert "t:u may not make it" in found["detail"]


def test_an_object_that_may_not_be_read_or_is_changed_is_told_and_taken_away(fake: FakeSwift) -> None:
    class Changed(dict[str, bytes]):
        def __getitem__(self, key: str) -> bytes:
            return b"something else"

    fake.objects = Changed()
    assert failure(opened(fake))["code"] == "PRE-SWIFT-DATA"
    assert fake.objects == {}


def test_an_account_without_an_object_store_is_told(fake: FakeSwift) -> None:
    fake.says["GET /auth/v1.0"] = [(200, {"X-Auth-Token": "t"}, b"")]
    assert failure(opened(fake))["code"] == "PRE-SWIFT-STORAGE-URL"


def test_a_storage_url_that_cannot_be_reached_is_told_as_the_catalogues(fake: FakeSwift) -> None:
    headers = {"X-Auth-Token": "t", "X-Storage-Url": "http://swift.internal.invalid/v1/a"}
    fake.says["GET /auth/v1.0"] = [(200, headers, b"")]
    found = failure(opened(fake))
    assert found["code"] == "PRE-STORE-NAME"
    assert "comes from the store's own catalogue" in found["hint"]


def test_a_wrong_password_is_never_shown(fake: FakeSwift) -> None:
    found = failure(opened(fake, password="another-password"))
    assert found["code"] == "PRE-SWIFT-PASSWORD"
    assert "another-password" not in str(found)


def test_an_authentication_in_trouble_is_told(fake: FakeSwift) -> None:
    fake.says["GET /auth/v1.0"] = [(503, {}, b"")]
    assert failure(opened(fake))["code"] == "PRE-SWIFT-AUTH-OTHER"


def test_every_code_of_the_probe_is_explained_in_the_documentation() -> None:
    root = Path(swift.__file__).parents[2]
    source = "".join(path.read_text() for path in Path(swift.__file__).parent.glob("swift*.py"))
    page = (root / "docs" / "how-to" / "store-in-swift.md").read_text()
    codes = set(re.findall(r"PRE-SWIFT-[A-Z]+(?:-[A-Z]+)*", source))
    assert len(codes) > 15
    assert set(re.findall(r"`(PRE-SWIFT-[A-Z-]+)`", page)) == codes


# --- TLS


def certified(authority: Made, name: str) -> ssl.SSLContext:
    """What a server with a certificate for that name has."""
    made = make("swift", names=(name,), issuer=authority)
    return server_context(made.pem, made.key)


def test_a_private_authority_is_trusted_beside_the_systems_and_only_if_it_is_the_right_one() -> None:
    authority = make("an authority", ca=True)
    with serving(certified(authority, "127.0.0.1")) as fake:
        store = opened(fake, ca=authority.pem)
        put(store, "docker/x", b"x")
        assert store.read("docker/x") == b"x"
        assert [check for check in store.probe() if not check["ok"]] == []
        found = failure(opened(fake))
        assert found["code"] == "PRE-STORE-TLS-CA"
        assert "rootca" in found["hint"]
        with pytest.raises(StoreError) as caught:
            opened(fake).size("docker/x")
        assert caught.value.code == "STORE-TLS"
        assert failure(opened(fake, ca=make("another", ca=True).pem))["code"] == "PRE-STORE-TLS-CA"
        assert opened(fake, insecureskipverify=True).read("docker/x") == b"x"


def test_a_certificate_for_another_name_is_refused() -> None:
    authority = make("an authority", ca=True)
    with serving(certified(authority, "swift.example.com")) as fake:
        found = failure(opened(fake, ca=authority.pem))
    assert (found["code"], "authurl" in found["hint"]) == ("PRE-STORE-TLS-NAME", True)


# --- version 2, and what version 3 sends


CATALOGUE = {
    "type": "object-store",
    "endpoints": [
        {"region": "one", "publicURL": "URL/v1/one", "internalURL": "URL/v1/inner"},
        {"region": "two", "publicURL": "URL/v1/two"},
    ],
}


def second(fake: FakeSwift, accept: Callable[[dict[str, Any]], bool], **more: Any) -> SwiftStore:
    """A store of version 2 that lets those in whose request is accepted."""
    catalogue = json.loads(json.dumps(CATALOGUE).replace("URL/", f"{fake.url}/"))
    body = json.dumps({"access": {"token": {"id": "token"}, "serviceCatalog": [catalogue]}}).encode()
    original = fake.answer

    def answer(method: str, path: str, headers: Any, data: bytes) -> Answer:
        if path == "/v2.0/tokens":
            return (200, {}, body) if accept(json.loads(data)["auth"]) else (401, {}, b"")
        return original(method, path, headers, data)

    fake.answer = answer  # type: ignore[method-assign]
    return opened(fake, authurl=f"{fake.url}/v2.0", username="u", **more)


def right(auth: dict[str, Any]) -> bool:
    return auth["passwordCredentials"] == {"username": "u", "password": PASSWORD}


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({}, "one"),
        ({"region": "two"}, "two"),
        ({"endpointtype": "internal"}, "inner"),
        ({"tenant": "t"}, "one"),
    ],
)
def test_version_2_takes_the_address_from_the_catalogue(
    more: dict[str, Any], path: str, fake: FakeSwift
) -> None:
    store = second(fake, right, **more)
    assert store.client.access().url == f"{fake.url}/v1/{path}"


def test_version_2_tells_tenant_password_and_region_apart(fake: FakeSwift) -> None:
    store = second(fake, lambda auth: right(auth) and "tenantName" not in auth, tenant="wrong")
    assert failure(store)["code"] == "PRE-SWIFT-TENANT"
    assert failure(second(fake, lambda _: False, tenant="t"))["code"] == "PRE-SWIFT-PASSWORD"
    assert failure(second(fake, right, region="three"))["code"] == "PRE-SWIFT-REGION"
    assert failure(second(fake, right, endpointtype="admin"))["code"] == "PRE-SWIFT-STORAGE-URL"


@pytest.mark.parametrize(
    ("more", "domain", "scope"),
    [
        ({"domain": "D"}, {"name": "D"}, None),
        ({"domainid": "d"}, {"id": "d"}, None),
        ({"tenantid": "t", "domain": "D"}, {"name": "D"}, {"project": {"id": "t"}}),
        ({"tenant": "T", "domain": "D"}, {"name": "D"}, {"project": {"name": "T", "domain": {"name": "D"}}}),
        ({"tenant": "T"}, None, {"project": {"name": "T", "domain": {"name": "Default"}}}),
        (
            {"tenant": "T", "domain": "D", "tenantdomainid": "e"},
            {"name": "D"},
            {"project": {"name": "T", "domain": {"id": "e"}}},
        ),
        ({"trustid": "r", "tenant": "T", "domain": "D"}, {"name": "D"}, {"OS-TRUST:trust": {"id": "r"}}),
    ],
)
def test_version_3_asks_as_the_driver_does(
    more: dict[str, Any], domain: object, scope: object, fake: FakeSwift
) -> None:
    with pytest.raises(StoreError):
        opened(fake, authurl=f"{fake.url}/v3/", username="u", **more).size("k")
    auth = fake.bodies[0]["auth"]
    assert fake.seen[0] == "POST /v3/auth/tokens"
    assert auth["identity"]["password"]["user"].get("domain") == domain
    assert auth.get("scope") == scope
