"""What all object stores share: no mount, a driver section with the secrets left to the renderer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from msrctl.storage.backend import STORE

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.model.cluster import Storage


class ObjectBackend(ABC):
    """Base of back ends that the registry reaches over the network.

    Arguments:
        storage: as it stands in the cluster document: parameters without secrets, names of the secrets.
    """

    kind = ""
    driver_name = ""

    def __init__(self, storage: Storage) -> None:
        self.parameters = storage.parameters
        self.secrets = tuple(sorted(storage.secrets))
        self.root_ca = storage.root_ca
        self.wanted_redirect = storage.redirect

    @abstractmethod
    def words(self, replica: str = "") -> str:
        """The store in a few words, without credentials."""

    @abstractmethod
    def identity(self, replica: str) -> tuple[str, ...]:
        """What makes it this store and no other."""

    def mount(
        self,
        replica: str,  # noqa: ARG002 - no replica has a mount
        labels: dict[str, str],  # noqa: ARG002
        target: str = STORE,  # noqa: ARG002
    ) -> dict[str, Any] | None:
        """None: it is reached over the network."""
        return None

    def trial_mount(self, target: str = STORE) -> dict[str, Any] | None:  # noqa: ARG002
        """None: it is reached over the network."""
        return None

    def driver(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """The driver's section for registry 2.8, sorted: the order of a file must not make another config."""
        section = {**self.parameters, **{name: secret(name) for name in self.secrets}}
        return {self.driver_name: dict(sorted(section.items()))}

    def driver_3(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """The driver's section for registry 3 (distribution-storage.md, section 5)."""
        return self.driver(secret)

    def redirect(self) -> bool:
        """Whether clients are sent to the store: what was asked for, else `_reachable_by_clients`."""
        return self._reachable_by_clients() if self.wanted_redirect is None else self.wanted_redirect

    def _reachable_by_clients(self) -> bool:
        """Whether clients can be taken to know the store's name and to trust its certificate.

        That is so for the big providers' own addresses; a store of one's own often has a name or a CA that
        only the servers know (object-stores.md, section 2).
        """
        return False

    def own_volume(self, replica: str) -> str | None:  # noqa: ARG002 - it has no volume
        """None: there is no volume."""
        return None

    def node_local(self) -> bool:
        """Every node reaches the same store."""
        return False

    def _root(self) -> str:
        return str(self.parameters.get("rootdirectory", "")).strip("/")
