"""Images in Microsoft Azure Blob Storage: `--storage-config` with an azure section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msrctl.storage.object_store import ObjectBackend

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC_REALMS = ("core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net", "core.cloudapi.de")


class AzureBackend(ObjectBackend):
    """A container of a storage account."""

    kind = "azure"
    driver_name = "azure"

    @property
    def endpoint(self) -> str:
        """The account's address."""
        url = self.parameters.get("serviceurl")
        realm = self.parameters.get("realm", PUBLIC_REALMS[0])
        return str(url).rstrip("/") if url else f"https://{self.parameters['accountname']}.blob.{realm}"

    def words(self, replica: str = "") -> str:  # noqa: ARG002 - the same for every replica
        """For example ``azure://contosoimages/images``."""
        parts = (self.parameters["accountname"], self.parameters["container"], self._root())
        words = "/".join(filter(None, parts))
        public = self.endpoint.endswith(PUBLIC_REALMS[0])
        return f"azure://{words}" + ("" if public else f" ({self.endpoint})")

    def identity(self, replica: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every replica
        """Account, container and root."""
        return ("azure", self.endpoint.lower(), self.parameters["container"], self._root())

    def driver(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """Only what 2.8 knows."""
        section = super().driver(secret)["azure"]
        return {"azure": {k: v for k, v in section.items() if not k.startswith("credentials.")}}

    def driver_3(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """Credentials are a section of their own, and their type must be said."""
        section = super().driver(secret)["azure"]
        flat = {k: v for k, v in section.items() if not k.startswith("credentials.")}
        nested = {k.partition(".")[2]: v for k, v in section.items() if k.startswith("credentials.")}
        return {"azure": {**flat, "credentials": {"type": "shared_key", **nested}}}

    def _reachable_by_clients(self) -> bool:
        insecure = bool(self.root_ca) or self.parameters.get("skipverify") is True
        return self.parameters.get("realm", PUBLIC_REALMS[0]) in PUBLIC_REALMS and not insecure
