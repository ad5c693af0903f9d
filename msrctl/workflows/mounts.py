"""What a node has of an NFS export: a volume that is nothing but a name and mount options.

The images are the server's. So these volumes go when no document needs them; removing one unmounts it first
and never touches what is on the server (moby, volume/local: a volume that is mounted somewhere is refused).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msrctl.engine.protocol import ApiError
from msrctl.model import names
from msrctl.storage import backend
from msrctl.storage.nfs import VOLUME_PREFIX, NfsBackend

if TYPE_CHECKING:
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Replica, Storage


def mount_of(storage: Storage | None, replica: Replica) -> str | None:
    """Name of the volume that a replica's node has of an export; None for stores of other kinds.

    Arguments:
        storage: a store, as far as there is one.
        replica: whose node.
    """
    store = backend(storage) if storage and storage.kind == "nfs" else None
    return store.volume(replica.id) if isinstance(store, NfsBackend) else None


def mounts_of(cluster: Cluster) -> dict[str, Replica]:
    """All such volumes that a document needs, the store before included, each with its replica."""
    return {
        name: replica
        for replica in cluster.replicas
        for storage in (cluster.storage, cluster.previous_storage)
        if (name := mount_of(storage, replica))
    }


def sweep_mounts(engine: Engine, cluster: Cluster) -> None:
    """Removes those of the endpoint's own node that the document does not need.

    One that a task on its way out still uses stays; the next change takes it.

    Arguments:
        engine: a manager.
        cluster: the document in force.
    """
    needed = mounts_of(cluster)
    for found in engine.list("volumes", {names.LABEL_CLUSTER: cluster.id}):
        name = str(found["Name"])
        if name.startswith(VOLUME_PREFIX) and name not in needed:
            with contextlib.suppress(ApiError):
                engine.remove("volumes", name)
