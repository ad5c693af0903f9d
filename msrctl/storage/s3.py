"""Images in Amazon S3 or a store that speaks its protocol: `--storage-config` with an s3 section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msrctl.storage import regions
from msrctl.storage.object_store import ObjectBackend

if TYPE_CHECKING:
    from collections.abc import Callable


class S3Backend(ObjectBackend):
    """A bucket."""

    kind = "s3"
    driver_name = "s3"

    @property
    def endpoint(self) -> str:
        """The store's address as a URL without a path."""
        given = str(self.parameters.get("regionendpoint", "")).rstrip("/")
        if not given:
            return regions.endpoint(self.parameters["region"])
        scheme = "https" if self.parameters.get("secure", True) else "http"
        return given if "://" in given else f"{scheme}://{given}"

    def words(self, replica: str = "") -> str:  # noqa: ARG002 - the same for every replica
        """For example ``s3://images/root (region eu-west-1)``."""
        where = f"region {self.parameters['region']}"
        if self.parameters.get("regionendpoint"):
            where = f"{self.endpoint}, {where}"
        return f"s3://{'/'.join(filter(None, (self.parameters['bucket'], self._root())))} ({where})"

    def identity(self, replica: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every replica
        """Endpoint, bucket and root."""
        return ("s3", self.endpoint.lower(), self.parameters["bucket"], self._root())

    def driver_3(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """Path style is not automatic any more with an endpoint of one's own."""
        section = self.driver(secret)
        if self.parameters.get("regionendpoint"):
            section["s3"].setdefault("forcepathstyle", True)
        return section

    def _reachable_by_clients(self) -> bool:
        insecure = bool(self.root_ca) or self.parameters.get("skipverify") is True
        return regions.is_amazon(self.endpoint) and not insecure
