"""Brings what only a node can read to the msrctl that asks: secrets and inventories, sealed for it alone."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from msrctl.backup import layout
from msrctl.backup.check import roles
from msrctl.backup.content import Unpacked
from msrctl.backup.seal import Opener, new_key
from msrctl.engine.oneshot import run_oneshot, secret_at
from msrctl.errors import MsrctlError, Unreachable
from msrctl.model import names
from msrctl.secret import Secret
from msrctl.workflows.stores import Side, on_stores
from msrctl.workflows.swarm import takes_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.engine.protocol import JSON, Engine
    from msrctl.model.cluster import Cluster, Replica, Storage
    from msrctl.workflows.stores import StoreAnswer

REVEAL_SECONDS = 60.0


def a_replica(engine: Engine, cluster: Cluster, wanted: str | None) -> Replica:
    """The replica to ask: the one that is named, else the first whose node takes work.

    Raises:
        WrongState: NO-REPLICA.
        Unreachable: NODE-DOWN, no node takes work.
    """
    from msrctl.workflows.session import require_replica

    if wanted:
        return require_replica(cluster, wanted)
    ready = {node["ID"] for node in engine.nodes() if takes_work(node)}
    found = next((r for r in cluster.replicas if r.node_id in ready), None)
    if found is None:
        raise Unreachable(
            "no node of a replica takes work now",
            code="NODE-DOWN",
            state="Nothing was changed.",
            hint="docker node ls shows the nodes; bring one of the replicas' back.",
        )
    return found


def secrets(engine: Engine, cluster: Cluster, replica: Replica) -> dict[str, Secret]:
    """Everything secret of a cluster, by role (msrctl/backup/check.py).

    A swarm secret can be read inside a task only. The task's answer comes through its log, which others may
    read while it exists: so it is sealed for this process alone.

    Arguments:
        engine: a manager.
        cluster: the document.
        replica: on whose node to ask.

    Raises:
        MsrctlError: the task gave no answer (REVEAL), or not a whole one (SEAL).
    """
    private, public = new_key()
    opener = Opener(private)
    found: dict[str, Secret] = {}

    def take(line: JSON) -> bool:
        for name, data in opener.take(line):
            found[name] = Secret(data)
        return bool(line.get("type") == "sealed")

    result = run_oneshot(
        engine,
        image_id=replica.image,
        node_id=replica.node_id,
        args=["node", "reveal", f"--to={public}"],  # it may begin with a hyphen
        secrets=[secret_at(name, role) for role, name in sorted(roles(cluster).items())],
        labels={names.LABEL_CLUSTER: cluster.id},
        timeout=REVEAL_SECONDS,
        user="0:0",
        wait_gone=False,
        take=take,
    )
    if not result.ok:
        raise MsrctlError(
            f"the secrets of this cluster cannot be read on node {replica.node_name}: {result.why}",
            code="REVEAL",
            state="Nothing was changed.",
        )
    opener.require_complete()
    return found


def snapshot(
    engine: Engine,
    cluster: Cluster,
    replica: Replica,
    store: Storage,
    on_chunk: Callable[[str, bytes], None],
    *,
    manifests: bool,
    labels: dict[str, str] | None = None,
) -> StoreAnswer:
    """The inventory of a store, chunk by chunk.

    Arguments:
        engine: a manager.
        cluster: the document.
        replica: on whose node to look.
        store: the store; its secrets exist.
        on_chunk: given section and bytes of each chunk.
        manifests: whether to read all manifests too.
        labels: for a volume that the engine makes because it is mounted.

    Raises:
        MsrctlError: the store failed, or the answer did not arrive whole (SEAL).
    """
    private, public = new_key()
    opener = Opener(private)

    def take(line: JSON) -> bool:
        for name, data in opener.take(line):
            on_chunk(name, data)
        return bool(line.get("type") == "sealed")

    answer = on_stores(
        engine,
        replica,
        cluster,
        "snapshot",
        new=Side(store, labels=labels),
        options=(f"--to={public}", *(() if manifests else ("--links-only",))),
        take=take,
    )
    if not answer.ok:
        raise MsrctlError(
            f"the inventory of the store cannot be taken: {answer.result.get('error')}",
            code=str(answer.result.get("code", "STORE")),
            state="Nothing was changed.",
            hint="msrctl status and msrctl storage show tell about the store.",
        )
    opener.require_complete()
    return answer


def inventory(
    engine: Engine,
    cluster: Cluster,
    replica: Replica,
    store: Storage,
    unpacked: Unpacked,
    *,
    labels: dict[str, str] | None = None,
) -> JSON:
    """The inventory of a store without its manifests; returns the task's summary.

    Arguments:
        engine: a manager.
        cluster: the document.
        replica: on whose node to look.
        store: the store; its secrets exist.
        unpacked: takes the inventory.
        labels: as in `snapshot`.
    """

    def on_chunk(section: str, data: bytes) -> None:
        if section in (layout.BLOBS, layout.REPOSITORIES):
            unpacked.add(section, data)

    return snapshot(engine, cluster, replica, store, on_chunk, manifests=False, labels=labels).result


def secrets_member(found: dict[str, Secret]) -> dict[str, Any]:
    """Secrets as they stand in a backup: base64 by role. Give it only to the backup's writer."""
    return {role: base64.b64encode(secret.reveal()).decode() for role, secret in sorted(found.items())}
