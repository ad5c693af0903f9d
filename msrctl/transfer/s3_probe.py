"""Tries in an S3 store what the registry will do there, and names what is wrong with its remedy."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msrctl.storage.regions import is_amazon
from msrctl.transfer.endpoint_check import Setting, check_endpoint
from msrctl.transfer.library_errors import server_code
from msrctl.transfer.s3_client import S3Client
from msrctl.transfer.s3_faults import Refusal, explain
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import BaseHTTPResponse

    from msrctl.transfer.s3_settings import S3Settings

JSON = dict[str, Any]
CONNECT_SECONDS, READ_SECONDS = 2.0, 3.0
ENOUGH_SECONDS, LAST_SECONDS = 7.0, 9.0
"""No further request after the first, and the one under way ends by the second."""
PROBE_BYTES = 4096
OPTIONAL = frozenset({"NotImplemented", "MethodNotAllowed"})
"""Answers of compatible stores that lack something that the registry can do without."""


def probe(settings: S3Settings) -> Iterator[JSON]:
    """Endpoint, keys, bucket, then one check for every permission that the registry needs.

    Arguments:
        settings: the store.

    Returns:
        Checks: title, ok, detail, for a failure code and hint. All missing permissions are told; any other
        failure ends it.
    """
    began = time.monotonic()
    for check in check_endpoint(
        settings.base, root_ca=settings.root_ca, skip_verify=settings.skip_verify, setting=_setting(settings)
    ):
        yield check
        if not check["ok"]:
            return
    try:
        client = S3Client(settings, connect=CONNECT_SECONDS, read=READ_SECONDS)
    except StoreError as error:
        yield explain(settings, Refusal("find keys", "", 0, error.code, str(error)))
        return
    yield from _Probe(settings, client, began).run()


def _setting(settings: S3Settings) -> Setting:
    return Setting(address="regionendpoint" if settings.parameters.get("regionendpoint") else "")


class _StopError(Exception):
    """What failed makes further checks useless."""


class _Probe:
    """One run; what fails for want of a permission is noted and the rest goes on."""

    def __init__(self, settings: S3Settings, client: S3Client, began: float) -> None:
        self._settings = settings
        self._client = client
        self._began = began
        self._key = f"{settings.root}.msrctl-probe-{uuid4().hex}"
        self._prefix = {"prefix": settings.root} if settings.root else {}

    def run(self) -> Iterator[JSON]:
        """All checks in the order of trying."""
        try:
            yield self._step(
                "list", "ListBucket", "GET", query={"list-type": "2", "max-keys": "1"} | self._prefix
            )
            yield self._location()
            query = {"uploads": "", "max-uploads": "1"} | self._prefix
            yield self._step("list uploads", "ListBucketMultipartUploads", "GET", query=query)
            yield from self._object()
            yield from self._upload()
        except _StopError as stop:
            yield stop.args[0]

    def _location(self) -> JSON:
        check, answer = self._try("region of the bucket", "GetBucketLocation", "GET", query={"location": ""})
        if answer is None or not is_amazon(self._settings.endpoint):
            return check
        found = re.search(rb"<LocationConstraint[^>]*>([^<]+)<", answer.data)
        region = {"": "us-east-1", "EU": "eu-west-1"}.get(found[1].decode() if found else "")
        region = region or (found[1].decode() if found else "")
        if region == self._settings.region:
            return {**check, "detail": region}
        refusal = Refusal("region of the bucket", "", 301, "PermanentRedirect", "", region)
        raise _StopError(explain(self._settings, refusal))

    def _object(self) -> Iterator[JSON]:
        """Put, read back, delete."""
        data, headers = os.urandom(PROBE_BYTES), self._settings.new_object()
        check, answer = self._try("write", "PutObject", "PUT", self._key, body=data, headers=headers)
        if answer is None:
            # The registry sends a canned ACL, for which Amazon wants a permission of its own.
            bare = {name: value for name, value in headers.items() if name != "x-amz-acl"}
            again, answer = self._try("write", "PutObject", "PUT", self._key, body=data, headers=bare)
            if again["ok"]:
                check = explain(self._settings, Refusal("write", "PutObjectAcl", 403, "AccessDenied"))
        yield check
        if answer is None:
            return
        check, answer = self._try("read", "GetObject", "GET", self._key)
        if answer is not None and answer.data != data:
            raise _StopError(explain(self._settings, Refusal("read", "", 200, "OtherBytes")))
        yield check
        yield self._step("delete", "DeleteObject", "DELETE", self._key)

    def _upload(self) -> Iterator[JSON]:
        """An upload in parts, as every layer takes it: begin, list its parts, abort."""
        headers = self._settings.new_object()
        check, answer = self._try(
            "begin an upload", "PutObject", "POST", self._key, {"uploads": ""}, headers=headers
        )
        if answer is None:
            if check["code"] != "PRE-S3-DENIED-PUTOBJECT":  # that has been told
                yield check
            return
        found = re.search(r"<UploadId>([^<]+)<", answer.data.decode(errors="replace"))
        if found is None:
            raise _StopError(explain(self._settings, Refusal("begin an upload", "", 200, "NoUploadId")))
        query = {"uploadId": found[1]}
        try:
            yield self._step("list parts of an upload", "ListMultipartUploadParts", "GET", self._key, query)
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.send("DELETE", self._key, query)
            raise
        yield self._step("abort an upload", "AbortMultipartUpload", "DELETE", self._key, query)

    def _step(self, title: str, permission: str, method: str, key: str = "", query: Any = None) -> JSON:
        return self._try(title, permission, method, key, query)[0]

    def _try(
        self,
        title: str,
        permission: str,
        method: str,
        key: str = "",
        query: Any = None,
        body: bytes = b"",
        headers: Any = None,
    ) -> tuple[JSON, BaseHTTPResponse | None]:
        """One request: its check, and the answer if it was good.

        Raises:
            _StopError: with the check, if what failed is not this permission alone.
        """
        from urllib3.exceptions import HTTPError

        began = time.monotonic()
        if began - self._began > ENOUGH_SECONDS:
            raise _StopError(explain(self._settings, Refusal(title, "", 0, "TooSlow")))
        self._client.end_within(LAST_SECONDS - (began - self._began))
        try:
            answer = self._client.send(method, key, query, body, headers)
        except HTTPError as error:
            raise _StopError(explain(self._settings, Refusal.on_the_way(title, error))) from None
        milliseconds = f"{(time.monotonic() - began) * 1000:.0f} ms"
        if answer.status < 300:
            return {"title": title, "ok": True, "detail": milliseconds}, answer
        text = answer.data.decode(errors="replace")
        refusal = Refusal.of(title, permission, answer, text, server_code(text))
        if refusal.code in OPTIONAL and permission in {"GetBucketLocation", "ListBucketMultipartUploads"}:
            return {"title": title, "ok": True, "detail": "the store does not tell"}, None
        if not refusal.is_denied:
            raise _StopError(explain(self._settings, refusal))
        return explain(self._settings, refusal), None
