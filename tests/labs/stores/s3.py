"""What the S3 stores have in common: the description, and making the bucket."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labs.stores.description import WRONG_SECRET, ObjectStore
from labs.stores.sigv4 import Signer

if TYPE_CHECKING:
    from pathlib import Path

    from msrctl.secret import Secret

BUCKET = "registry"


@dataclass(frozen=True, kw_only=True)
class S3Store(ObjectStore):
    """A store that speaks S3; `container` is the bucket.

    Attributes:
        region: to sign for.
        access_key: id of the key.
        secret_key: the key.
        root: prefix of all keys; empty: none.
        ca_file: file with `ca`; None: plain http.
    """

    region: str = "us-east-1"
    access_key: str
    secret_key: Secret
    root: str = ""
    ca_file: Path | None = field(default=None, repr=False, compare=False)

    @property
    def signer(self) -> Signer:
        """To send requests of one's own with these credentials."""
        return Signer(self.access_key, self.secret_key, "s3", self.region, self.ca_file)

    def storage_section(self) -> dict[str, dict[str, Any]]:
        """The driver's parameters; path-style addressing comes with the endpoint in 2.8, by the key in 3."""
        section: dict[str, Any] = {
            "region": self.region,
            "regionendpoint": self.endpoint,
            "bucket": self.container,
            "accesskey": self.access_key,
            "secretkey": self.secret_key.reveal_text(),
            "secure": self.endpoint.startswith("https"),
        }
        if self.root:
            section["rootdirectory"] = self.root
        return {"s3": section}

    def with_wrong_secret(self) -> S3Store:
        """The same key id with another key."""
        return dataclasses.replace(self, secret_key=WRONG_SECRET)

    def bucket(self, name: str) -> S3Store:
        """Makes one more bucket and describes the store with that.

        Raises:
            RuntimeError: the store refused.
        """
        answer = self.signer.send("PUT", f"{self.endpoint}/{name}")
        if not answer.ok:
            raise RuntimeError(f"bucket {name}: {answer.status_code} {answer.text}")
        return dataclasses.replace(self, container=name)
