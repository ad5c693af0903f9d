"""Ways to an engine that requests does not have by itself: a TLS context of our own, and ssh."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import urllib3
import urllib3.connection
from docker.transport.basehttpadapter import BaseHTTPAdapter
from requests.adapters import HTTPAdapter

from msrctl.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

SSH_CONNECT_SECONDS = 10
FINGERPRINT_SECONDS = 5.0


class TlsContextAdapter(HTTPAdapter):
    """Verifies with a given context only: neither requests' own list of authorities nor the environment's.

    Arguments:
        context: what to trust; with `verify_mode` CERT_NONE nothing is verified.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        if context.verify_mode == ssl.CERT_NONE:
            # Asked for with a flag that says insecure: one more warning per request helps nobody.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Hands the context to the connections (requests' documented way)."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """Keeps requests from loading its own authorities into our context."""
        verified = self._context.verify_mode != ssl.CERT_NONE
        conn.cert_reqs = "CERT_REQUIRED" if verified else "CERT_NONE"
        conn.assert_hostname = None if verified else False
        conn.ca_certs = conn.ca_cert_dir = None


def context_for(ca_pem: str | None, *, insecure: bool = False) -> ssl.SSLContext:
    """A client's TLS context.

    Arguments:
        ca_pem: the only authorities to trust, PEM; None: those of the system.
        insecure: verify nothing.

    Raises:
        ssl.SSLError: `ca_pem` is not PEM.
    """
    context = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def fingerprint_of(host: str, port: int) -> str | None:
    """SHA-256 of the certificate that a server shows, as 32 hex pairs; None if it shows none in time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=FINGERPRINT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            shown = wrapped.getpeercert(binary_form=True)
    except OSError:
        return None
    return hashlib.sha256(shown).digest().hex(":").upper() if shown else None


def ssh_command(url: str) -> list[str]:
    """The command that joins its input and output to the engine of ``ssh://[user@]host[:port]``.

    The same as the docker CLI's, with a bound on connecting. Without a terminal nothing is asked.
    """
    parts = urllib3.util.parse_url(url)
    options = ["-o", f"ConnectTimeout={SSH_CONNECT_SECONDS}", "-T"]
    if not sys.stdin.isatty():
        options += ["-o", "BatchMode=yes"]
    if parts.auth:
        options += ["-l", parts.auth.partition(":")[0]]
    if parts.port:
        options += ["-p", str(parts.port)]
    return ["ssh", *options, "--", parts.host or "", "docker", "system", "dial-stdio"]


def probe_ssh(url: str) -> None:
    """Asks the engine behind ssh for a sign of life, so that what is wrong is said in ssh's own words.

    Raises:
        Unreachable: code NO-ENGINE.
    """
    try:
        ran = subprocess.run(
            ssh_command(url),
            input=b"GET /_ping HTTP/1.0\r\n\r\n",
            capture_output=True,
            timeout=SSH_CONNECT_SECONDS + 5,
            check=False,
        )
        said = "" if b" 200 " in ran.stdout else ran.stderr.decode(errors="replace").strip() or "no answer"
    except FileNotFoundError:
        said = "there is no ssh program here"
    except subprocess.TimeoutExpired:
        said = "it did not answer in time"
    if said:
        raise Unreachable(
            f"no engine answers at {url} ({said.splitlines()[-1]})",
            code="NO-ENGINE",
            hint=f"This must work without a question: {' '.join(ssh_command(url)[:-2])} version",
        )


class _SshConnection(urllib3.connection.HTTPConnection):
    """One ssh process per connection; a pair of sockets is its input and output, so time-outs work."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def connect(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # A session of its own: Ctrl-C is for msrctl, which may need the connection to undo things.
            self._process = subprocess.Popen(
                self._command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.settimeout(SSH_CONNECT_SECONDS * 2 if self.timeout is None else self.timeout)
        self.sock = ours

    def close(self) -> None:
        super().close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


class _SshPool(urllib3.HTTPConnectionPool):
    def __init__(self, command: Sequence[str], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, maxsize=2)
        self._command, self._seconds = command, timeout

    def _new_conn(self) -> _SshConnection:
        return _SshConnection(self._command, self._seconds)


class SshAdapter(BaseHTTPAdapter):
    """Requests through ``ssh HOST docker system dial-stdio``.

    Not the SDK's: that needs paramiko even to run the ssh program, and waits 72 s for a dead host.

    Arguments:
        url: ``ssh://[user@]host[:port]``.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__()
        self._pool = _SshPool(ssh_command(url), timeout)

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """The one pool; requests before 2.32 ask this way, and so does the SDK's base class."""
        return self._pool

    def request_url(self, request: Any, *_: Any) -> str:
        """The path alone: there is no host in what the engine is asked."""
        return str(request.path_url)

    def close(self) -> None:
        """Ends the ssh processes."""
        self._pool.close()
        super().close()
