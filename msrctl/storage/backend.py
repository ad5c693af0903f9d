"""The interface of a storage back end, as far as rendering goes. Pure: it returns data for the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

STORE = "/storage"
"""Where every task of the image finds a store that is mounted."""


class Backend(Protocol):
    """One place where images are kept."""

    kind: str

    def words(self, replica: str) -> str:
        """The store in a few words, for people; no credentials."""

    def identity(self, replica: str) -> tuple[str, ...]:
        """What makes it this store and no other: two back ends with one identity keep the same images.

        Options and credentials do not belong to it: changing those is no switch.
        """

    def mount(self, replica: str, labels: dict[str, str], target: str = STORE) -> dict[str, Any] | None:
        """The mount for a task (Engine API ``Mount``), or None for a store reached over the network.

        Arguments:
            replica: id of the replica whose task it is.
            labels: labels for a volume that the engine makes because of the mount.
            target: where the task finds the store.
        """

    def trial_mount(self, target: str = STORE) -> dict[str, Any] | None:
        """The mount to try the store with, which leaves nothing behind that was not there before.

        A volume that is still to be made is stood for by an anonymous one on the same disk: the engine
        removes those with their container.
        """

    def driver(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """The driver part of the registry's ``storage`` section (distribution-storage.md, section 2).

        Arguments:
            secret: gives what stands for the value of a secret parameter: the renderer's placeholder.
        """

    def driver_3(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """The same for registry 3.

        Raises:
            UsageFault: registry 3 has no such driver.
        """

    def redirect(self) -> bool:
        """Whether the registry sends clients to the store for layers."""

    def own_volume(self, replica: str) -> str | None:
        """The volume that belongs to this replica alone and may be removed with its data, or None."""

    def node_local(self) -> bool:
        """Whether the store is one node's own, so that replicas on other nodes would not share it."""
