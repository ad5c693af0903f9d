"""Storage back ends: one module each, behind the interface in msrctl/storage/backend.py."""

from __future__ import annotations

from msrctl.model.cluster import Storage
from msrctl.storage.backend import Backend
from msrctl.storage.bind import BindBackend
from msrctl.storage.volume import VolumeBackend

__all__ = ["Backend", "backend", "from_volume_option"]


def backend(storage: Storage) -> Backend:
    """The back end that a cluster document names."""
    if storage.kind == "bind":
        return BindBackend(storage.parameters["path"])
    return VolumeBackend(storage.parameters.get("volume"))


def from_volume_option(value: str | None) -> Storage:
    """What `--dtr-storage-volume` means: a path is a bind mount, a name a volume, nothing the default."""
    if not value:
        return Storage()
    if value.startswith("/"):
        return Storage(kind="bind", parameters={"path": value})
    return Storage(parameters={"volume": value})
