"""What the GCS fake lacks, as a front to it: TLS, tokens for service accounts, and rights.

It answers for all of Google's names: POST /token takes a service account's signed request (RS256) and hands
out a token; everything else needs one of those tokens, or a signed address, and is passed on to the fake.

``python -m labs.stores.gcs_front SETTINGS`` with a JSON file (see `Settings`).
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

BLOCK = 1 << 16
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}
TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Settings:
    """What the front is started with.

    Attributes:
        address: where it listens, on port 443.
        certificate: file, PEM.
        key: file, PEM.
        fake: ``host:port`` of the fake, plain http.
        accounts: public key (PEM) of each service account by its e-mail address.
        lacking: HTTP methods on objects that an account may not use, by its e-mail address.
    """

    address: str
    certificate: str
    key: str
    fake: str
    accounts: dict[str, str]
    lacking: dict[str, list[str]]

    def write(self, path: Path) -> None:
        """Writes them to a file for the front."""
        path.write_text(json.dumps(asdict(self)))


class Front(ThreadingHTTPServer):
    """The server.

    Arguments:
        settings: what it was started with.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, settings: Settings) -> None:
        super().__init__((settings.address, 443), Handler)
        self.settings = settings
        self.tokens: dict[str, str] = {}  # to the account that each was given to
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(settings.certificate, settings.key)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the thread of the connection: a client that is slow with its handshake holds nobody up."""
        request.settimeout(120)
        super().finish_request(self.context.wrap_socket(request, server_side=True), client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or do not trust the certificate, are none."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go separately: each answer would take 40 ms longer
    server: Front

    def do_GET(self) -> None:
        """Every method goes the same way."""
        path = urlsplit(self.path).path
        if self.command == "POST" and path == "/token":
            self._token()
        elif refusal := self._refusal():
            self._drain()
            self._answer(*refusal)
        else:
            self._pass_on()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class asks for them

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        """Nothing: the fake has its own log."""

    # -- tokens and rights

    def _token(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        account = self._account(parse_qs(body.decode()).get("assertion", [""])[0])
        if account is None:
            self._answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
            return
        token = secrets.token_hex(16)
        self.server.tokens[token] = account
        self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})

    def _account(self, assertion: str) -> str | None:
        """The service account that signed a request, if it did so with its key."""
        try:
            header, claims, signature = assertion.split(".")
            content = json.loads(_decoded(claims))
            account = str(content["iss"])
            public = load_pem_public_key(self.server.settings.accounts[account].encode())
            if not isinstance(public, rsa.RSAPublicKey) or content["exp"] < time.time():
                return None
            signed = f"{header}.{claims}".encode()
            public.verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, KeyError, InvalidSignature):
            return None
        return account

    def _refusal(self) -> tuple[int, dict[str, Any]] | None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if "Signature" in query or "X-Goog-Signature" in query:
            return None  # a signed address; the fake does not look at the signature, nor do we
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        account = self.server.tokens.get(token.strip()) if kind.lower() == "bearer" else None
        if account is None:
            return 401, _error(401, "Invalid Credentials", "authError")
        # Parts of an upload need no right that its start did not need.
        continued = "upload_id" in query
        right = _right(self.command, parts.path)
        if right in self.server.settings.lacking.get(account, []) and not continued:
            text = f"{account} does not have storage.{right} access to the Google Cloud Storage object."
            return 403, _error(403, text, "forbidden")
        return None

    # -- passing on

    def _pass_on(self) -> None:
        length = self.headers.get("Content-Length")
        body: Any = None
        if length is not None:
            body = self.rfile.read(int(length))
        elif self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(iter(self._chunk, b""))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        # The fake is asked in plain http: without this the addresses in its answers would be such.
        headers["X-Forwarded-Proto"] = "https"
        connection = http.client.HTTPConnection(self.server.settings.fake, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers)
            self._hand_back(connection.getresponse())
        finally:
            connection.close()

    def _hand_back(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length")
        if length is None and self.command != "HEAD":
            # Without a length the whole body is taken first.
            content = answer.read()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        while block := answer.read(BLOCK):
            self.wfile.write(block)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _drain(self) -> None:
        """Reads a body that is not wanted: what stays would be taken for the next request."""
        if self.headers.get("Content-Length"):
            self.rfile.read(int(self.headers["Content-Length"]))
        elif self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while self._chunk():
                pass

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _right(method: str, path: str) -> str:
    """The right that a request needs, in Google's words (``objects.create`` ...)."""
    if path.rstrip("/").endswith("/o") and method == "GET":
        return "objects.list"
    if method in {"GET", "HEAD"}:
        # JSON: /storage/v1/b/BUCKET[/o/OBJECT]; XML: /BUCKET[/OBJECT]
        is_json = path.startswith(("/storage/v1/b/", "/download/storage/v1/b/"))
        is_object = "/o/" in path if is_json else len(path.strip("/").split("/")) > 1
        return "objects.get" if is_object else "buckets.get"
    return "objects.delete" if method == "DELETE" else "objects.create"


def _error(code: int, message: str, reason: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "errors": [{"message": message, "reason": reason}]}}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main() -> None:
    """Serves until it is killed."""
    Front(Settings(**json.loads(Path(sys.argv[1]).read_text()))).serve_forever()


if __name__ == "__main__":
    main()
