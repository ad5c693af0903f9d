"""Sessions of `requests` for stores: the registry's idea of trust, and a time limit on whatever is asked."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

from requests import Response, Session
from requests.adapters import HTTPAdapter

from msrctl.transfer.endpoint_check import context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest

CONNECTIONS = 16
"""Kept open to one host: more than any store has transfers at once."""

# Parts of what requests and urllib3 tell, in the order of trying; codes and words as of the other stores.
_CAUSES = (
    (r"certificate|SSLError|SSL:", "STORE-TLS", "TLS failed"),
    (r"NameResolutionError|Failed to resolve", "STORE-NAME", "its name cannot be resolved"),
    (r"Connection refused", "STORE-REFUSED", "connection refused"),
    (r"timed? ?out|Timeout", "STORE-TIMEOUT", "no answer in time"),
)


def network_fault(error: BaseException) -> tuple[str, str]:
    """Code and words for a request that got no answer.

    Arguments:
        error: of requests, or of a library around it, whose text goes on with its inner state.
    """
    for pattern, code, words in _CAUSES:
        if re.search(pattern, str(error)):
            return code, words
    return "STORE-NETWORK", "connection lost"


def session(root_ca: str, *, skip_verify: bool = False, connect: float, read: float) -> Session:
    """A session as `prepare` makes it."""
    return prepare(Session(), root_ca, skip_verify=skip_verify, connect=connect, read=read)


def prepare(
    made: Session, root_ca: str, *, skip_verify: bool = False, connect: float, read: float
) -> Session:
    """Makes a session trust what the registry trusts, whatever variables for CAs this process has.

    Proxies are taken from the environment, as the registry does.

    Arguments:
        made: a session; it is changed.
        root_ca: a CA to trust beside the system's, PEM; "" for none.
        skip_verify: take any certificate.
        connect: limit of a connection, seconds.
        read: limit of waiting for the next bytes, seconds. Both hold whatever limit a request is made with: a
            library's own are longer, and not all of its requests have one that can be set.
    """
    adapter = _Adapter(context(root_ca, skip_verify=skip_verify), (connect, read))
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    made.auth = _as_it_is
    return made


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    """Keeps a ~/.netrc from replacing the credentials that a library has put into a request."""
    return request


class _Adapter(HTTPAdapter):
    """Sends with one TLS context and one time limit."""

    def __init__(self, trust: ssl.SSLContext, limits: tuple[float, float]) -> None:
        self._trust = trust
        self._limits = limits
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._trust)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=self._trust)

    def cert_verify(self, *_: Any) -> None:
        """Nothing: the context has its authorities; the list that comes with `requests` is not wanted."""

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - as in the base class
        timeout: Any = None,  # noqa: ARG002
        verify: Any = True,  # noqa: ARG002, FBT002
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        checked = self._trust.verify_mode != ssl.CERT_NONE
        return super().send(request, stream, self._limits, checked, cert, proxies)
