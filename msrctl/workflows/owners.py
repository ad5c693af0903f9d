"""Whose a store is: the marker that a cluster leaves in it, and the refusal of another's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msrctl.errors import WrongState
from msrctl.transfer.owner import Owner
from msrctl.workflows.preflight import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.model.cluster import Cluster


def owner_of(cluster: Cluster) -> Owner:
    """What the marker in the cluster's store says.

    Arguments:
        cluster: a document whose store has an id.
    """
    assert cluster.storage.store_id
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return Owner(cluster.storage.store_id, cluster.id, cluster.url(), since)


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
