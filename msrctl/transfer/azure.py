"""A store in Azure Blob Storage, with the keys that the registry's driver gives its objects."""

from __future__ import annotations

import base64
import binascii
import contextlib
import threading
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient, ExponentialRetry

from msrctl.storage.azure import PUBLIC_REALMS
from msrctl.transfer import web
from msrctl.transfer.azure_answers import code_of, reason_of, sizes_in
from msrctl.transfer.copy import each
from msrctl.transfer.parts import Blocks
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azure.storage.blob import BlobClient

    from msrctl.secret import Secret

BLOCK = 8 << 20
"""Bytes of a part, written or read: each is one request."""
PAGE = 5000
"""Blobs in an answer, the most that Azure gives."""
MOST_BLOCKS = 40_000
"""Azure takes 50,000 blocks for one blob."""
API_VERSION = "2019-07-07"
"""Old enough for Azure Stack, and new enough for all that is done here."""
CONNECT_SECONDS, READ_SECONDS, RETRIES = 5, 30, 3
DENIED = {401, 403}
WRONG_KIND = {"InvalidBlobType", "BlobTypeMismatch"}
ONLY_IN_3 = ("rootdirectory", "serviceurl", "credentials.type")


class AzureStore:
    """A container of a storage account.

    Objects are block blobs, which the driver reads and replaces like its own links and manifests. Its layers
    are append blobs: those cannot be overwritten and are deleted first, as the driver does itself.

    Arguments:
        parameters: as in schemas/storage-azure.json, nested keys with dots.
        secrets: values of the secret parameters.
        root_ca: a CA to trust beside the system's, PEM.
        words: the store in words.
        leading_slash: whether names begin with a slash, as those of registry 2.8 do and those of 3.x do not;
            None: they do unless there are parameters that only 3.x has.
        retries: how often a request is tried again.
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
        leading_slash: bool | None = None,
        retries: int = RETRIES,
        connect: float = CONNECT_SECONDS,
        read: float = READ_SECONDS,
    ) -> None:
        self.parameters = parameters
        self.secrets = secrets
        self.root_ca = root_ca or ""
        self.account: str = parameters["accountname"]
        self.container: str = parameters["container"]
        realm = parameters.get("realm", PUBLIC_REALMS[0])
        self.endpoint: str = str(
            parameters.get("serviceurl") or f"https://{self.account}.blob.{realm}"
        ).rstrip("/")
        self.words = words or f"azure://{self.account}/{self.container}"
        self.skip_verify = str(parameters.get("skipverify", "")).lower() == "true"
        self._limits = (retries, connect, read)
        self._last = threading.local()
        if leading_slash is None:
            leading_slash = not any(name in parameters for name in ONLY_IN_3)
        root = str(parameters.get("rootdirectory", "")).strip("/")
        # 2.8 names blobs by the whole path; 3.x strips slashes from its front (azure.go, blobName).
        self._front = "/" if leading_slash else f"{root}/" if root else ""

    def account_key(self) -> str:
        """The account's key.

        Raises:
            StoreError: STORE-CREDENTIALS: a way to log in that is not supported, no key, or one that is none.
        """
        kind = self.parameters.get("credentials.type", "shared_key")
        if kind != "shared_key":
            raise StoreError(
                f"{self.words}: msrctl logs in with the account's key only, not with {kind}",
                "STORE-CREDENTIALS",
            )
        key = self.secrets["accountkey"].reveal_text().strip() if "accountkey" in self.secrets else ""
        if not key:
            raise StoreError(f"{self.words}: there is no accountkey", "STORE-CREDENTIALS")
        try:
            base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            raise StoreError(f"{self.words}: the accountkey is not base64", "STORE-CREDENTIALS") from None
        return key

    @cached_property
    def client(self) -> ContainerClient:
        """The library's client of the container; see `account_key` for what it raises."""
        retries, connect, read = self._limits
        session = web.session(self.root_ca, skip_verify=self.skip_verify, connect=connect, read=read)
        return ContainerClient(
            self.endpoint,
            self.container,
            credential={"account_name": self.account, "account_key": self.account_key()},
            api_version=API_VERSION,
            transport=RequestsTransport(session=session, session_owner=False),
            retry_policy=ExponentialRetry(
                initial_backoff=1, increment_base=2, random_jitter_range=1, retry_total=retries
            ),
            raw_response_hook=self._keep_list,
            max_single_get_size=BLOCK,
            max_chunk_get_size=BLOCK,
            max_single_put_size=MOST_BLOCKS * BLOCK,
        )

    def name(self, key: str) -> str:
        """Name of a key's blob."""
        return self._front + key

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below a prefix with their sizes; nothing if there is no container yet."""
        start = self.name(f"{prefix.rstrip('/')}/" if prefix else "")
        try:
            with self.told(f"list {start}"):
                for name, size in self._listed(start):
                    # Uploads come and go while we look; nothing of them is ever wanted.
                    if "/_uploads/" not in name:
                        yield name[len(self._front) :], size
        except StoreError as error:
            if error.code != "STORE-BUCKET":
                raise

    def _listed(self, start: str) -> Iterator[tuple[str, int]]:
        """Names and sizes, from the answers themselves.

        The library makes an object of 40 attributes of each blob: 0.2 ms, and nobody may push meanwhile.
        """
        for page in self.client.list_blob_names(name_starts_with=start, results_per_page=PAGE).by_page():
            found = dict(sizes_in(getattr(self._last, "list", b"") or b"<Blobs/>"))
            self._last.list = b""
            # A page that is lost would be taken for blobs that are not there.
            if found.keys() != set(page):
                raise StoreError(f"{self.words}: list {start}: an answer got lost", "STORE-ANSWER")
            yield from found.items()

    def _keep_list(self, answer: Any) -> None:
        """Keeps the last list that this thread was answered.

        The library calls this for every answer. Given to a single request it would not be called any more
        when that one is tried again.
        """
        if answer.http_response.status_code == 200 and "comp=list" in answer.http_request.url:
            self._last.list = answer.http_response.body()

    def size(self, key: str) -> int | None:
        """Size in bytes, or None."""
        with contextlib.suppress(KeyError), self.told(f"look at {key}", key):
            return int(self._blob(key).get_blob_properties().size)
        return None

    def read(self, key: str) -> bytes:
        """A small object."""
        with self.told(f"read {key}", key):
            return bytes(self._blob(key).download_blob().readall())

    def stream(self, key: str) -> Iterator[bytes]:
        """An object in chunks."""
        with self.told(f"read {key}", key):
            chunks = iter(self._blob(key).download_blob().chunks())
        while True:
            with self.told(f"read {key}", key):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes a block blob: in one request, or in blocks that become the blob with the last request.

        A container that is not there is made, as the registry does.
        """
        blocks = Blocks(chunks, max(BLOCK, -(-size // MOST_BLOCKS)))
        first = next(blocks, b"")
        if len(first) >= size:
            blocks.must_have(size, self.words, key)
            self._send(key, lambda blob: blob.upload_blob(first, overwrite=True, length=len(first)))
            return
        names = ["00000"]
        self._send(key, lambda blob: blob.stage_block(names[0], first))
        for number, block in enumerate(blocks, 1):
            names.append(f"{number:05}")
            with self.told(f"write {key}"):
                self._blob(key).stage_block(names[-1], block)
        blocks.must_have(size, self.words, key)
        self._send(key, lambda blob: blob.commit_block_list(names))

    def _send(self, key: str, request: Any) -> None:
        """A request of a write; takes away what is in its way and tries again."""
        blob = self._blob(key)
        with self.told(f"write {key}"):
            for _ in range(3):
                try:
                    request(blob)
                except HttpResponseError as error:
                    code = code_of(error)
                    if code in WRONG_KIND:
                        blob.delete_blob()
                    elif code == "ContainerNotFound":
                        self._make_container()
                    else:
                        raise
                else:
                    return
            raise StoreError(f"{self.words}: write {key}: others write there too")

    def _make_container(self) -> None:
        with contextlib.suppress(ResourceExistsError):
            self.client.create_container()

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects."""

        def one(key: str) -> None:
            with contextlib.suppress(KeyError), self.told(f"delete {key}", key):
                self._blob(key).delete_blob()

        each(one, deque(keys), self.concurrency, lambda: None)

    def probe(self) -> Iterator[dict[str, Any]]:
        """See `azure_probe.probe`."""
        from msrctl.transfer.azure_probe import probe

        slash = self._front == "/"
        yield from probe(self.parameters, self.secrets, self.root_ca, self.words, leading_slash=slash)

    def _blob(self, key: str) -> BlobClient:
        return self.client.get_blob_client(self.name(key))

    @contextlib.contextmanager
    def told(self, what: str, key: str | None = None) -> Iterator[None]:
        """Failures of the library as a StoreError.

        Arguments:
            what: what is done.
            key: if given, KeyError is raised when it is not there.
        """
        try:
            yield
        except ResourceNotFoundError as error:
            if key is not None:
                raise KeyError(key) from None
            raise StoreError(f"{self.words}: {what}: {reason_of(error)}", "STORE-BUCKET") from None
        except HttpResponseError as error:
            code = "STORE-DENIED" if error.status_code in DENIED else "STORE-ANSWER"
            raise StoreError(f"{self.words}: {what}: {reason_of(error)}", code) from None
        except AzureError as error:
            code, reason = web.network_fault(error)
            raise StoreError(f"{self.words}: {what}: {reason}", code) from None
