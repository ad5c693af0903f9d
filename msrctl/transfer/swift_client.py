"""Requests to OpenStack Swift: a token that is renewed, what failed is tried again, answers become words.

By plain `requests`: python-swiftclient cannot be told which CA to trust beside the system's, is not made for
several threads, and tries failed requests again in its own way. What would be left of it are four verbs.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from msrctl.transfer import web
from msrctl.transfer.store import StoreError
from msrctl.transfer.swift_auth import Access, AuthFault, Login

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from msrctl.secret import Secret

AGAIN = frozenset({408, 429, 498, 500, 502, 503, 504})
"""Statuses after which the same request may well succeed."""
DENIED = {401, 403}
PAGE = 10_000
"""Names asked for at once; a store may give less."""
FIRST_WAIT = 0.5
"""Seconds before the second try; each further one waits twice as long."""


class SwiftClient:
    """One container.

    Arguments:
        parameters: as in schemas/storage-swift.json.
        secrets: values of the secret parameters.
        root_ca: a CA to trust beside the system's, PEM; "" for none.
        words: the store in words.
        retries: how often a request is tried again.
        connect: limit of a connection, seconds.
        read: limit of waiting for the next bytes, seconds.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        secrets: Mapping[str, Secret],
        root_ca: str,
        words: str,
        *,
        retries: int,
        connect: float,
        read: float,
    ) -> None:
        self.container = str(parameters["container"])
        self._words = words
        self._retries = retries
        skip_verify = bool(parameters.get("insecureskipverify"))
        self._session = web.session(root_ca, skip_verify=skip_verify, connect=connect, read=read)
        self.login = Login(parameters, secrets["password"], self._session)
        self._lock = threading.Lock()
        self._access: Access | None = None

    def access(self, old: Access | None = None) -> Access:
        """Storage URL and token.

        Arguments:
            old: one that is not taken any more.

        Raises:
            AuthFault: there is none to be had.
        """
        with self._lock:
            if self._access is None or self._access is old:
                self._access = self.login.access()
            return self._access

    def send(
        self,
        method: str,
        name: str = "",
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        stream: bool = False,
        again: bool = True,
    ) -> requests.Response:
        """A request to the container or to an object in it; any answer but a passing failure is returned.

        Arguments:
            name: the object's; "" for the container.
            params: the query.
            headers: beside the token.
            data: the body.
            stream: leave the answer's body to be read.
            again: whether it may be sent a second time: not so when its body can be read only once.

        Raises:
            StoreError: no answer, or no token.
        """
        access, left = self._token(), self._retries if again else 0
        wait, renewed = FIRST_WAIT, not again
        while True:
            answer: requests.Response | None = None
            try:
                answer = self._once(access, method, name, params, headers, data, stream=stream)
            except requests.RequestException as error:
                if not left:
                    code, reason = web.network_fault(error)
                    raise StoreError(f"{self._words}: {_what(method, name)}: {reason}", code) from None
            if answer is not None:
                if answer.status_code == 401 and not renewed:
                    answer.close()
                    access, renewed = self._token(access), True
                    continue
                if answer.status_code not in AGAIN or not left:
                    return answer
                answer.close()
            left -= 1
            time.sleep(wait)
            wait *= 2

    def _once(
        self,
        access: Access,
        method: str,
        name: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        data: Any,
        *,
        stream: bool,
    ) -> requests.Response:
        path = "/".join(quote(part, safe="/") for part in (self.container, name) if part)
        return self._session.request(
            method,
            f"{access.url}/{path}",
            params=params,
            headers={"X-Auth-Token": access.token.reveal_text(), **(headers or {})},
            data=data,
            stream=stream,
            allow_redirects=False,
        )

    def _token(self, old: Access | None = None) -> Access:
        wait, left = FIRST_WAIT, self._retries
        while True:
            try:
                return self.access(old)
            except AuthFault as fault:
                if fault.store_code == "STORE-DENIED" or not left:
                    raise StoreError(f"{self._words}: {fault.detail}", fault.store_code) from None
            left -= 1
            time.sleep(wait)
            wait *= 2

    def must(self, answer: requests.Response, method: str, name: str = "") -> requests.Response:
        """The answer, if it is a good one.

        Raises:
            StoreError: STORE-DENIED or STORE-ANSWER.
        """
        if answer.status_code < 300:
            return answer
        code = "STORE-DENIED" if answer.status_code in DENIED else "STORE-ANSWER"
        reason = f"{answer.status_code} {answer.reason}"
        raise StoreError(f"{self._words}: {_what(method, name)}: {reason}", code)

    def pages(self, start: str) -> Iterator[list[tuple[str, int]]]:
        """Names that begin so with their sizes, page by page; nothing if there is no container.

        Raises:
            StoreError: as `must`.
        """
        marker = ""
        while True:
            params = {"format": "json", "prefix": start, "marker": marker, "limit": str(PAGE)}
            answer = self.send("GET", params=params)
            if answer.status_code == 404:
                return
            entries = self.must(answer, "GET").json() if answer.status_code != 204 else []
            if not entries:
                return
            yield [(str(entry["name"]), int(entry["bytes"])) for entry in entries if "name" in entry]
            marker = entries[-1]["name"]

    def make_container(self) -> requests.Response:
        """Makes the container, as the registry does; one that is there stays as it is."""
        return self.send("PUT")


def _what(method: str, name: str) -> str:
    verbs = {"GET": "read", "HEAD": "look at", "PUT": "write", "DELETE": "delete"}
    return f"{verbs[method]} {name or 'the container'}"
