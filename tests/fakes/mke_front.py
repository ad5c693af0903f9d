"""What MKE is to a client: TLS, a login, and the Docker API behind it, maybe behind a balancer that cuts."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from types import TracebackType

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "authorization", "host", "content-length"})


@dataclass(frozen=True)
class Stumble:
    """A request that the balancer answers with 504 in place of the controller.

    Arguments:
        method: that of the request.
        path: a part of its path.
        acted: whether the engine has done what was asked all the same, and only the answer is lost.
    """

    method: str
    path: str
    acted: bool = False


@dataclass
class MkeFront:
    """A controller, while in its `with` block; it forwards to a real engine's socket.

    Arguments:
        engine: path of the socket of the engine that it controls.
        directory: for its certificate and key.
        username: who may log in.
        password: theirs.
        address: where it listens; its certificate is for this address.
        token_uses: how many requests a token is good for; None: until `expire`.
        cut_after: seconds after which the balancer in front of it cuts a request: with 504 if there was no
            answer yet, and else in the middle of it; None: there is no balancer.
        stumbles: requests that get 504, each once, in any order.
    """

    engine: Path
    directory: Path
    username: str = "admin"
    password: str = "orca-secret"
    address: str = "127.0.0.1"
    token_uses: int | None = None
    cut_after: float | None = None
    stumbles: list[Stumble] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    """Those that are good, and for how many requests they were."""
    logins: int = 0
    cuts: int = 0
    url: str = ""
    ca: str = ""
    fingerprint: str = ""

    def expire(self) -> None:
        """Makes all tokens worthless, as time does."""
        self.tokens.clear()

    def __enter__(self) -> Self:
        certificate = _certificate(self.directory, self.address)
        self.ca = (self.directory / "cert.pem").read_text()
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self._server = _Server((self.address, 0), type("Handler", (_Handler,), {"mke": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "cert.pem", self.directory / "key.pem")
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://{self.address}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that does not trust the certificate hangs up: that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mke: MkeFront

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/auth/login":
            self._login(body)
        elif not self._is_let_in():
            self._answer(401, b'{"message": "unauthorized"}')
        elif stumble := self._stumble():
            if stumble.acted:
                self._ask_engine(body).close()
            self._cut()
        else:
            self._forward(body)

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _handle  # noqa: N815 - names that http.server looks for

    def _is_let_in(self) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.mke.tokens:
            return False
        self.mke.tokens[token] += 1
        if self.mke.tokens[token] == self.mke.token_uses:
            del self.mke.tokens[token]
        return True

    def _stumble(self) -> Stumble | None:
        for stumble in self.mke.stumbles:
            if stumble.method == self.command and stumble.path in self.path:
                self.mke.stumbles.remove(stumble)
                return stumble
        return None

    def _login(self, body: bytes) -> None:
        self.mke.logins += 1
        data = json.loads(body)
        if (data.get("username"), data.get("password")) != (self.mke.username, self.mke.password):
            self._answer(401, b'{"errors": [{"message": "invalid credentials for ' + body + b'"}]}')
            return
        token = secrets.token_hex(16)
        self.mke.tokens[token] = 0
        self._answer(200, json.dumps({"auth_token": token}).encode())

    def _ask_engine(self, body: bytes) -> http.client.HTTPResponse:
        engine = _UnixConnection(self.mke.engine)
        if self.mke.cut_after is not None:
            engine.timeout = self.mke.cut_after
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        engine.request(self.command, self.path, body or None, headers | {"Connection": "close"})
        return engine.getresponse()

    def _forward(self, body: bytes) -> None:
        began = time.monotonic()
        try:
            answer = self._ask_engine(body)
        except TimeoutError:
            self._cut()
            return
        with contextlib.closing(answer):
            kind = answer.getheader("Content-Type", "application/json")
            if not answer.chunked:
                self._answer(answer.status, answer.read(), kind)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", kind)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._stream(answer, began)

    def _stream(self, answer: http.client.HTTPResponse, began: float) -> None:
        """What the engine sends, as it comes, until its end or until the balancer has had enough."""
        limit = self.mke.cut_after
        reader: Any = answer.fp
        while True:
            left = None if limit is None else began + limit - time.monotonic()
            if left is not None:
                reader.raw._sock.settimeout(max(left, 0.001))
            try:
                piece = answer.read1(65536) if left is None or left > 0 else None
            except TimeoutError:
                piece = None
            if piece is None:
                self.mke.cuts += 1
                self.close_connection = True  # without the last chunk: the client sees that it was cut
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            if not piece:
                return

    def _cut(self) -> None:
        self.mke.cuts += 1
        page = b"<html><body><h1>504 Gateway Time-out</h1>The server didn't respond in time.</body></html>"
        self._answer(504, page, "text/html")

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def _certificate(directory: Path, address: str) -> x509.Certificate:
    """A self-signed certificate for an address, written with its key as cert.pem and key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ucp.example.com")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate
