"""A store in Google Cloud Storage, with the keys that the registry's driver gives its objects."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any

import google.auth
from google.api_core.exceptions import GoogleAPICallError, NotFound, RequestRangeNotSatisfiable, RetryError
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2.service_account import Credentials
from requests import RequestException
from urllib3.exceptions import HTTPError

from msrctl.storage.config_file import service_account_problem
from msrctl.transfer import web
from msrctl.transfer.copy import each
from msrctl.transfer.parts import Source
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from google.cloud.storage import Blob, Bucket

    from msrctl.secret import Secret

PART = 8 << 20
"""Bytes of a part, written or read: each is one request."""
CONTENT_TYPE = "application/octet-stream"
"""The driver's own; objects of its type for uploads it takes for unfinished ones (gcs.go)."""
SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
CONNECT_SECONDS, READ_SECONDS, RETRY_SECONDS = 5, 30, 60
LOOK_SECONDS = 6
"""How long credentials are looked for: asking the metadata server of a machine that has none takes long."""
DENIED = {401, 403}


class GcsStore:
    """A bucket.

    Arguments:
        parameters: as in schemas/storage-gcs.json.
        secrets: ``keyfile``, the JSON of a service account's key; without it the application default
            credentials are used, as the registry does.
        root_ca: a CA to trust beside the system's, PEM.
        words: the store in words.
        retry_seconds: for how long a request is tried again; 0: never.
        connect: limit of a connection, seconds.
        read: limit of waiting for the next bytes, seconds.
    """

    concurrency = 8

    def __init__(
        self,
        parameters: Mapping[str, Any],
        secrets: Mapping[str, Secret],
        root_ca: str | None = None,
        words: str = "",
        *,
        retry_seconds: float = RETRY_SECONDS,
        connect: float = CONNECT_SECONDS,
        read: float = READ_SECONDS,
    ) -> None:
        self._parameters, self._secrets = parameters, secrets
        self.bucket_name: str = parameters["bucket"]
        self.words = words or f"gs://{self.bucket_name}"
        self.root_ca = root_ca or ""
        self._limits = (connect, read)
        self._retry_seconds = retry_seconds
        root = str(parameters.get("rootdirectory", "")).strip("/")
        self._front = f"{root}/" if root else ""  # as gcs.go's pathToKey, with 2.8 and 3.x

    def key(self) -> dict[str, Any] | None:
        """The service account's key, or None for the application default credentials.

        Raises:
            StoreError: STORE-KEYFILE: it is none.
        """
        if "keyfile" not in self._secrets:
            return None
        text = self._secrets["keyfile"].reveal().decode(errors="replace")
        if problem := service_account_problem(text):
            raise StoreError(f"{self.words}: keyfile: {problem}", "STORE-KEYFILE")
        return dict(json.loads(text))

    @cached_property
    def bucket(self) -> Bucket:
        """The library's bucket.

        Raises:
            StoreError: STORE-KEYFILE, or STORE-CREDENTIALS: there are no credentials.
        """
        connect, read = self._limits
        ask = Request(web.session(self.root_ca, connect=connect, read=read))
        credentials = self._credentials(ask)
        session = AuthorizedSession(credentials, auth_request=ask)  # type: ignore[no-untyped-call]
        web.prepare(session, self.root_ca, connect=connect, read=read)
        return Client(project=None, credentials=credentials, _http=session).bucket(self.bucket_name)

    def _credentials(self, ask: Any) -> Any:
        key = self.key()
        if key is not None:
            try:
                load = Credentials.from_service_account_info
                return load(key, scopes=[SCOPE])  # type: ignore[no-untyped-call]
            except (ValueError, GoogleAuthError):
                text = f"{self.words}: keyfile: its private_key is not a key in PEM form"
                raise StoreError(text, "STORE-KEYFILE") from None
        found: queue.Queue[Any] = queue.Queue()

        def look() -> None:
            try:
                found.put(google.auth.default(scopes=[SCOPE], request=ask)[0])
            except GoogleAuthError:
                found.put(None)

        threading.Thread(target=look, daemon=True).start()
        with contextlib.suppress(queue.Empty):
            if credentials := found.get(timeout=LOOK_SECONDS):
                return credentials
        text = f"{self.words}: there is no keyfile, and the node has no application default credentials"
        raise StoreError(text, "STORE-CREDENTIALS")

    @property
    def retry(self) -> Any:
        """How the library tries again; None: not at all."""
        if not self._retry_seconds:
            return None
        return DEFAULT_RETRY.with_delay(initial=0.5, maximum=8).with_timeout(self._retry_seconds)

    def name(self, key: str) -> str:
        """Name of a key's object."""
        return self._front + key

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below a prefix with their sizes."""
        start = self.name(f"{prefix.rstrip('/')}/" if prefix else "")
        with self.told(f"list {start}"):
            found = self.bucket.list_blobs(
                prefix=start, fields="items(name,size),nextPageToken", retry=self.retry
            )
            for blob in found:
                # Uploads come and go while we look; nothing of them is ever wanted.
                if "/_uploads/" not in blob.name:
                    yield blob.name[len(self._front) :], int(blob.size or 0)

    def size(self, key: str) -> int | None:
        """Size in bytes, or None."""
        with contextlib.suppress(KeyError), self.told(f"look at {key}", key):
            blob = self._blob(key)
            blob.reload(retry=self.retry)
            return int(blob.size or 0)
        return None

    def read(self, key: str) -> bytes:
        """A small object."""
        with self.told(f"read {key}", key):
            return bytes(self._blob(key).download_as_bytes(raw_download=True, retry=self.retry))

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks, each asked for by itself: one that fails is asked for again."""
        start = 0
        while True:
            with self.told(f"read {key}", key):
                try:
                    chunk = self._blob(key).download_as_bytes(
                        start=start, end=start + PART - 1, raw_download=True, checksum=None, retry=self.retry
                    )
                except RequestRangeNotSatisfiable:
                    return  # its size is a multiple of a part's, or 0
            yield bytes(chunk)
            start += len(chunk)
            if len(chunk) < PART:
                return

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes an object, with its checksum; it is there when the last part has arrived, and not before."""
        source = Source(chunks, size, f"{self.words}: {key}")
        with self.told(f"write {key}"):
            self.bucket.blob(self.name(key), chunk_size=PART).upload_from_file(
                source, size=size, content_type=CONTENT_TYPE, checksum="crc32c", retry=self.retry
            )

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects."""

        def one(key: str) -> None:
            with contextlib.suppress(KeyError), self.told(f"delete {key}", key):
                self._blob(key).delete(retry=self.retry)

        each(one, deque(keys), self.concurrency, lambda: None)

    def probe(self) -> Iterator[dict[str, Any]]:
        """See `gcs_probe.probe`."""
        from msrctl.transfer.gcs_probe import probe

        yield from probe(self._parameters, self._secrets, self.root_ca, self.words)

    def _blob(self, key: str) -> Blob:
        return self.bucket.blob(self.name(key))

    @contextlib.contextmanager
    def told(self, what: str, key: str | None = None) -> Iterator[None]:
        """Failures of the library as a StoreError.

        Arguments:
            what: what is done.
            key: if given, KeyError is raised when it is not there.
        """
        try:
            yield
        except NotFound as error:
            if key is not None and not lacks_bucket(error):
                raise KeyError(key) from None
            raise StoreError(f"{self.words}: {what}: {reason_of(error)}", "STORE-BUCKET") from None
        except GoogleAPICallError as error:
            code = "STORE-DENIED" if error.code in DENIED else "STORE-ANSWER"
            raise StoreError(f"{self.words}: {what}: {reason_of(error)}", code) from None
        except RefreshError as error:
            raise StoreError(f"{self.words}: {what}: {error.args[0]}", "STORE-DENIED") from None
        except (RetryError, GoogleAuthError, RequestException, HTTPError, ConnectionError) as error:
            code, reason = web.network_fault(getattr(error, "cause", None) or error)
            raise StoreError(f"{self.words}: {what}: {reason}", code) from None


def lacks_bucket(error: Any) -> bool:
    """Whether an answer of 404 means the bucket and not an object in it."""
    said = reason_of(error).lower()
    return "bucket" in said and "no such object" not in said


def reason_of(error: Any) -> str:
    """What Google says, without the method and the address of the request."""
    response = getattr(error, "response", None)
    text = str(getattr(response, "text", "") or "").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"]["message"])
    # The library's own words for the transfer of data end with what it expected instead.
    lines = (text or str(error.message)).splitlines()
    return lines[0][:300] if lines else str(error.code)
