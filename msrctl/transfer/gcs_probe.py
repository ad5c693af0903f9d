"""What is tried in a GCS bucket before anything changes, and what each failure means.

The registry itself starts with any credentials and any bucket, and answers every push with 500
(object-stores.md, section 2).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, RefreshError
from requests import RequestException

from msrctl.transfer.endpoint_check import Setting, check_endpoint
from msrctl.transfer.gcs import CONTENT_TYPE, GcsStore, lacks_bucket, reason_of
from msrctl.transfer.store import StoreError
from msrctl.transfer.web import network_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from msrctl.secret import Secret

JSON = dict[str, Any]
ENDPOINT = "https://storage.googleapis.com"
SECONDS = 3.0
"""Limit of one request."""
BYTES = 4096


def probe(
    parameters: Mapping[str, Any],
    secrets: Mapping[str, Secret],
    root_ca: str | None = None,
    words: str = "",
    *,
    seconds: float = SECONDS,
) -> Iterator[JSON]:
    """Reaches Google, gets a token, lists, writes, reads and deletes an object under the root.

    A missing right does not end it, so that all that are missing are named at once; everything else does.

    Arguments:
        parameters: as in schemas/storage-gcs.json.
        secrets: ``keyfile`` or nothing.
        root_ca: a CA to trust beside the system's, PEM.
        words: the store in words.
        seconds: limit of each step.

    Returns:
        As `Store.probe`; codes PRE-GCS-* and those of `check_endpoint`.
    """
    store = GcsStore(parameters, secrets, root_ca, words, retry_seconds=0, connect=seconds, read=seconds)
    try:
        key = store.key() or {}
    except StoreError as error:
        yield _no_credentials(error, store)
        return
    for check in check_endpoint(
        ENDPOINT, root_ca=store.root_ca, setting=Setting(address=""), seconds=seconds
    ):
        yield check
        if not check["ok"]:
            return
    try:
        bucket = store.bucket
    except StoreError as error:
        yield _no_credentials(error, store)
        return
    yield from _Trial(store, bucket, key.get("client_email", "the node's account")).checks()


class _Trial:
    """The requests, one after the other."""

    def __init__(self, store: GcsStore, bucket: Any, account: str) -> None:
        self._bucket = bucket
        self._name = store.bucket_name
        self._account = account
        self._object = bucket.blob(store.name(f"msrctl-probe-{uuid4().hex}"))
        self._data = os.urandom(BYTES)

    def checks(self) -> Iterator[JSON]:
        began = time.monotonic()
        yield (token := self._try("get a token", "", self._token))
        if not token["ok"]:
            return
        written = False
        for title, right, step in self._steps():
            if title in {"read it back", "delete it"} and not written:
                return
            check = self._try(title, right, step)
            if title == "write an object":
                written = check["ok"]
            if title == "delete it":
                rest = f"; {self._object.name} is left in the bucket"
                took = f"{(time.monotonic() - began) * 1000:.0f} ms"
                check["detail"] = took if check["ok"] else check["detail"] + rest
            yield check
            if not check["ok"] and check["code"] not in RIGHTS.values():
                if written and title != "delete it":
                    self._try("delete it", "", lambda: self._object.delete(retry=None))
                return

    def _steps(self) -> list[tuple[str, str, Callable[[], Any]]]:
        return [
            (f"list the bucket {self._name}", "storage.objects.list", self._list),
            ("write an object", "storage.objects.create", self._write),
            ("read it back", "storage.objects.get", self._read),
            ("delete it", "storage.objects.delete", lambda: self._object.delete(retry=None)),
        ]

    def _token(self) -> None:
        session = self._bucket.client._http  # noqa: SLF001 - the library offers no other way
        session.credentials.refresh(session._auth_request)  # noqa: SLF001

    def _list(self) -> None:
        next(iter(self._bucket.list_blobs(max_results=1, retry=None)), None)

    def _write(self) -> None:
        self._object.upload_from_string(self._data, content_type=CONTENT_TYPE, checksum="crc32c", retry=None)

    def _read(self) -> None:
        # By its name, as the registry asks for it, and not by the address in the answer to the write.
        there = self._bucket.blob(self._object.name)
        if there.download_as_bytes(raw_download=True, retry=None) != self._data:
            raise StoreError("what was written is not what is read")

    def _try(self, title: str, right: str, step: Callable[[], Any]) -> JSON:
        try:
            step()
        except GoogleAPICallError as error:
            code, detail, hint = self._refusal(error, right)
        except RefreshError as error:
            code, detail, hint = self._no_token(error)
        except StoreError as error:
            code, detail = "PRE-GCS-DATA", str(error)
            hint = "See whether a proxy or a gateway in between changes what is stored."
        except (GoogleAuthError, RequestException, OSError) as error:
            code, detail = "PRE-GCS-NO-ANSWER", f"googleapis.com: {network_fault(error)[1]}"
            hint = "See what stands between that node and googleapis.com: proxy, firewall, certificate."
        else:
            return {"title": title, "ok": True, "detail": ""}
        return {"title": title, "ok": False, "detail": detail, "code": code, "hint": hint}

    def _no_token(self, error: Any) -> tuple[str, str, str]:
        said = error.args[0] if error.args else "refused"
        hint = "Make a new key for that service account: this one was deleted, or the account is disabled"
        hint += ". The node's clock must be right."
        return "PRE-GCS-TOKEN", f"{self._account}: no token: {said}", hint

    def _refusal(self, error: Any, right: str) -> tuple[str, str, str]:
        said = f"bucket {self._name}: {reason_of(error)}"
        if error.code == 403 and right and "billing" not in said.lower():
            hint = (
                f"Give {self._account} the right {right} on the bucket (role Storage Object Admin has all)."
            )
            return RIGHTS[right], f"{right} is missing: {said}", hint
        if error.code == 404 and not lacks_bucket(error) and right.endswith((".get", ".delete")):
            hint = "See whether a rule of the bucket deletes new objects at once."
            return "PRE-GCS-DATA", f"what was written is not there: {said}", hint
        other = ("PRE-GCS-OTHER", "See what Google's documentation says of that answer.")
        code, hint = ANSWERS.get(error.code, other)
        return code, f"{said} ({error.code})", hint


ANSWERS = {
    400: ("PRE-GCS-BUCKET-NAME", "Correct bucket: Google takes no bucket of that name."),
    401: ("PRE-GCS-CREDENTIALS", "Make a new key for the service account."),
    403: ("PRE-GCS-BILLING", "Enable billing for the bucket's project."),
    404: ("PRE-GCS-BUCKET", "Create the bucket, or correct bucket: the registry does not make it."),
}
RIGHTS = {
    f"storage.objects.{verb}": f"PRE-GCS-{verb.upper()}" for verb in ("list", "create", "get", "delete")
}


def _no_credentials(error: StoreError, store: GcsStore) -> JSON:
    bad = error.code == "STORE-KEYFILE"
    return {
        "title": "credentials",
        "ok": False,
        "detail": str(error).removeprefix(f"{store.words}: "),
        "code": "PRE-GCS-KEYFILE" if bad else "PRE-GCS-CREDENTIALS",
        "hint": "Download the service account's key as JSON, whole, and name that file in keyfile."
        if bad
        else "Name a service account's key in keyfile, or run on a machine that has a service account.",
    }
