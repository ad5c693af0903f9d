"""Objects of a bucket by obstore, which lists and copies fastest (object-stores.md, section 3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msrctl.transfer.ahead import read_ahead
from msrctl.transfer.library_errors import as_store_errors, server_code
from msrctl.transfer.store import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from obstore.store import ClientConfig, S3Credential

    from msrctl.transfer.s3_settings import S3Settings

PART = 8 << 20
"""Bytes of a part, and the size up to which an object goes by one request."""
PARTS_AT_ONCE = 2
"""Of one object; with eight objects at once these are 128 MiB on their way."""
MOST_PARTS = 9_000
"""S3's limit is 10,000."""
CONNECT_SECONDS, SILENCE_SECONDS = 5, 60
"""The second is also what a part may take to be sent, so it must suit a slow line."""
RETRIES, RETRY_SECONDS = 4, 30
NO_BULK = frozenset({"NotImplemented", "MethodNotAllowed", "MissingContentMD5", "MalformedXML"})
"""Answers of stores that cannot delete several objects at once."""


class FastObjects:
    """See `msrctl.transfer.s3.Objects`.

    Arguments:
        settings: the store.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._words = settings.words
        self._store = _open(settings)
        self._one_by_one = _open(settings, disable_bulk_delete=True)
        self._bulk = True
        storage_class = settings.new_object().get("x-amz-storage-class", "STANDARD")
        self._attributes: dict[str, str] = {"Content-Type": "application/octet-stream"}
        if storage_class != "STANDARD":
            self._attributes["Storage-Class"] = storage_class

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below a prefix that ends in a slash."""
        with as_store_errors(self._words, prefix, missing_is_error=True):
            for page in self._store.list(prefix.rstrip("/"), chunk_size=1000):
                for found in page:
                    yield found["path"], found["size"]

    def size(self, key: str) -> int:
        """Size in bytes."""
        with as_store_errors(self._words, key):
            return int(self._store.head(key)["size"])

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks."""
        with as_store_errors(self._words, key):
            for chunk in self._store.get(key).stream(CHUNK):
                yield bytes(chunk)

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes an object; an error in the chunks aborts the upload and is raised as it is."""
        with as_store_errors(self._words, key, missing_is_error=True):
            if size <= PART:
                self._store.put(key, b"".join(chunks), attributes=self._attributes, use_multipart=False)
                return
            with read_ahead(chunks) as ahead:
                self._store.put(
                    key,
                    ahead,
                    attributes=self._attributes,
                    use_multipart=True,
                    chunk_size=max(PART, size // MOST_PARTS + 1),
                    max_concurrency=PARTS_AT_ONCE,
                )

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects by one request, or one by one where the store knows no better."""
        from obstore.exceptions import BaseError

        with as_store_errors(self._words, f"delete {keys[0]}", missing_is_error=True):
            if self._bulk:
                try:
                    self._store.delete(list(keys))
                except BaseError as error:
                    if server_code(str(error)) not in NO_BULK:
                        raise
                    self._bulk = False
                else:
                    return
            self._one_by_one.delete(list(keys))


def _open(settings: S3Settings, **more: Any) -> Any:
    """A store of obstore. Everything is said, so that nothing of the environment (AWS_...) is taken."""
    from obstore.store import S3Store

    client: ClientConfig = {
        "allow_http": settings.endpoint.startswith("http://"),
        "allow_invalid_certificates": settings.skip_verify,
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "read_timeout": f"{SILENCE_SECONDS}s",
        # Of a whole request, which may be the download of a very large layer.
        "timeout": "24h",
    }
    if settings.root_ca and not settings.skip_verify:
        client["root_certificate"] = settings.root_ca
    if settings.keys:
        key, secret = settings.keys

        def credentials() -> S3Credential:
            return {
                "access_key_id": key,
                "secret_access_key": secret.reveal_text(),
                "token": None,
                "expires_at": None,
            }

        more["credential_provider"] = credentials
    headers = settings.new_object()
    if encryption := headers.get("x-amz-server-side-encryption"):
        more["server_side_encryption"] = encryption
        if kms := headers.get("x-amz-server-side-encryption-aws-kms-key-id"):
            more["sse_kms_key_id"] = kms
    return S3Store(
        settings.bucket,
        region=settings.region,
        endpoint=settings.endpoint if settings.path_style else settings.base,
        virtual_hosted_style_request=not settings.path_style,
        skip_signature=False,
        client_options=client,
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {
                "init_backoff": timedelta(milliseconds=200),
                "max_backoff": timedelta(seconds=5),
                "base": 2,
            },
        },
        **more,
    )
