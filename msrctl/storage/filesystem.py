"""What all back ends that are mounted share: the registry's filesystem driver at /storage."""

from __future__ import annotations

from typing import Any

from msrctl.storage.backend import STORE


class MountedBackend:
    """Base of back ends that the registry sees as a directory."""

    def driver(self) -> dict[str, Any]:
        """The filesystem driver; `maxthreads` is the driver's own default, written down."""
        return {"filesystem": {"rootdirectory": STORE, "maxthreads": 100}}
