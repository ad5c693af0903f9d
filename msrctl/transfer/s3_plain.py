"""Objects of a bucket by single requests: slower than obstore, for stores that it cannot serve."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from msrctl.transfer.library_errors import server_code
from msrctl.transfer.s3_client import S3Client, digest
from msrctl.transfer.s3_fast import (
    CONNECT_SECONDS,
    MOST_PARTS,
    NO_BULK,
    PART,
    RETRIES,
    SILENCE_SECONDS,
)
from msrctl.transfer.store import CHUNK, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from urllib3 import BaseHTTPResponse

    from msrctl.transfer.s3_settings import S3Settings


class PlainObjects:
    """See `msrctl.transfer.s3.Objects`.

    Arguments:
        settings: the store.
        reason: why it is not obstore.
    """

    def __init__(self, settings: S3Settings, reason: str) -> None:
        self.reason = reason
        self._words = settings.words
        self._headers = settings.new_object()
        self._client = S3Client(settings, connect=CONNECT_SECONDS, read=SILENCE_SECONDS, retries=RETRIES)

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys that begin with a prefix."""
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        while True:
            page = _Xml(self._ask("GET", "", query, about=prefix).data)
            for found in page.all("Contents"):
                yield unquote(found.text("Key")), int(found.text("Size"))
            token = page.text("NextContinuationToken")
            if not token:
                return
            query["continuation-token"] = token

    def size(self, key: str) -> int:
        """Size in bytes."""
        return int(self._ask("HEAD", key).headers["Content-Length"])

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks."""
        from urllib3.exceptions import HTTPError

        answer = self._ask("GET", key, stream=True)
        try:
            yield from answer.stream(CHUNK)
        except HTTPError as error:
            raise StoreError(f"{self._words}: {key}: {_words(error)}", "STORE-NETWORK") from None
        finally:
            answer.close()

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes an object by one request or by parts."""
        if size <= PART:
            self._ask("PUT", key, body=b"".join(chunks), headers=self._headers, writes=True)
            return
        begun = self._ask("POST", key, {"uploads": ""}, headers=self._headers, writes=True)
        upload = _Xml(begun.data).text("UploadId")
        try:
            tags = [
                self._ask(
                    "PUT", key, {"partNumber": str(number), "uploadId": upload}, part, writes=True
                ).headers["ETag"]
                for number, part in enumerate(_parts(chunks, max(PART, size // MOST_PARTS + 1)), 1)
            ]
            body = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
                for number, tag in enumerate(tags, 1)
            )
            body = f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>"
            done = self._ask("POST", key, {"uploadId": upload}, body.encode(), writes=True)
            if code := server_code(done.data.decode(errors="replace")):  # errors come with status 200 too
                raise StoreError(f"{self._words}: {key}: {code}", "STORE-ANSWER")  # noqa: TRY301
        except BaseException:
            with contextlib.suppress(StoreError, KeyError):
                self._ask("DELETE", key, {"uploadId": upload})
            raise

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects by one request, or one by one where the store knows no better."""
        body = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        data = f"<Delete><Quiet>true</Quiet>{body}</Delete>".encode()
        headers = {"Content-MD5": digest(data), "Content-Type": "application/xml"}
        try:
            answer = self._ask("POST", "", {"delete": ""}, data, headers, about=f"delete {keys[0]}")
        except _RefusedError as refused:
            if refused.answer_code not in NO_BULK:
                raise
            for key in keys:
                with contextlib.suppress(KeyError):
                    self._ask("DELETE", key)
            return
        for failed in _Xml(answer.data).all("Error"):
            key, code = failed.text("Key"), failed.text("Code")
            if code != "NoSuchKey":
                denied = "STORE-DENIED" if code == "AccessDenied" else "STORE-ANSWER"
                raise StoreError(f"{self._words}: delete {key}: {code}", denied)

    def _ask(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        stream: bool = False,
        about: str = "",
        writes: bool = False,
    ) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError

        about = f"{self._words}: {about or key}"
        try:
            answer = self._client.send(method, key, query, body, headers, stream=stream)
            if answer.status < 300:
                return answer
            text = answer.data.decode(errors="replace")
        except HTTPError as error:
            raise StoreError(f"{about}: {_words(error)}", "STORE-NETWORK") from None
        code = server_code(text)
        if code == "NoSuchBucket":
            raise StoreError(f"{self._words}: the bucket does not exist", "STORE-BUCKET")
        if answer.status == 404 and key and not writes:
            raise KeyError(key)
        raise _RefusedError(about, answer.status, code)


class _RefusedError(StoreError):
    """The store answered with an error."""

    def __init__(self, about: str, status: int, code: str) -> None:
        self.answer_code = code
        denied = status in {401, 403}
        super().__init__(f"{about}: {status} {code}".rstrip(), "STORE-DENIED" if denied else "STORE-ANSWER")


class _Xml:
    """An answer whose elements may or may not be in Amazon's namespace."""

    def __init__(self, data: bytes | ET.Element) -> None:
        self._root = ET.fromstring(data) if isinstance(data, bytes) else data  # noqa: S314 - of the store itself

    def all(self, name: str) -> Iterator[_Xml]:
        """Children of a name."""
        return (_Xml(child) for child in self._root if child.tag.rpartition("}")[2] == name)

    def text(self, name: str) -> str:
        """Text of the first child of a name, or ""."""
        return next((child._root.text or "" for child in self.all(name)), "")  # noqa: SLF001


def _parts(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of one size, the last one smaller."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2] or type(error).__name__
