"""Images in a volume of Docker's local driver: each replica's own, or one named by --dtr-storage-volume."""

from __future__ import annotations

from typing import Any

from msrctl.model import names
from msrctl.storage.backend import STORE
from msrctl.storage.filesystem import MountedBackend


class VolumeBackend(MountedBackend):
    """A named volume.

    Arguments:
        name: the volume's name on every node; None for ``dtr-registry-<replica id>``.
    """

    kind = "volume"

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def volume(self, replica: str) -> str:
        """The volume's name for a replica."""
        return self.name or names.default_volume(replica)

    def words(self, replica: str) -> str:
        """For example ``volume dtr-registry-5f0c2a9be417``."""
        return f"volume {self.volume(replica)}"

    def identity(self, replica: str) -> tuple[str, ...]:
        """The volume's name."""
        return ("volume", self.volume(replica))

    def mount(self, replica: str, labels: dict[str, str], target: str = STORE) -> dict[str, Any]:
        """A volume mount without copy-up: the image's /storage is empty, and NFS servers refuse its chown."""
        return {
            "Type": "volume",
            "Source": self.volume(replica),
            "Target": target,
            "VolumeOptions": {"NoCopy": True, "Labels": labels},
        }

    def trial_mount(self, target: str = STORE) -> dict[str, Any]:
        """An anonymous volume for the default one, which a check must not make; a named one as it is."""
        return self.mount("", {}, target) if self.name else {"Type": "volume", "Target": target}

    def own_volume(self, replica: str) -> str | None:
        """Only the default volume is the replica's own; a named one is the operator's."""
        return None if self.name else names.default_volume(replica)
