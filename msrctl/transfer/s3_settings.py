"""What the registry's s3 parameters mean for a client: address, keys, and what is said of new objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msrctl.model.cluster import Storage
from msrctl.storage.s3 import S3Backend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.secret import Secret


@dataclass(frozen=True)
class S3Settings:
    """Parameters of the driver in the form that clients need.

    Arguments:
        endpoint: URL of the store, without a path.
        region: to sign for.
        bucket: its name.
        root: what all keys begin with, as the 2.8 driver lays them out: "" or something that ends in a slash.
        path_style: whether the bucket stands in the path instead of in the host's name.
        keys: id and secret, or None: those of the environment or of the instance.
        skip_verify: take any certificate.
        version_2: sign with the old version 2.
        root_ca: PEM, or "".
        words: the store in words.
        parameters: all of the driver's parameters.
    """

    endpoint: str
    region: str
    bucket: str
    root: str
    path_style: bool
    keys: tuple[str, Secret] | None
    skip_verify: bool
    version_2: bool
    root_ca: str
    words: str
    parameters: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls, parameters: Mapping[str, Any], secrets: Mapping[str, Secret], root_ca: str, words: str
    ) -> S3Settings:
        """Settings from a storage section.

        Arguments:
            parameters: the driver's, without secrets.
            secrets: accesskey and secretkey, or nothing.
            root_ca: PEM, or "".
            words: the store in words.
        """
        given = parameters.get("regionendpoint")
        endpoint = S3Backend(Storage(kind="s3", parameters=dict(parameters))).endpoint
        if not given and parameters.get("secure") is False:
            endpoint = endpoint.replace("https://", "http://", 1)
        key, secret = secrets.get("accesskey"), secrets.get("secretkey")
        root = str(parameters.get("rootdirectory") or "")
        bucket = str(parameters["bucket"])
        # A certificate for *.s3.amazonaws.com does not cover a bucket's name with dots; Amazon's own library
        # changes to path style then, too. With an endpoint the 2.8 driver always uses it.
        path_style = bool(given) or "." in bucket or bucket != bucket.lower() or "_" in bucket
        return cls(
            endpoint=endpoint,
            region=str(parameters.get("region") or "us-east-1"),
            bucket=bucket,
            root=f"{root.rstrip('/')}/".lstrip("/"),
            path_style=path_style,
            keys=(key.reveal_text(), secret) if key and secret else None,
            skip_verify=parameters.get("skipverify") is True,
            version_2=parameters.get("v4auth") is False,
            root_ca=root_ca,
            words=words or f"s3://{bucket}",
            parameters=parameters,
        )

    @property
    def base(self) -> str:
        """The bucket's URL, without a slash at the end."""
        if self.path_style:
            return f"{self.endpoint}/{self.bucket}"
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}"

    def new_object(self) -> dict[str, str]:
        """The headers with which the registry makes objects (driver of 2.8.3, PutContent)."""
        headers = {
            "Content-Type": "application/octet-stream",
            "x-amz-acl": str(self.parameters.get("objectacl") or "private"),
        }
        storage_class = str(self.parameters.get("storageclass") or "STANDARD")
        if storage_class != "NONE":
            headers["x-amz-storage-class"] = storage_class
        if self.parameters.get("encrypt") is True:
            key = self.parameters.get("keyid")
            headers["x-amz-server-side-encryption"] = "aws:kms" if key else "AES256"
            if key:
                headers["x-amz-server-side-encryption-aws-kms-key-id"] = str(key)
        return headers
