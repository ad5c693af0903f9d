"""The gates of all replicas at once: writes held or refused, and who serves behind each proxy."""

from __future__ import annotations

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msrctl.engine.gate import set_gate
from msrctl.engine.oneshot import run_oneshot
from msrctl.errors import MsrctlError, Unreachable, VerifyFailed
from msrctl.model import names
from msrctl.plan.desired import gate_of
from msrctl.workflows import probe
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msrctl.engine.protocol import JSON, Engine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.workflows.swarm import Node

FROZEN = "frozen"
NEXT = "next"
READ_ONLY = "read-only"
POLL_SECONDS = 0.1


def undo_of(
    cluster: Cluster,
    replica: Replica,
    *,
    set: Sequence[str] = (),  # noqa: A002 - the counterpart of clear
    clear: Sequence[str] = (),
) -> JSON:
    """The undo record that sets and clears names at a replica's gate."""
    words = ", ".join((*(f"set {name}" for name in set), *(f"clear {name}" for name in clear)))
    return {
        "op": "gate",
        "name": f"{words} at {replica.id}",
        "gate": gate_of(cluster, replica),
        "set": list(set),
        "clear": list(clear),
    }


def set_gates(
    engine: Engine,
    cluster: Cluster,
    *,
    set: Sequence[str] = (),  # noqa: A002 - the counterpart of clear
    clear: Sequence[str] = (),
) -> None:
    """Sets and clears names at the gates of all replicas, side by side.

    Raises:
        MsrctlError: a node did not do it; others may have.
    """

    def one(replica: Replica) -> None:
        connection = engine.clone()
        try:
            set_gate(connection, gate_of(cluster, replica), set=set, clear=clear)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(cluster.replicas)) as pool:
        list(pool.map(one, cluster.replicas))


def wait_drained(engine: Engine, cluster: Cluster, seconds: float) -> None:
    """Waits until no replica's proxy has a write under way; call it with the gates closed.

    Arguments:
        engine: a manager.
        cluster: the document.
        seconds: how long to wait at most, for each replica.

    Raises:
        VerifyFailed: WRITES-UNDER-WAY.
    """
    known = nodes(engine)
    for replica in cluster.replicas:
        if not _drained(engine, cluster, replica, known[replica.node_id], seconds):
            raise VerifyFailed(
                f"after {seconds:.0f} s replica {replica.id} still has a push under way",
                code="WRITES-UNDER-WAY",
                hint="Run this again when the big push has ended, or give it more time with --max-wait.",
            )


def _drained(engine: Engine, cluster: Cluster, replica: Replica, node: Node, seconds: float) -> bool:
    end = time.monotonic() + seconds
    try:
        with probe.client(cluster, replica, node.address) as client:
            while not (done := client.drained()) and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
            return done
    except Unreachable:
        return _drained_on_node(engine, cluster, replica, seconds)


def _drained_on_node(engine: Engine, cluster: Cluster, replica: Replica, seconds: float) -> bool:
    """The same question from the replica's node, where this machine does not reach it."""
    proxy = names.service("nginx", replica.id)
    result = run_oneshot(
        engine,
        image_id=replica.image,
        node_id=replica.node_id,
        args=[
            *("node", "drained", proxy, "--host", probe.host_of(cluster, replica)),
            *("--seconds", str(seconds)),
        ],
        configs=[probe.trust_config(cluster)],
        networks=[names.NETWORK],
        labels={names.LABEL_CLUSTER: cluster.id},
        timeout=seconds + probe.ONESHOT_SECONDS,
        user="0:0",
        wait_gone=False,
    )
    if not result.lines:
        raise MsrctlError(
            f"whether pushes are under way on {replica.node_name} cannot be told: {result.why}", code="GATE"
        )
    return bool(result.lines[-1]["ok"])


def only(cluster: Cluster, replica: Replica) -> Cluster:
    """The document as if it had this one replica."""
    return dataclasses.replace(cluster, replicas=(replica,))
