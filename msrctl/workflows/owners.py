"""Whose a store is: the marker that a cluster leaves in it, the refusal of another's, and of one's own."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msrctl.errors import MsrctlError, WrongState
from msrctl.storage import backend
from msrctl.transfer.owner import Owner
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.stores import CHECK_SECONDS, Side, on_stores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Storage


def owner_of(cluster: Cluster) -> Owner:
    """What the marker in the cluster's store says.

    Arguments:
        cluster: a document whose store has an id.
    """
    assert cluster.storage.store_id
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return Owner(cluster.storage.store_id, cluster.id, cluster.url(), since)


def owner_options(cluster: Cluster) -> tuple[str, str]:
    """Arguments of a task on stores that mark the new one as the cluster's.

    Arguments:
        cluster: a document whose store has an id.
    """
    return "--owner", json.dumps(asdict(owner_of(cluster)), sort_keys=True)


def refuse_foreign_owner(
    owner: Mapping[str, Any] | None, cluster: Cluster, words: str, *, adopt: bool
) -> None:
    """Raises WrongState if a store is marked as another cluster's.

    Arguments:
        owner: what its marker says, if it has one.
        cluster: this cluster.
        words: the store, for people.
        adopt: whether it is taken over all the same (`--adopt-storage`).
    """
    if owner is None or owner["cluster"] == cluster.id or adopt:
        return
    raise WrongState(
        f"{words} belongs to another registry: {owner['url']} (cluster {owner['cluster']}, since "
        f"{owner['since']})",
        code="STORE-OWNED",
        state=NOTHING,
        hint="Two registries on one store damage each other. If that one is gone for good, take its store "
        "over with --adopt-storage.",
    )


def is_in_use(
    engine: Engine,
    cluster: Cluster,
    trial: Storage,
    owner: Mapping[str, Any] | None,
    *,
    erasing: bool,
    reachable: bool = True,
) -> bool:
    """Whether a store is the one in force, whatever name leads to it.

    Names do not tell (a link, a bind mount, the files of a volume), nor does the marker: the store of an
    install on a volume has none, and a copy made by hand has its original's. So a file is written to the one
    and looked for in the other. Where the store in force cannot be reached nothing tells a copy from it: then
    what has its marker is not to be erased, and counts as another store for the rest.

    Arguments:
        engine: a manager.
        cluster: the document in force.
        trial: the store in question, with secrets that exist.
        owner: what its marker says, if it has one.
        erasing: whether its tags would be erased.
        reachable: False if it is known that the store in force cannot be reached.
    """
    replica = cluster.replicas[0]
    if backend(trial).identity(replica.id) == backend(cluster.storage).identity(replica.id):
        return True
    answer = None
    with contextlib.suppress(MsrctlError):
        if reachable:
            answer = on_stores(
                engine,
                replica,
                cluster,
                "same",
                new=Side(trial, writable=True),
                old=Side(cluster.storage),
                timeout=CHECK_SECONDS,
            )
    if answer is None or not answer.ok:
        return erasing and owner is not None and owner["store"] == cluster.storage.store_id
    return bool(answer.result["same"])
