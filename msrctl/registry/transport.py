"""HTTP to a registry at an address of our choice, and what went wrong on the way in words.

Only `msrctl.registry.client` imports this, and only when a client is made: it needs `requests`.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, ReadTimeoutError

from msrctl.errors import MsrctlError, Unreachable, UsageFault, VerifyFailed
from msrctl.registry.answers import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.connectionpool import HTTPConnectionPool

    from msrctl.secret import Secret

# X509_V_ERR_*: from OpenSSL's x509_vfy.h.
_WRONG_NAME = {62, 64}
_WRONG_DATE = {9, 10}
# What asking may raise: beside its own errors `requests` lets some of urllib3 and of URL parsing through.
_FAILURES = (requests.RequestException, HTTPError, ValueError)
_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}


def trust(ca: str | None) -> ssl.SSLContext:
    """What a client believes: these authorities only, or the system's.

    As Docker's clients do, it takes any given certificate as an anchor, also one that is no root, and does
    not insist on what RFC 5280 asks of authorities beyond their signature.

    Arguments:
        ca: the authorities, PEM; None: the system's.

    Raises:
        UsageFault: there is no usable certificate in it.
    """
    try:
        if ca == "":
            raise ValueError  # the library would take it for "the system's"  # noqa: TRY301
        context = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise UsageFault(
            "the authority given for the registry is not a PEM certificate", code="REGISTRY-CA"
        ) from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class DirectedAdapter(HTTPAdapter):
    """Connects requests for one host to an address, and leaves SNI, Host header and certificate check alone.

    Arguments:
        context: what to trust.
        host: the host whose requests go elsewhere.
        port: its port; other ports of the host (a redirect from http to https) keep their number.
        connect_to: the address and port to connect to; None: as the URL says.
    """

    def __init__(
        self, context: ssl.SSLContext, *, host: str, port: int, connect_to: tuple[str, int] | None
    ) -> None:
        self._context = context
        self._host = host
        self._port = port
        self._connect_to = connect_to
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Give every connection our trust."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: the context decides. The original would add the public authorities of certifi."""

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,  # noqa: ARG002, FBT001
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
        cert: tuple[str, str] | str | None = None,  # noqa: ARG002
    ) -> HTTPConnectionPool:
        """Connect to the directed address, or to what the URL says."""
        scheme, host, port = origin_of(request.url or "")
        address = (host, port)
        if self._connect_to is not None and host == self._host:
            address = (self._connect_to[0], self._connect_to[1] if port == self._port else port)
        names = {"server_hostname": host} if scheme == "https" else {}
        pool: HTTPConnectionPool = self.poolmanager.connection_from_host(
            address[0], address[1], scheme=scheme, pool_kwargs=names
        )
        return pool

    def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
        """Name the URL's host, not the address; also after a redirect, which copies the headers."""
        request.headers["Host"] = urlsplit(request.url or "").netloc


class Connection:
    """Asks one registry; see `msrctl.registry.client.Registry` for the arguments and errors."""

    def __init__(
        self,
        url: str,
        *,
        ca: str | None,
        auth: tuple[str, Secret] | None,
        timeout: float,
        connect_to: tuple[str, int] | None,
    ) -> None:
        self.url, (_, host, port) = _checked(url)
        self._auth = auth
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Accept-Encoding"] = "identity"
        adapter = DirectedAdapter(trust(ca), host=host, port=port, connect_to=connect_to)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    @property
    def anonymous(self) -> bool:
        """Whether it asks without a user."""
        return self._auth is None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        stream: bool = False,
        may_refuse: bool = False,
    ) -> requests.Response:
        """Ask, follow redirects, and map what goes wrong.

        Arguments:
            method: GET, PUT, POST, DELETE.
            path: below the registry, or an absolute URL.
            headers: further headers.
            data: the body.
            stream: leave the body of a good answer to be read by `next_piece`.
            may_refuse: 401 is an answer, no error.

        Raises:
            Unreachable: it cannot be asked.
            VerifyFailed: it does not accept the user, or redirects in a circle.
        """
        url = urljoin(self.url, path)
        fault: MsrctlError
        try:
            answer = self._session.request(
                method,
                url,
                headers=headers,
                data=data,
                auth=self._credentials(url),
                timeout=self._timeout,
                stream=True,
            )
            if not (stream and answer.ok):
                _ = answer.content  # reads all of it, and gives the connection back
        except _FAILURES as error:
            fault = fault_of(error, url)
        else:
            if answer.status_code == 401 and not may_refuse:
                raise self._refused()
            return answer
        # Outside of the except block: the error that was caught holds the request, and so the password.
        raise fault

    def next_piece(self, pieces: Iterator[bytes]) -> bytes:
        """The next piece of a body; empty at its end.

        Raises:
            Unreachable: the body ended early or does not go on.
        """
        fault: MsrctlError
        try:
            return next(pieces, b"")
        except _FAILURES as error:
            fault = fault_of(error, self.url)
        raise fault

    def _credentials(self, url: str) -> HTTPBasicAuth | None:
        # The rule of `requests` for redirects: the same host, and no step back from https.
        foreign: bool = self._session.should_strip_auth(self.url, url)  # type: ignore[no-untyped-call]
        if self._auth is None or foreign:
            return None
        # As bytes: `requests` would encode text as Latin-1, and clients send UTF-8.
        return HTTPBasicAuth(self._auth[0].encode(), self._auth[1].reveal())

    def _refused(self) -> VerifyFailed:
        user = f"user {self._auth[0]}" if self._auth else "requests without a user"
        return VerifyFailed(
            f"{self.url} does not accept {user} (401)",
            code="AUTH",
            hint="Check user and password." if self._auth else "Give a user and a password.",
        )


