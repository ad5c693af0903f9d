"""Single signed requests to an S3 store: for the probe, and where obstore does not do (`why_not_obstore`)."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from msrctl.transfer.endpoint import context, proxy_for
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse, PoolManager

    from msrctl.transfer.s3_settings import S3Settings

INSTANCE_SECONDS = 1
"""How long the address of an instance's credentials is waited for."""


def why_not_obstore(settings: S3Settings) -> str:
    """What of a store's settings obstore cannot do, or "".

    It signs with version 4 only, sends no canned ACL, takes no empty parts of a key, and its TLS library
    refuses a store's own self-signed certificate as an authority, which the registry's Go takes.

    Arguments:
        settings: the store.
    """
    if settings.version_2:
        return "v4auth: false"
    if settings.new_object()["x-amz-acl"] != "private":
        return "objectacl"
    if any(part in {"", ".", ".."} for part in settings.root.split("/")[:-1]):
        return "rootdirectory"
    if settings.root_ca and not settings.skip_verify and _is_itself_trusted(settings):
        return "rootca"
    return ""


def _is_itself_trusted(settings: S3Settings) -> bool:
    """Whether the store's certificate is one of those that are given as authorities."""
    parts = urlsplit(settings.base)
    if parts.scheme != "https" or proxy_for(settings.base):
        return False
    trusted = {ssl.PEM_cert_to_DER_cert(pem) for pem in _CERTIFICATE.findall(settings.root_ca)}
    with (
        contextlib.suppress(OSError, ValueError),
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=3) as connection,
        context("", skip_verify=True).wrap_socket(connection, server_hostname=parts.hostname) as secured,
    ):
        return secured.getpeercert(binary_form=True) in trusted
    return False  # who cannot be reached is told by what is asked for next


_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s[^-]+-----END CERTIFICATE-----")


class S3Client:
    """Sends signed requests to one bucket.

    Arguments:
        settings: the store.
        connect: seconds for a connection.
        read: seconds without a byte of an answer.
        retries: how often a request that failed on the way is sent again.

    Raises:
        StoreError: STORE-CREDENTIALS, none are given and none are found.
    """

    def __init__(self, settings: S3Settings, *, connect: float, read: float, retries: int = 0) -> None:
        from urllib3 import Retry, Timeout

        self._settings = settings
        self._pool = _pool(settings)
        self._timeout = Timeout(connect=connect, read=read)
        self._connect, self._read = connect, read
        self._retries = Retry(
            total=retries,
            redirect=False,
            backoff_factor=0.5,
            status_forcelist=(500, 502, 503, 504) if retries else (),
            allowed_methods=None,
            raise_on_status=False,
        )
        self._signer = _signer(settings)

    def end_within(self, seconds: float) -> None:
        """Limits the next request, its connection and answer together, beside the usual limits of each."""
        from urllib3 import Timeout

        self._timeout = Timeout(connect=self._connect, read=self._read, total=seconds)

    def send(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        stream: bool = False,
    ) -> BaseHTTPResponse:
        """Sends one request and returns the answer, whatever its status.

        Arguments:
            method: such as ``PUT``.
            key: in the bucket; "" for the bucket itself.
            query: parameters; those without a value stand alone, as signature version 2 needs it.
            body: what is sent.
            headers: beside those of the signature.
            stream: do not read the answer's body.

        Raises:
            urllib3.exceptions.HTTPError: there is no answer.
        """
        from botocore.awsrequest import AWSRequest

        url = self._settings.base
        if key or not self._settings.path_style:
            url += "/" + quote(key, safe="/-_.~")
        words = [
            quote(k, safe="-_.~") + (f"={quote(v, safe='-_.~')}" if v else "") for k, v in _sorted(query)
        ]
        request = AWSRequest(method, f"{url}?{'&'.join(words)}" if words else url, dict(headers or {}), body)
        self._signer.add_auth(request)
        return self._pool.request(
            method,
            request.url,
            body=body,
            headers=dict(request.headers.items()),
            timeout=self._timeout,
            retries=self._retries,
            preload_content=not stream,
            decode_content=False,
        )


def _sorted(query: Mapping[str, str] | None) -> list[tuple[str, str]]:
    return sorted((query or {}).items())


def _pool(settings: S3Settings) -> PoolManager:
    import urllib3

    if settings.skip_verify:
        urllib3.disable_warnings()  # who turned verification off knows it
    more: dict[str, Any] = {"ssl_context": context(settings.root_ca, skip_verify=settings.skip_verify)}
    if proxy := proxy_for(settings.base):
        return urllib3.ProxyManager(f"http://{proxy[0]}:{proxy[1]}", maxsize=16, **more)
    return urllib3.PoolManager(maxsize=16, **more)


def _signer(settings: S3Settings) -> Any:
    from botocore.auth import HmacV1Auth, S3SigV4Auth
    from botocore.credentials import Credentials
    from botocore.session import Session

    if settings.keys:
        credentials = Credentials(settings.keys[0], settings.keys[1].reveal_text())
    else:
        session = Session()
        session.set_config_variable("metadata_service_timeout", INSTANCE_SECONDS)
        session.set_config_variable("metadata_service_num_attempts", 1)
        credentials = session.get_credentials()
    if credentials is None:
        raise StoreError(
            f"{settings.words}: no keys are given and the instance has none", "STORE-CREDENTIALS"
        )
    if settings.version_2:
        return HmacV1Auth(credentials)
    return S3SigV4Auth(credentials, "s3", settings.region)


def digest(body: bytes) -> str:
    """What the header Content-MD5 says of a body."""
    import base64

    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
