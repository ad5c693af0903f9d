"""Images in Google Cloud Storage: `--storage-config` with a gcs section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msrctl.storage.object_store import ObjectBackend

if TYPE_CHECKING:
    from collections.abc import Callable

KEYFILE = "/run/secrets/store.keyfile"
"""Where a registry's task finds the service account's key: the secret itself is the file."""


class GcsBackend(ObjectBackend):
    """A bucket."""

    kind = "gcs"
    driver_name = "gcs"

    def words(self, replica: str = "") -> str:  # noqa: ARG002 - the same for every replica
        """For example ``gs://images/root``."""
        return "gs://" + "/".join(filter(None, (self.parameters["bucket"], self._root())))

    def identity(self, replica: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every replica
        """Bucket and root: names of buckets are unique in the world."""
        return ("gcs", self.parameters["bucket"], self._root())

    def driver(self, secret: Callable[[str], str]) -> dict[str, Any]:  # noqa: ARG002 - its secret is a file
        """The key is given by its path."""
        keyfile = {"keyfile": KEYFILE} if "keyfile" in self.secrets else {}
        return {"gcs": dict(sorted({**self.parameters, **keyfile}.items()))}

    def _reachable_by_clients(self) -> bool:
        # Only a key can sign addresses; without one the registry serves the layers itself anyway.
        return "keyfile" in self.secrets and not self.root_ca
