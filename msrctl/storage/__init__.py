"""Storage back ends: one module each, behind the interface in msrctl/storage/backend.py."""

from __future__ import annotations

from msrctl.model.cluster import Storage
from msrctl.storage.azure import AzureBackend
from msrctl.storage.backend import Backend
from msrctl.storage.bind import BindBackend
from msrctl.storage.gcs import GcsBackend
from msrctl.storage.nfs import NfsBackend, parse_url
from msrctl.storage.object_store import ObjectBackend
from msrctl.storage.s3 import S3Backend
from msrctl.storage.swift import SwiftBackend
from msrctl.storage.volume import VolumeBackend

OBJECT_STORES: dict[str, type[ObjectBackend]] = {
    "s3": S3Backend,
    "azure": AzureBackend,
    "swift": SwiftBackend,
    "gcs": GcsBackend,
}

__all__ = ["Backend", "backend", "from_nfs_options", "from_volume_option"]


def backend(storage: Storage) -> Backend:
    """The back end that a cluster document names."""
    if storage.kind == "bind":
        return BindBackend(storage.parameters["path"])
    if storage.kind == "nfs":
        return NfsBackend.from_parameters(storage.parameters)
    if storage.kind in OBJECT_STORES:
        return OBJECT_STORES[storage.kind](storage)
    return VolumeBackend(storage.parameters.get("volume"))


def from_nfs_options(url: str, options: str | None, *, asynchronous: bool) -> Storage:
    """What `--nfs-storage-url`, `--nfs-options` and `--async-nfs` mean; the version is not probed yet.

    Raises:
        UsageFault: the URL is none of ``nfs://host/directory``; all that is wrong with it is listed.
    """
    address = parse_url(url)
    found = NfsBackend(address.host, address.export, options, asynchronous)
    return Storage(kind=found.kind, parameters=found.parameters())


def from_volume_option(value: str | None) -> Storage:
    """What `--dtr-storage-volume` means: a path is a bind mount, a name a volume, nothing the default."""
    if not value:
        return Storage()
    if value.startswith("/"):
        return Storage(kind="bind", parameters={"path": value})
    return Storage(parameters={"volume": value})
