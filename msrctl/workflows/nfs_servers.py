"""NFS servers, asked by protocol: what to mount of a new one, and whether the old one is still there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msrctl.errors import PreflightFailed
from msrctl.plan.switch import Policy
from msrctl.storage import backend, nfs
from msrctl.storage.nfs import NfsBackend
from msrctl.storage.nfs_probe import report as codes
from msrctl.workflows import preflight
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Replica, Storage
    from msrctl.workflows.reporter import Reporter


def option_warnings(storage: Storage) -> tuple[str, ...]:
    """What an operator should know about the mount options of a store, if it is on NFS.

    Arguments:
        storage: the store that is asked for.
    """
    return (
        tuple(f"--nfs-options: {words}" for words in nfs.option_warnings(storage.parameters.get("options")))
        if storage.kind == "nfs"
        else ()
    )


def nfs_probed(engine: Engine, report: Reporter, replicas: tuple[Replica, ...], wanted: Storage) -> Storage:
    """An NFS store with the version to mount, as the nodes find it; other stores as they are.

    Raises:
        PreflightFailed: a node may not mount the export; every check that failed is named.
    """
    if wanted.kind != "nfs":
        return wanted
    store = NfsBackend.from_parameters(wanted.parameters)
    known = nodes(engine)
    with report.step("NFS", store.address.url) as progress:
        for replica in replicas:
            image = preflight.image_of(replica)
            checks, store = preflight.check_nfs(engine, node=known[replica.node_id], image=image, store=store)
            preflight.require(checks)
        progress.detail(store.words())
    return replace(wanted, parameters=store.parameters())


def old_server_gone(engine: Engine, before: Cluster, wanted: Storage, policy: Policy) -> str:
    """Why the NFS server of the store in force gives no answer; "" if it does, or if there is none.

    A mount of a server that has gone takes minutes to fail, or never does.

    Arguments:
        engine: a manager.
        before: the document in force.
        wanted: the store that is asked for.
        policy: what becomes of the tags.

    Raises:
        PreflightFailed: the policy needs what is in it.
    """
    same = backend(wanted).identity("") == backend(before.storage).identity("")
    if before.storage.kind != "nfs" or same:
        return ""
    replica = before.replicas[0]
    checks, store = preflight.check_nfs(
        engine,
        node=nodes(engine)[replica.node_id],
        image=preflight.image_of(replica),
        store=NfsBackend.from_parameters(before.storage.parameters),
    )
    failed = next((c for c in checks if not c.ok and c.code in codes.GONE), None)
    if failed is None:
        return ""
    words = f"{failed.title} {failed.detail}"
    if policy in {Policy.EXACT, Policy.COPY}:
        raise PreflightFailed(
            f"the store in use, {store.words()}, cannot be read: {words}",
            code=failed.code,
            state=preflight.NOTHING,
            hint=f"{failed.hint} If its images are in the new store already, say --storage-migrated; to "
            "start empty, --reinitialize-storage.",
        )
    return words
