"""Whether the address of an object store can be reached: its name, its port, its certificate, any answer.

What goes wrong here is the same for all object stores, and none of their libraries says it plainly
(object-stores.md, section 2): each fault has a code and a remedy of its own. Every step has its own time
limit, so that a store that hangs is told in seconds.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import queue
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msrctl.transfer import tls_faults
from msrctl.transfer.endpoint import PORTS, Fault, Setting, context, proxy_for

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Setting", "check_endpoint", "context", "proxy_for"]

JSON = dict[str, Any]
SECONDS = 3.0
"""Limit of one step."""
STEPS = 2.5
"""The whole check ends within so many of these limits, and a second look of two thirds of one."""
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN}


def check_endpoint(
    url: str,
    *,
    root_ca: str = "",
    skip_verify: bool = False,
    setting: Setting | None = None,
    seconds: float = SECONDS,
) -> Iterator[JSON]:
    """Resolves, connects, shakes hands and asks for anything; the first failure ends it.

    Arguments:
        url: ``http://host[:port]`` or ``https://...``; a path is ignored.
        root_ca: a CA to trust beside the system's, PEM; "" for none.
        skip_verify: take any certificate.
        setting: names of the keys for the remedies.
        seconds: limit of each step.

    Returns:
        A check for each step: title, ok, detail, and for a failure code and hint. Codes: PRE-STORE-NAME,
        -REFUSED, -UNREACHABLE, -TIMEOUT, -PROXY, -CLOSED, -NOT-HTTP, and those of TLS: PRE-STORE-TLS-PLAIN
        (http on the port), -HTTPS (https on the port), -CA, -EXPIRED, -EARLY, -NAME, -OTHER.
    """
    target = _Target.of(url, root_ca, setting or Setting(), seconds, skip_verify=skip_verify)
    try:
        yield from target.check()
    except Fault as fault:
        yield fault.check


@dataclass(frozen=True)
class _Target:
    scheme: str
    host: str
    port: int
    proxy: tuple[str, int] | None
    root_ca: str
    skip_verify: bool
    setting: Setting
    seconds: float
    deadline: float

    @classmethod
    def of(cls, url: str, root_ca: str, setting: Setting, seconds: float, *, skip_verify: bool) -> _Target:
        parts = urlsplit(url)
        host, scheme = parts.hostname or "", parts.scheme
        port = parts.port or PORTS[scheme]
        deadline = time.monotonic() + STEPS * seconds
        return cls(scheme, host, port, proxy_for(url), root_ca, skip_verify, setting, seconds, deadline)

    @property
    def left(self) -> float:
        """Seconds that the next step may take."""
        return max(0.1, min(self.seconds, self.deadline - time.monotonic()))

    @property
    def where(self) -> str:
        """For example ``s3.example.com:9000``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def in_address(self) -> str:
        """Where the address stands, for remedies."""
        return f" in {self.setting.address}" if self.setting.address else ""

    def check(self) -> Iterator[JSON]:
        host, port = self.proxy or (self.host, self.port)
        addresses = self._resolve(host, port)
        yield _good(f"resolve {host}", ", ".join(sorted({address[4][0] for address in addresses})))
        connection = self._connect(host, port, addresses)
        with connection:
            if self.proxy and self.scheme == "https":
                self._tunnel(connection)
            through = f"through the proxy {host}:{port}" if self.proxy else ""
            yield _good(f"connect to {self.where}", through)
            if self.scheme == "https":
                with self._shake_hands(connection) as secured:
                    yield _good(f"TLS of {self.where}", self._version(secured))
                    secured.settimeout(self.left)
                    yield self._ask(secured)
            else:
                yield self._ask(connection)

    def _version(self, secured: ssl.SSLSocket) -> str:
        return f"{secured.version()}{', not verified' if self.skip_verify else ''}"

    def _resolve(self, host: str, port: int) -> list[Any]:
        title = f"resolve {host}"
        # The system's resolver has no time limit of its own that could be set; its thread is left behind.
        answers: queue.Queue[list[Any] | OSError] = queue.Queue()

        def ask() -> None:
            try:
                answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(str(error)))

        threading.Thread(target=ask, daemon=True).start()
        hint = f"Check the name{self.in_address}, and the name servers and /etc/hosts of that node."
        if self.proxy:
            hint = "Check the name of the proxy (--http-proxy, --https-proxy)."
        try:
            answer = answers.get(timeout=self.left)
        except queue.Empty:
            detail = f"no answer from the name servers for {host} in {self.seconds:g} s"
            raise Fault(title, "PRE-STORE-NAME", detail, hint) from None
        if isinstance(answer, OSError):
            detail = f"{host}: {(answer.strerror or str(answer)).lower()}"
            raise Fault(title, "PRE-STORE-NAME", detail, hint)
        return answer

    def _connect(self, host: str, port: int, addresses: list[Any]) -> socket.socket:
        trouble: OSError = OSError("no address")
        # Each address gets its share of the time: a name with two of which one is dead must not take twice.
        for family, kind, protocol, _, address in addresses:
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(self.left / len(addresses))
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                trouble = error
            else:
                connection.settimeout(self.left)
                return connection
        raise self._no_connection(trouble, f"{host}:{port}") from None

    def _no_connection(self, error: OSError, where: str) -> Fault:
        title = f"connect to {where}"
        if isinstance(error, ConnectionRefusedError):
            return Fault(
                title,
                "PRE-STORE-REFUSED",
                f"{where}: connection refused",
                f"Start the store, or correct the port{self.in_address}: nothing listens there.",
            )
        if isinstance(error, TimeoutError):
            return self._timed_out(title, f"{where}: no connection in {self.seconds:g} s")
        return Fault(
            title,
            "PRE-STORE-UNREACHABLE" if error.errno in UNREACHABLE else "PRE-STORE-OTHER",
            f"{where}: {(error.strerror or str(error)).lower()}",
            f"Check the address{self.in_address}, and the route and the firewall between that node and it.",
        )

    def _timed_out(self, title: str, detail: str) -> Fault:
        return Fault(
            title,
            "PRE-STORE-TIMEOUT",
            detail,
            f"See whether the store at {self.where} is up and not overloaded, and whether a firewall between "
            "that node and it drops packets.",
        )

    def _tunnel(self, connection: socket.socket) -> None:
        """Asks the proxy for a connection to the store, as an https client does."""
        title = f"connect to {self.where}"
        hint = "Let the proxy through to the store, or name the store in --no-proxy."
        try:
            connection.sendall(f"CONNECT {self.where} HTTP/1.1\r\nHost: {self.where}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(connection, method="CONNECT")
            answer.begin()
        except (OSError, http.client.HTTPException) as error:
            detail = f"the proxy gave no answer: {error}"
            raise Fault(title, "PRE-STORE-PROXY", detail, hint) from None
        if answer.status != 200:
            detail = f"the proxy refused: {answer.status} {answer.reason}"
            raise Fault(title, "PRE-STORE-PROXY", detail, hint)

    def _shake_hands(self, connection: socket.socket) -> ssl.SSLSocket:
        title = f"TLS of {self.where}"
        try:
            return context(self.root_ca, skip_verify=self.skip_verify).wrap_socket(
                connection, server_hostname=self.host
            )
        except ssl.SSLCertVerificationError as error:
            code, detail, hint = tls_faults.explain(
                error, self._certificate(), self.setting, self.where, given=bool(self.root_ca)
            )
            raise Fault(title, code, detail, hint) from None
        except (OSError, ValueError) as error:
            if not self.proxy and self._speaks_http():
                raise Fault(
                    title,
                    "PRE-STORE-TLS-PLAIN",
                    f"{self.where} answers in plain http, not https",
                    f"Write http://{self.where}{self.in_address} (nothing is encrypted then), or the port "
                    "on which the store serves https.",
                ) from None
            if isinstance(error, TimeoutError):
                raise self._timed_out(title, f"{self.where} accepts, but gives no answer to TLS") from None
            reason = getattr(error, "reason", None) or error.__class__.__name__
            raise Fault(
                title,
                "PRE-STORE-TLS-OTHER",
                f"{self.where}: TLS failed: {str(reason).replace('_', ' ').lower()}",
                "Check that the store serves https on that port, with TLS 1.2 or newer.",
            ) from None

    def _certificate(self) -> bytes | None:
        """The server's certificate (DER), whoever it is from."""
        with contextlib.suppress(OSError, ValueError), self._anew() as secured:
            return secured.getpeercert(binary_form=True)
        return None

    def _anew(self) -> ssl.SSLSocket:
        connection = socket.create_connection((self.host, self.port), timeout=self.seconds / 3)
        try:
            return context("", skip_verify=True).wrap_socket(connection, server_hostname=self.host)
        except BaseException:
            connection.close()
            raise

    def _speaks_http(self) -> bool:
        """Whether a second connection gets an answer to plain http."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.host, self.port), timeout=self.seconds / 3) as connection,
        ):
            connection.sendall(self._request())
            return connection.recv(16).startswith(b"HTTP/")
        return False

    def _request(self) -> bytes:
        return f"HEAD / HTTP/1.1\r\nHost: {self.where}\r\nConnection: close\r\n\r\n".encode()

    def _ask(self, connection: socket.socket) -> JSON:
        """Any answer in http will do: who asked is not told yet."""
        title = f"answer of {self.where}"
        began = time.monotonic()
        try:
            connection.sendall(self._request())
            answer = connection.recv(4096)
        except TimeoutError:
            raise self._timed_out(title, f"{self.where} accepts, but gives no answer in time") from None
        except OSError as error:
            self._refuse_https(title)
            answer = b""
            reason = (error.strerror or str(error)).lower()
        else:
            reason = "it closed the connection without an answer"
        took = f"{(time.monotonic() - began) * 1000:.0f} ms"
        status = answer.split(b"\r\n", 1)[0].decode("latin-1")
        if status.startswith("HTTP/") and " 400" not in status:
            return _good(title, took)
        self._refuse_https(title)
        if status.startswith("HTTP/"):
            return _good(title, took)
        raise Fault(
            title,
            "PRE-STORE-NOT-HTTP" if answer else "PRE-STORE-CLOSED",
            f"{self.where}: what it answers is not http" if answer else f"{self.where}: {reason}",
            f"Check the host and the port{self.in_address}: something else than the store serves there.",
        )

    def _refuse_https(self, title: str) -> None:
        """Servers of https answer plain http with 400 or not at all."""
        if self.scheme == "https" or self.proxy:
            return
        with contextlib.suppress(OSError, ValueError), self._anew():
            raise Fault(
                title,
                "PRE-STORE-TLS-HTTPS",
                f"{self.where} serves https, and was asked in plain http",
                f"Write https://{self.where}{self.in_address}.",
            )


def _good(title: str, detail: str) -> JSON:
    return {"title": title, "ok": True, "detail": detail}
