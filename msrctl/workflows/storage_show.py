"""`msrctl storage show`: the stores that the cluster document names. No store is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.model.results import ShowStorageResult, StoreView
from msrctl.storage import backend
from msrctl.workflows.session import open_engine, require_deployment

if TYPE_CHECKING:
    from msrctl.model.cluster import Storage
    from msrctl.model.requests import StatusRequest
    from msrctl.workflows.reporter import Reporter


def storage_show(request: StatusRequest, report: Reporter) -> ShowStorageResult:  # noqa: ARG001 - one form for all
    """The store in use and the one that can be gone back to.

    Raises:
        WrongState: nothing is installed.
    """
    cluster = require_deployment(open_engine(request.common)).cluster
    replica = cluster.replicas[0].id
    previous = cluster.previous_storage
    return ShowStorageResult(
        storage=_view(cluster.storage, replica),
        previous=_view(previous, replica) if previous else None,
        read_only=cluster.read_only,
    )


def _view(storage: Storage, replica: str) -> StoreView:
    made = backend(storage)
    return StoreView(
        kind=storage.kind,
        store=made.words(replica),
        parameters=storage.parameters,
        secrets=tuple(sorted(storage.secrets)),
        root_ca=storage.root_ca,
        redirect=made.redirect(),
        store_id=storage.store_id,
    )
