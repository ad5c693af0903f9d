"""What MKE is to a client: TLS, a login, and the Docker API behind it; forwards to a real engine's socket."""

from __future__ import annotations

import datetime as dt
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from types import TracebackType

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "authorization", "host", "content-length"})


@dataclass
class MkeFront:
    """A controller on 127.0.0.1, while in its `with` block.

    Arguments:
        engine: path of the socket of the engine that it controls.
        directory: for its certificate and key.
        username: who may log in.
        password: theirs.
    """

    engine: Path
    directory: Path
    username: str = "admin"
    password: str = "orca-secret"
    tokens: set[str] = field(default_factory=set)
    logins: int = 0
    url: str = ""
    ca: str = ""
    fingerprint: str = ""

    def expire(self) -> None:
        """Makes all tokens worthless, as time does."""
        self.tokens.clear()

    def __enter__(self) -> Self:
        certificate = _certificate(self.directory)
        self.ca = (self.directory / "cert.pem").read_text()
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"mke": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "cert.pem", self.directory / "key.pem")
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
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
        elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.mke.tokens:
            self._answer(401, b'{"message": "unauthorized"}')
        else:
            self._forward(body)

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _handle  # noqa: N815 - names that http.server looks for

    def _login(self, body: bytes) -> None:
        self.mke.logins += 1
        data = json.loads(body)
        if (data.get("username"), data.get("password")) != (self.mke.username, self.mke.password):
            self._answer(401, b'{"errors": [{"message": "invalid credentials for ' + body + b'"}]}')
            return
        token = secrets.token_hex(16)
        self.mke.tokens.add(token)
        self._answer(200, json.dumps({"auth_token": token}).encode())

    def _forward(self, body: bytes) -> None:
        engine = _UnixConnection(self.mke.engine)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        engine.request(self.command, self.path, body or None, headers)
        answer = engine.getresponse()
        self._answer(answer.status, answer.read(), answer.getheader("Content-Type", "application/json"))
        engine.close()

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


def _certificate(directory: Path) -> x509.Certificate:
    """A self-signed certificate for 127.0.0.1, written with its key as cert.pem and key.pem."""
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
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
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
