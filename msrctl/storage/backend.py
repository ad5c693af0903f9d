"""The interface of a storage back end, as far as rendering goes. Pure: it returns data for the engine."""

from __future__ import annotations

from typing import Any, Protocol

STORE = "/storage"
"""Where every task of the image finds the image store."""


class Backend(Protocol):
    """One place where images are kept."""

    kind: str

    def words(self, replica: str) -> str:
        """The store in a few words, for people."""

    def mount(self, replica: str, labels: dict[str, str]) -> dict[str, Any] | None:
        """The mount for a task (Engine API ``Mount``), or None for a store reached over the network.

        Arguments:
            replica: id of the replica whose task it is.
            labels: labels for a volume that the engine makes because of the mount.
        """

    def driver(self) -> dict[str, Any]:
        """The driver part of the registry's ``storage`` section (distribution-storage.md, section 2)."""

    def own_volume(self, replica: str) -> str | None:
        """The volume that belongs to this replica alone and may be removed with its data, or None."""
