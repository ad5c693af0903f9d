"""What is tried in a Swift store before anything changes, and what each failure means.

The registry itself ends with a panic that names none of these (object-stores.md, section 2).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from msrctl.transfer.endpoint_check import Setting, check_endpoint
from msrctl.transfer.store import StoreError
from msrctl.transfer.swift import SwiftStore
from msrctl.transfer.swift_auth import AuthFault
from msrctl.transfer.swift_client import SwiftClient

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    import requests

    from msrctl.secret import Secret

JSON = dict[str, Any]
SECONDS = 3.0
"""Limit of one step."""
BYTES = 4096
QUOTA = {413, 507}


def probe(
    parameters: Mapping[str, Any],
    secrets: Mapping[str, Secret],
    root_ca: str = "",
    words: str = "",
    *,
    seconds: float = SECONDS,
) -> Iterator[JSON]:
    """Logs in, lists, writes, reads and deletes an object under the root; the first failure ends it.

    A container that is not there is made, as the registry does, and taken away again.

    Arguments:
        parameters: as in schemas/storage-swift.json.
        secrets: values of the secret parameters.
        root_ca: a CA to trust beside the system's, PEM; "" for none.
        words: the store in words.
        seconds: limit of each step.

    Returns:
        As `Store.probe`; codes PRE-SWIFT-* and those of `check_endpoint`.
    """
    client = SwiftClient(parameters, secrets, root_ca, words, retries=0, connect=seconds, read=seconds)
    skip_verify = bool(parameters.get("insecureskipverify"))
    setting = Setting(address="authurl", skip_verify="insecureskipverify")
    trust: JSON = {"root_ca": root_ca, "skip_verify": skip_verify, "seconds": seconds}
    for check in check_endpoint(client.login.url, setting=setting, **trust):
        yield check
        if not check["ok"]:
            return
    title = f"log in as {client.login.user}"
    try:
        url = client.access().url
    except AuthFault as fault:
        yield _bad(title, fault.code, fault.detail, fault.hint)
        return
    yield _good(title, f"version {client.login.version}, the objects are at {url}")
    if urlsplit(url)[:2] != urlsplit(client.login.url)[:2]:
        # The catalogue's address is often one that only OpenStack's own machines know.
        setting = Setting(address="", skip_verify="insecureskipverify")
        for check in check_endpoint(url, setting=setting, **trust):
            yield check if check["ok"] else _of_the_catalogue(check, url)
            if not check["ok"]:
                return
    yield from _Trial(client, SwiftStore(parameters, secrets, root_ca, words)).run()


def _of_the_catalogue(check: JSON, url: str) -> JSON:
    hint = f"{check['hint']} The address {url} comes from the store's own catalogue: see endpointtype, too."
    return check | {"hint": hint}


class _Trial:
    """The container, and one object in it."""

    def __init__(self, client: SwiftClient, store: SwiftStore) -> None:
        self._client = client
        self._where = f"container {client.container}"
        self._name = store.name(f".msrctl-probe-{uuid4().hex}")
        self._listed = store.name("")

    def run(self) -> Iterator[JSON]:
        """The checks."""
        try:
            made = yield from self._container()
        except StoreError as error:
            yield _no_answer(self._where, error)
            return
        if made is None:
            return
        title = "write, read back, delete"
        began = time.monotonic()
        try:
            failure = self._write_read_delete(title)
        except StoreError as error:
            failure = _no_answer(title, error)
        if made and (failure is None or failure["code"] != "PRE-SWIFT-DELETE"):
            self._unmake()
        yield failure or _good(title, f"{(time.monotonic() - began) * 1000:.0f} ms")

    def _container(self) -> Generator[JSON, None, bool | None]:
        """Returns whether it was made here; None: it is of no use."""
        title = f"list the {self._where}"
        answer = self._client.send("GET", params={"format": "json", "limit": "1", "prefix": self._listed})
        if answer.status_code == 404:
            made = self._client.make_container()
            if not made.ok:
                yield self._denied(
                    f"make the {self._where}",
                    made,
                    "PRE-SWIFT-CONTAINER",
                    f"it is not there, and {self._client.login.user} may not make it",
                    "Create the container and let the user write there, or correct its name.",
                )
                return None
            yield _good(title, "it is not there yet: the registry will make it, as this probe could")
            return True
        if not answer.ok:
            yield self._denied(
                title,
                answer,
                "PRE-SWIFT-LIST",
                f"{self._client.login.user} may not list it",
                "Give the user a role that Swift takes for the account (operator_roles, such as "
                "swiftoperator), or an ACL to read and list the container.",
            )
            return None
        yield _good(title, "")
        return False

    def _write_read_delete(self, title: str) -> JSON | None:
        data, user = os.urandom(BYTES), self._client.login.user
        answer = self._client.send("PUT", self._name, data=data)
        if not answer.ok:
            words, hint = f"{user} may not write there", "Give the user the right to write to the container."
            return self._denied(title, answer, "PRE-SWIFT-WRITE", words, hint)
        answer = self._client.send("GET", self._name, headers={"X-Newest": "true"})
        failure = None
        if not answer.ok:
            words, hint = (
                f"{user} may not read there",
                "Give the user the right to read the container (.r, .rlistings).",
            )
            failure = self._denied(title, answer, "PRE-SWIFT-READ", words, hint)
        elif answer.content != data:
            hint = "See whether a proxy or a gateway in between changes what is stored."
            failure = _bad(
                title, "PRE-SWIFT-DATA", f"{self._where}: what was written is not what is read", hint
            )
        answer = self._client.send("DELETE", self._name)
        if failure is None and not answer.ok:
            words = f"{user} may not delete there; {self._name} is left in it"
            hint = "Give the user the right to delete: a registry replaces and deletes."
            failure = self._denied(title, answer, "PRE-SWIFT-DELETE", words, hint)
        return failure

    def _unmake(self) -> None:
        """Takes the container away again; one that somebody has put something into by now stays."""
        try:
            self._client.send("DELETE")
        except StoreError:
            return

    def _denied(self, title: str, answer: requests.Response, code: str, words: str, hint: str) -> JSON:
        status = f"{answer.status_code} {answer.reason}"
        if answer.status_code in {401, 403}:
            return _bad(title, code, f"{self._where}: {words} ({status})", hint)
        if answer.status_code in QUOTA:
            remedy = "Raise the quota of the account or the container, or make room."
            return _bad(title, "PRE-SWIFT-QUOTA", f"{self._where}: there is no room left ({status})", remedy)
        remedy = "See whether the store is in order, and what its log says."
        return _bad(title, "PRE-SWIFT-OTHER", f"{self._where}: the store answers {status}", remedy)


def _no_answer(title: str, error: StoreError) -> JSON:
    hint = "See whether the store is up and not overloaded, and what is between that node and it."
    return _bad(title, "PRE-SWIFT-NO-ANSWER", str(error), hint)


def _good(title: str, detail: str) -> JSON:
    return {"title": title, "ok": True, "detail": detail}


def _bad(title: str, code: str, detail: str, hint: str) -> JSON:
    return {"title": title, "ok": False, "detail": detail, "code": code, "hint": hint}
