"""`msrctl storage usage`: how much the image store holds, as each replica's node sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine.oneshot import run_oneshot
from msrctl.errors import MsrctlError
from msrctl.model import names
from msrctl.model.results import ReplicaUsage, UsageResult
from msrctl.storage import backend
from msrctl.storage.backend import STORE
from msrctl.workflows.session import open_engine, require_deployment, require_replica

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.model.requests import StatusRequest
    from msrctl.workflows.reporter import Reporter


def usage(request: StatusRequest, report: Reporter) -> UsageResult:
    """Bytes, blobs and free space of the image store, as each replica's node sees it.

    Raises:
        Unreachable: a node does not answer.
    """
    engine = open_engine(request.common)
    cluster = require_deployment(engine).cluster
    wanted = (require_replica(cluster, request.replica_id),) if request.replica_id else cluster.replicas
    with report.step("usage", f"reading the store of {len(wanted)} replica(s)"):
        return UsageResult(tuple(_usage(engine, cluster, r, request.common.max_wait) for r in wanted))


def _usage(engine: DockerEngine, cluster: Cluster, replica: Replica, timeout: float) -> ReplicaUsage:
    store = backend(cluster.storage)
    mount = store.mount(replica.id, {})
    result = run_oneshot(
        engine,
        image_id=replica.image,
        node_id=replica.node_id,
        args=["node", "usage", STORE],
        mounts=[{**mount, "ReadOnly": True}] if mount else [],
        labels={names.LABEL_CLUSTER: cluster.id},
        timeout=timeout,
        user="0:0",
    )
    if not result.lines:
        raise MsrctlError(
            f"the store of replica {replica.id} cannot be read: {result.why}", code="USAGE-READ"
        )
    seen = result.lines[-1]
    return ReplicaUsage(
        replica_id=replica.id,
        node=replica.node_name,
        store=store.words(replica.id),
        blobs=seen["blobs"],
        blob_bytes=seen["blob_bytes"],
        repositories=seen["repositories"],
        tags=seen["tags"],
        total_bytes=seen["total_bytes"],
        free_bytes=seen["free_bytes"],
    )