def _checked(url: str) -> tuple[str, tuple[str, str, int]]:
    try:
        parts, origin = urlsplit(url), origin_of(url)
    except ValueError:
        parts, origin = urlsplit(""), ("", "", 0)
    # A user in the URL would show in every message.
    if origin[0] not in {"http", "https"} or not origin[1] or parts.username is not None:
        raise UsageFault("a registry's URL is http(s)://HOST[:PORT], without user", code="REGISTRY-URL")
    return f"{parts.scheme}://{parts.netloc}", origin


def fault_of(error: Exception, url: str) -> MsrctlError:
    """Which error a failed request is for the operator.

    The result is to be raised outside of the except block: `error` holds the request, and so the password.

    Arguments:
        error: one of `_FAILURES`.
        url: what was asked, for the text.
    """
    place = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    if isinstance(error, requests.TooManyRedirects):
        return VerifyFailed(f"{place} redirects in a circle", code="REGISTRY-REDIRECT")
    code, text, hint = _reason(list(_causes(error)))
    return Unreachable(f"{place} {text}", code=f"REGISTRY-{code}", hint=hint)


def _reason(causes: list[BaseException]) -> tuple[str, str, str | None]:
    for cause in causes:
        found = _tls_reason(cause) or _network_reason(cause)
        if found:
            return found
    return "FAILED", f"cannot be asked: {type(causes[0]).__name__}", None


def _network_reason(cause: BaseException) -> tuple[str, str, str | None] | None:
    if isinstance(cause, socket.gaierror | NameResolutionError):
        return "NAME", "cannot be resolved", "Check the name, and the DNS of this machine."
    if isinstance(cause, ConnectionRefusedError):
        return "REFUSED", "refuses the connection", "Check the port, and that the registry runs."
    if isinstance(cause, TimeoutError | ConnectTimeoutError | ReadTimeoutError | requests.Timeout):
        return "TIMEOUT", "does not answer in time", "Check the address, and firewalls in between."
    if isinstance(cause, OSError) and cause.errno in _NO_ROUTE:
        return "ROUTE", "cannot be reached: no route to it", "Check the address and the network."
    if isinstance(cause, requests.exceptions.ChunkedEncodingError | ConnectionResetError | BrokenPipeError):
        return (
            "CLOSED",
            "closed the connection in the middle",
            "Look at the logs of the registry and its proxy.",
        )
    return None


def _tls_reason(cause: BaseException) -> tuple[str, str, str | None] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in _WRONG_NAME:
            return (
                "TLS-NAME",
                "has a certificate for other names",
                "Use one of its names, or another certificate.",
            )
        if cause.verify_code in _WRONG_DATE:
            return "TLS-DATE", f"has a certificate that is not valid now: {cause.verify_message}", "Renew it."
        return (
            "TLS-CA",
            f"has a certificate of an unknown authority: {cause.verify_message}",
            "Trust the authority of this certificate.",
        )
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return (
            "CLOSED",
            "closed the connection in the middle",
            "Look at the logs of the registry and its proxy.",
        )
    if isinstance(cause, ssl.SSLError):
        return "TLS", f"does not speak TLS as expected: {cause.reason or 'unknown'}", "Check the port."
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The innermost causes first: libraries wrap each other's errors, in arguments as well."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if any(current is each for each in seen):
            continue
        seen.append(current)
        inner = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting += [each for each in inner if isinstance(each, BaseException)]
    return reversed(seen)
