"""Images in a directory of the node: a bind mount, `--dtr-storage-volume /absolute/path`."""

from __future__ import annotations

from typing import Any

from msrctl.storage.backend import STORE
from msrctl.storage.filesystem import MountedBackend


class BindBackend(MountedBackend):
    """A directory that must exist on the replica's node.

    Arguments:
        path: absolute path on the node.
    """

    kind = "bind"

    def __init__(self, path: str) -> None:
        self.path = path

    def words(self, replica: str) -> str:  # noqa: ARG002 - the same for every replica
        """For example ``directory /srv/images``."""
        return f"directory {self.path}"

    def identity(self, replica: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every replica
        """The path."""
        return ("bind", self.path)

    def mount(self, replica: str, labels: dict[str, str], target: str = STORE) -> dict[str, Any]:  # noqa: ARG002
        """A bind mount; the engine refuses a path that does not exist."""
        return {"Type": "bind", "Source": self.path, "Target": target}

    def trial_mount(self, target: str = STORE) -> dict[str, Any]:
        """The directory itself."""
        return self.mount("", {}, target)

    def own_volume(self, replica: str) -> str | None:  # noqa: ARG002 - never ours to remove
        """None: the directory is the operator's."""
        return None
