"""Images in OpenStack Swift: `--storage-config` with a swift section. Registry 3 has no such driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msrctl.errors import UsageFault
from msrctl.storage.object_store import ObjectBackend

if TYPE_CHECKING:
    from collections.abc import Callable


class SwiftBackend(ObjectBackend):
    """A container."""

    kind = "swift"
    driver_name = "swift"

    def words(self, replica: str = "") -> str:  # noqa: ARG002 - the same for every replica
        """For example ``swift://images/prefix (https://keystone.example.com/v3, tenant shop)``."""
        tenant = f", tenant {self._tenant()}" if self._tenant() else ""
        where = f"{self.parameters['authurl']}{tenant}"
        return f"swift://{'/'.join(filter(None, (self.parameters['container'], self._root())))} ({where})"

    def identity(self, replica: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every replica
        """Address of the authentication, tenant (or user), container and prefix."""
        url = str(self.parameters["authurl"]).rstrip("/").lower()
        # In version 1 the tenant is part of the user's name.
        tenant = self._tenant() or str(self.parameters["username"]).partition(":")[0]
        return ("swift", url, tenant, self.parameters["container"], self._root())

    def driver(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """Lists are kept as words with commas between."""
        section = super().driver(secret)["swift"]
        if "tempurlmethods" in section:
            section["tempurlmethods"] = section["tempurlmethods"].split(",")
        return {"swift": section}

    def driver_3(self, secret: Callable[[str], str]) -> dict[str, Any]:  # noqa: ARG002 - there is none
        """Raises UsageFault: registry 3 has no swift driver."""
        raise UsageFault("registry 3 has no swift driver", code="STORAGE-SWIFT-3", hint="Use registry 2.8.")

    def _tenant(self) -> str:
        named = (self.parameters.get(key) for key in ("tenantid", "tenant", "trustid"))
        return str(next(filter(None, named), ""))

    def _root(self) -> str:
        return str(self.parameters.get("prefix", "")).strip("/")
