"""What all back ends that are mounted share: the registry's filesystem driver at /storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msrctl.storage.backend import STORE

if TYPE_CHECKING:
    from collections.abc import Callable


class MountedBackend:
    """Base of back ends that the registry sees as a directory."""

    def driver(self, secret: Callable[[str], str]) -> dict[str, Any]:  # noqa: ARG002 - a directory has no password
        """The filesystem driver; `maxthreads` is the driver's own default, written down."""
        return {"filesystem": {"rootdirectory": STORE, "maxthreads": 100}}

    def driver_3(self, secret: Callable[[str], str]) -> dict[str, Any]:
        """The same in registry 3 (distribution-storage.md, section 2)."""
        return self.driver(secret)

    def redirect(self) -> bool:
        """A directory cannot serve clients itself."""
        return False

    def node_local(self) -> bool:
        """True, unless a back end knows better."""
        return True
