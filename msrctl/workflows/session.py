"""What every workflow begins with: an engine, the cluster document as it is, and the lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msrctl.engine.connect import connect
from msrctl.engine.journal import Journal
from msrctl.engine.lock import Lock
from msrctl.engine.state import StateStore
from msrctl.errors import UsageFault, WrongState
from msrctl.model.cluster import Cluster
from msrctl.workflows.swarm import swarm_state

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.engine.state import StoredDocument
    from msrctl.model.cluster import Replica
    from msrctl.model.requests import CommonRequest
    from msrctl.workflows.reporter import Reporter


@dataclass(frozen=True)
class Deployment:
    """The installed cluster as its newest document says."""

    cluster: Cluster
    stored: StoredDocument


def open_engine(common: CommonRequest) -> DockerEngine:
    """Connects to the endpoint that the request names."""
    return connect(common.endpoint)


def read_deployment(engine: DockerEngine) -> Deployment | None:
    """The newest cluster document, or None if nothing is installed (or the engine is in no swarm)."""
    if swarm_state(engine) == "inactive":
        return None
    stored = StateStore(engine).read()
    return Deployment(Cluster.from_json(stored.document), stored) if stored else None


def require_deployment(engine: DockerEngine) -> Deployment:
    """The installed cluster.

    Raises:
        WrongState: NOT-INSTALLED.
    """
    found = read_deployment(engine)
    if found is None:
        raise WrongState(
            f"nothing is installed in the swarm of the engine at {engine.endpoint}",
            code="NOT-INSTALLED",
            state="Nothing was changed.",
            hint="Install a registry with msrctl install, or point DOCKER_HOST to the swarm that has one.",
        )
    return found


def require_replica(cluster: Cluster, ident: str) -> Replica:
    """The replica of this id.

    Raises:
        WrongState: NO-REPLICA.
    """
    found = cluster.replica(ident)
    if found is None:
        raise WrongState(
            f"there is no replica {ident}",
            code="NO-REPLICA",
            state="Nothing was changed.",
            hint=f"The replicas are: {', '.join(r.id for r in cluster.replicas)}.",
        )
    return found


def require_yes(report: Reporter, what: str, question: str, *, yes: bool) -> None:
    """Asks a person; a script must have said --yes.

    Arguments:
        report: whom to ask.
        what: what needs the confirmation.
        question: for yes or no.
        yes: whether it is confirmed already.

    Raises:
        UsageFault: there is nobody to ask (CONFIRM).
        WrongState: the answer was no (NOT-CONFIRMED).
    """
    if yes:
        return
    if not report.interactive:
        raise UsageFault(
            f"{what} needs a confirmation, and there is no terminal to ask on",
            code="CONFIRM",
            state="Nothing was changed.",
            hint="Add --yes.",
        )
    if not report.confirm(question):
        raise WrongState("not confirmed", code="NOT-CONFIRMED", state="Nothing was changed.")


def lock(engine: DockerEngine, common: CommonRequest, report: Reporter) -> Lock:
    """The cluster's lock, for a `with` block."""
    return Lock(engine, common.command_line, wait=common.lock_wait or None, warn=report.warn)


def describe_interrupted(journal: Journal, begun: int) -> str:
    """An interrupted operation in one sentence, for people."""
    header = journal.header
    total = len(header.steps)
    at = (
        f"before step 1 of {total}"
        if begun == 0
        else f"in step {begun} of {total} ({header.steps[begun - 1]})"
    )
    return f'"{header.command}" by {header.holder} ({journal.since[:16]}Z) was interrupted {at}'
