"""Obligations of the registry client, against a small registry that speaks TLS on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tls_factory import Made, make, server_context

from msrctl.errors import MsrctlError, Unreachable, UsageFault, VerifyFailed
from msrctl.registry.client import Registry
from msrctl.secret import Secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

HOST = "registry.example.com"
ROOT = make("Test root", ca=True)
SERVER = make(HOST, names=(HOST,), issuer=ROOT)
USER, PASSWORD = "admin", "pässword-hunter2"
OCI = "application/vnd.oci.image.manifest.v1+json"

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Fake:
    """A registry in memory; `answers` replaces what it says to "METHOD /path"."""

    scheme: str = "https"
    port: int = 0
    password: str | None = PASSWORD
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: set[str] = field(default_factory=set)
    answers: dict[str, Answer | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    seen: list[tuple[str, str, str, bool]] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def answer(self, method: str, path: str, query: str, host: str, body: bytes) -> Answer:
        fixed = {"/v2/": b"{}", "/_ping": b'{"Error": "", "Healthy": true}'}
        if path in fixed:
            return 200, {}, fixed[path]
        if method == "POST" and path.endswith("/blobs/uploads/"):
            self.uploads.add(f"{path}{len(self.seen)}")
            return 202, {"Location": f"{self.scheme}://{host}{path}{len(self.seen)}?_state=x"}, b""
        if "/blobs/uploads/" in path and path in self.uploads:
            self.uploads.remove(path)
            if method == "PUT":
                self.blobs[query.split("digest=")[1]] = body
            return 201 if method == "PUT" else 204, {}, b""
        if "/blobs/" in path and (blob := self.blobs.get(path.rsplit("/", 1)[1])) is not None:
            return 200, {}, blob
        if "/manifests/" in path and method == "GET" and path in self.manifests:
            media_type, manifest = self.manifests[path]
            return 200, {"Content-Type": media_type, "Docker-Content-Digest": sha256(manifest)}, manifest
        return 404, {}, b'{"errors": [{"code": "UNKNOWN", "message": "not here", "detail": {"a": 1}}]}'


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Fake

    def handle_one(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        allowed = self.headers.get("Authorization") is not None
        self.fake.seen.append((self.command, self.path, self.headers["Host"], allowed))
        scripted = self.fake.answers.get(f"{self.command} {path}") or self.fake.answers.get(
            f"{self.command} {self.path}"
        )
        if callable(scripted):
            scripted(self)
            return
        if scripted:
            self.reply(*scripted)
        elif self.fake.password and path != "/_ping" and not self.authorised():
            self.reply(401, {"WWW-Authenticate": "Basic"}, b"")
        elif self.command == "PUT" and "/manifests/" in path:
            self.fake.manifests[path] = (self.headers["Content-Type"], body)
            self.reply(201, {}, b"")
        else:
            self.reply(*self.fake.answer(self.command, path, query, self.headers["Host"], body))

    do_GET = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815  # http.server's names

    def authorised(self) -> bool:
        wanted = base64.b64encode(f"{USER}:{self.fake.password}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def finish_request(self, request: socket.socket, client_address: object) -> None:
        # The handshake belongs in the connection's own thread: a client that breaks it off stops nobody else.
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)  # type: ignore[arg-type]
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def serving(fake: Fake, certificate: Made | None = SERVER) -> Iterator[Fake]:
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": fake}))
    if certificate is None:
        fake.scheme = "http"
    else:
        server.context = server_context(certificate.pem, certificate.key)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def fake() -> Iterator[Fake]:
    with serving(Fake()) as running:
        yield running


def client(fake: Fake, **changes: object) -> Registry:
    arguments: dict[str, object] = {
        "ca": ROOT.pem,
        "auth": (USER, Secret(PASSWORD)),
        "connect_to": fake.address,
        "timeout": 2.0,
    }
    return Registry(f"{fake.scheme}://{HOST}", **(arguments | changes))  # type: ignore[arg-type]


def test_it_connects_elsewhere_but_names_and_checks_the_urls_host(fake: Fake) -> None:
    assert client(fake).ping() == 200
    assert fake.seen == [("GET", "/v2/", HOST, True)]


def test_it_connects_where_the_url_says_when_told_nothing_else() -> None:
    local = make("localhost", names=("127.0.0.1",), issuer=ROOT)
    with (
        serving(Fake(password=None), local) as fake,
        Registry(f"https://127.0.0.1:{fake.port}", ca=ROOT.pem) as one,
    ):
        assert one.ping() == 200
    assert fake.seen[0][2] == f"127.0.0.1:{fake.port}"


def test_it_works_without_tls() -> None:
    with serving(Fake(), None) as fake:
        client(fake).probe_upload()


def test_proxies_of_the_environment_are_not_asked(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert client(fake).ping() == 200


def test_an_intermediate_or_the_servers_own_certificate_is_enough_to_trust(fake: Fake) -> None:
    assert client(fake, ca=SERVER.pem).ping() == 200


def test_ping_without_a_user_gives_the_status_and_with_a_wrong_one_an_error(fake: Fake) -> None:
    assert client(fake, auth=None).ping() == 401
    with pytest.raises(VerifyFailed, match="does not accept user admin") as caught:
        client(fake, auth=(USER, Secret("wrong"))).ping()
    assert caught.value.code == "AUTH"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ((200, {}, b'{"Error": "", "Healthy": true}'), (True, "")),
        ((503, {}, b'{"Error": "no storage", "Healthy": false}'), (False, "no storage")),
        ((502, {}, b"<html>Bad\nGateway</html>"), (False, "HTTP 502: <html>Bad Gateway</html>")),
        ((200, {}, b"[]"), (False, "HTTP 200: []")),
        ((503, {}, b'{"Error": "", "Healthy": true}'), (False, "")),
        ((401, {}, b""), (False, "HTTP 401")),
    ],
)
def test_health_is_what_the_replica_says_and_nothing_else_counts_as_healthy(
    fake: Fake, answer: Answer, wanted: tuple[bool, str]
) -> None:
    fake.answers["GET /_ping"] = answer
    assert client(fake).health() == wanted


def test_an_upload_probe_opens_cancels_and_leaves_nothing(fake: Fake) -> None:
    client(fake).probe_upload()
    assert [method for method, *_ in fake.seen] == ["POST", "DELETE"]
    assert fake.uploads == set()


def test_an_upload_that_does_not_open_is_reported_with_what_came_back(fake: Fake) -> None:
    fake.answers["POST /v2/msrctl/probe/blobs/uploads/"] = (
        500,
        {},
        b'{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Err":"NoSuchBucket"}}]}',
    )
    with pytest.raises(
        VerifyFailed, match=r"cannot be opened: HTTP 500: UNKNOWN unknown error .*NoSuchBucket"
    ) as caught:
        client(fake).probe_upload()
    assert caught.value.code == "UPLOAD"


def test_a_200_for_an_upload_is_no_upload(fake: Fake) -> None:
    fake.answers["POST /v2/msrctl/probe/blobs/uploads/"] = (200, {}, b"welcome")
    with pytest.raises(VerifyFailed, match="HTTP 200: welcome"):
        client(fake).probe_upload()


def test_an_upload_that_cannot_be_cancelled_is_reported(fake: Fake) -> None:
    fake.answers["POST /v2/msrctl/probe/blobs/uploads/"] = (202, {"Location": "/v2/gone"}, b"")
    with pytest.raises(VerifyFailed, match="cannot be cancelled: HTTP 404") as caught:
        client(fake).probe_upload()
    assert caught.value.code == "UPLOAD-CANCEL"


@pytest.mark.parametrize("location", [f"http://{HOST}/v2/x", "https://registry:5000/v2/x"])
def test_an_upload_that_is_sent_away_is_reported_and_the_password_stays(fake: Fake, location: str) -> None:
    fake.answers["POST /v2/msrctl/probe/blobs/uploads/"] = (202, {"Location": location}, b"")
    with pytest.raises(VerifyFailed, match="sends uploads to") as caught:
        client(fake).probe_upload()
    assert caught.value.code == "UPLOAD-LOCATION"
    assert len(fake.seen) == 1


def test_what_was_pushed_can_be_pulled(fake: Fake) -> None:
    registry = client(fake)
    data = bytes(range(256)) * 20_000
    digest = registry.push_blob("a/b", data)
    manifest = json.dumps({"config": digest}).encode()
    assert registry.push_manifest("a/b", "latest", manifest, OCI) == sha256(manifest)
    pieces: list[bytes] = []
    assert registry.pull_blob("a/b", digest, pieces.append) == len(data)
    assert b"".join(pieces) == data
    assert len(pieces) > 1
    pulled = registry.pull_manifest("a/b", "latest")
    assert (pulled.digest, pulled.media_type, pulled.body) == (sha256(manifest), OCI, manifest)


def test_a_blob_that_is_not_what_its_digest_says_is_refused(fake: Fake) -> None:
    digest = sha256(b"right")
    fake.blobs[digest] = b"wrong"
    with pytest.raises(VerifyFailed, match=r"has digest sha256:\w+ \(5 bytes\)") as caught:
        client(fake).pull_blob("a", digest)
    assert caught.value.code == "DIGEST"


def test_a_manifest_that_is_not_what_was_asked_for_is_refused(fake: Fake) -> None:
    wanted = sha256(b"right")
    fake.manifests[f"/v2/a/manifests/{wanted}"] = (OCI, b"wrong")
    with pytest.raises(VerifyFailed, match=f"not {wanted}"):
        client(fake).pull_manifest("a", wanted)
    fake.answers["GET /v2/a/manifests/latest"] = (200, {"Docker-Content-Digest": wanted}, b"wrong")
    with pytest.raises(VerifyFailed, match=f"not {wanted}"):
        client(fake).pull_manifest("a", "latest")


def test_what_is_not_there_has_a_code_of_its_own(fake: Fake) -> None:
    registry = client(fake)
    for ask in (
        lambda: registry.pull_manifest("a", "latest"),
        lambda: registry.pull_blob("a", sha256(b"")),
        lambda: registry.tags("a"),
    ):
        with pytest.raises(VerifyFailed, match="HTTP 404: UNKNOWN not here") as caught:
            ask()
        assert caught.value.code == "NOT-FOUND"


def test_lists_are_read_to_their_last_page(fake: Fake) -> None:
    following = {"Link": '</v2/_catalog?last=b&n=1000>; rel="next"'}
    fake.answers["GET /v2/_catalog?n=1000"] = (200, following, b'{"repositories": ["a", "b"]}')
    fake.answers["GET /v2/_catalog?last=b&n=1000"] = (200, {}, b'{"repositories": ["c"]}')
    assert client(fake).catalog() == ("a", "b", "c")


def test_a_list_that_points_at_itself_ends(fake: Fake) -> None:
    fake.answers["GET /v2/a/tags/list"] = (200, {"Link": '</v2/a/tags/list>; rel="next"'}, b'{"tags": ["1"]}')
    assert client(fake).tags("a") == ("1",)


def test_a_repository_whose_tags_were_all_deleted_has_none(fake: Fake) -> None:
    fake.answers["GET /v2/a/tags/list"] = (200, {}, b'{"name": "a", "tags": null}')
    assert client(fake).tags("a") == ()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_an_answer_that_is_no_list_is_refused(fake: Fake, body: bytes) -> None:
    fake.answers["GET /v2/a/tags/list"] = (200, {}, body)
    with pytest.raises(VerifyFailed, match="not the list"):
        client(fake).tags("a")


def test_a_redirect_to_the_store_is_followed_without_the_password(fake: Fake) -> None:
    data = b"layer" * 1000
    with serving(Fake(password=None), make("store", names=("127.0.0.1",), issuer=ROOT)) as store:
        store.blobs["data"] = data
        target = f"https://127.0.0.1:{store.port}/blobs/data"
        fake.answers[f"GET /v2/a/blobs/{sha256(data)}"] = (307, {"Location": target}, b"")
        assert client(fake).pull_blob("a", sha256(data)) == len(data)
    assert store.seen == [("GET", "/blobs/data", f"127.0.0.1:{store.port}", False)]


def test_a_redirect_to_the_same_host_goes_to_the_same_address_with_the_password(fake: Fake) -> None:
    fake.answers["GET /v2/a/tags/list"] = (308, {"Location": f"https://{HOST}/v2/b/tags/list"}, b"")
    fake.answers["GET /v2/b/tags/list"] = (200, {}, b'{"tags": ["1"]}')
    assert client(fake).tags("a") == ("1",)
    assert fake.seen[-1] == ("GET", "/v2/b/tags/list", HOST, True)


def test_a_circle_of_redirects_ends(fake: Fake) -> None:
    fake.answers["GET /v2/"] = (302, {"Location": "/v2/"}, b"")
    with pytest.raises(VerifyFailed, match="redirects in a circle"):
        client(fake).ping()


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 10)
    handler.close_connection = True


def stall(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 10)
    handler.wfile.flush()
    handler.rfile.read(1)


def code_of(ask: Callable[[], object]) -> str:
    """The code of what it raises, after looking for the password wherever an error may carry it."""
    with pytest.raises(MsrctlError) as caught:
        ask()
    error: BaseException | None = caught.value
    encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert error is not None
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = repr((error, vars(error)))
    assert "hunter2" not in shown
    assert encoded not in shown
    assert isinstance(caught.value, Unreachable)
    return caught.value.code


def test_each_way_to_be_unreachable_has_its_own_code(fake: Fake) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert code_of(client(fake, connect_to=closed.getsockname()).ping) == "REGISTRY-REFUSED"
    assert code_of(client(fake, connect_to=("nowhere.invalid", 443)).ping) == "REGISTRY-NAME"
    assert code_of(client(fake, ca=make("Other root", ca=True).pem).ping) == "REGISTRY-TLS-CA"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert code_of(client(fake, connect_to=silent.getsockname(), timeout=0.2).ping) == "REGISTRY-TIMEOUT"
    fake.answers["GET /v2/"] = hang_up
    assert code_of(client(fake).ping) == "REGISTRY-CLOSED"


def test_certificates_for_another_name_or_another_time_have_their_own_codes() -> None:
    with serving(Fake(), make("x", names=("other.example.com",), issuer=ROOT)) as fake:
        assert code_of(client(fake).ping) == "REGISTRY-TLS-NAME"
    with serving(Fake(), make("x", names=(HOST,), issuer=ROOT, end=timedelta(hours=-1))) as fake:
        assert code_of(client(fake).ping) == "REGISTRY-TLS-DATE"
    with serving(Fake(), None) as fake:
        fake.scheme = "https"
        assert code_of(client(fake).ping) == "REGISTRY-TLS"


def test_the_public_authorities_are_not_trusted_beside_the_given_one(fake: Fake) -> None:
    registry = client(fake)
    registry.ping()
    adapter = registry._connection._session.get_adapter("https://x")
    assert len(adapter._context.get_ca_certs()) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("ending", "code"), [(cut_short, "REGISTRY-CLOSED"), (stall, "REGISTRY-TIMEOUT")])
def test_a_body_that_ends_early_or_stalls_is_no_blob(
    fake: Fake, ending: Callable[[BaseHTTPRequestHandler], None], code: str
) -> None:
    fake.answers[f"GET /v2/a/blobs/{sha256(b'x')}"] = ending
    fake.answers["GET /v2/a/tags/list"] = ending
    assert code_of(lambda: client(fake, timeout=0.3).pull_blob("a", sha256(b"x"))) == code
    assert code_of(lambda: client(fake, timeout=0.3).tags("a")) == code


@pytest.mark.parametrize(
    "url",
    ["registry.example.com", "ftp://a", "https://", "https://u:secret@a", "https://a:port", "https://[::1"],
)
def test_a_url_that_is_none_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UsageFault, match=re.escape("http(s)://HOST[:PORT]")) as caught:
        Registry(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("ca", ["", "no certificate"])
def test_an_authority_that_is_no_pem_is_refused(ca: str) -> None:
    with pytest.raises(UsageFault, match="not a PEM"):
        Registry("https://a", ca=ca)


def test_nothing_shows_the_password(fake: Fake) -> None:
    assert "hunter2" not in repr((client(fake), vars(client(fake)), vars(client(fake)._connection)))


def test_importing_the_client_does_not_import_requests() -> None:
    code = "import sys, msrctl.registry.client; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
