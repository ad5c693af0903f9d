"""Signed requests to services that speak Amazon's protocols: just enough to set a store up."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from msrctl.secret import Secret

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Signer:
    """Sends requests signed with signature version 4.

    Arguments:
        access_key: id of the key.
        secret_key: the key.
        service: ``s3``, ``iam`` ...
        region: the region that the signature is for.
        ca: file with the CA to trust; None: plain http, or the machine's own trust.
    """

    access_key: str
    secret_key: Secret
    service: str = "s3"
    region: str = "us-east-1"
    ca: Path | None = None

    def send(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        timeout: float = 30,
    ) -> requests.Response:
        """Sends one request and returns the answer, whatever its status.

        Arguments:
            method: such as ``PUT``.
            url: without a query.
            query: its query.
            body: its body.
            timeout: seconds without an answer.
        """
        parts = urlsplit(url)
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {
            "host": parts.netloc,
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-amz-date": now,
        }
        encoded = urlencode(sorted((query or {}).items()), quote_via=quote, safe="-_.~")
        canonical = "\n".join(
            [
                *(method, quote(parts.path or "/"), encoded),
                *(f"{name}:{value}" for name, value in signed.items()),
                *("", ";".join(signed), signed["x-amz-content-sha256"]),
            ]
        )
        scope = f"{now[:8]}/{self.region}/{self.service}/aws4_request"
        text = "\n".join([ALGORITHM, now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.new(self._key(now[:8]), text.encode(), "sha256").hexdigest()
        credential = f"Credential={self.access_key}/{scope}"
        headers = {key: value for key, value in signed.items() if key != "host"}
        headers["Authorization"] = (
            f"{ALGORITHM} {credential}, SignedHeaders={';'.join(signed)}, Signature={signature}"
        )
        address = f"{url}?{encoded}" if encoded else url
        with requests.Session() as session:
            session.trust_env = False  # neither proxies nor a ~/.netrc
            return session.request(
                method,
                address,
                data=body,
                headers=headers,
                verify=str(self.ca) if self.ca else True,
                timeout=timeout,
            )

    def _key(self, date: str) -> bytes:
        key = b"AWS4" + self.secret_key.reveal()
        for part in (date, self.region, self.service, "aws4_request"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        return key
