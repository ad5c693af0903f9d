"""A switch that is killed at a step, for tests of what comes then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from labs.deployment import Deployment
from msrctl.errors import MsrctlError
from support import look, run, stores
from support.use import client, pull

if TYPE_CHECKING:
    from pathlib import Path


STORE = "--dtr-storage-volume"
JOURNAL = "update configs msrctl-journal"


@dataclass(frozen=True)
class Point:
    """Where msrctl is killed: at the nth call of a switch to a directory that begins so."""

    at: str
    nth: int = 1
    after: bool = True

    def plan(self) -> dict[str, object]:
        return {"at": self.at, "nth": self.nth, "after": self.after}


# The journal is written before each step, in this order: copy, create and check the registry that stands in,
# freeze, verify, document, proxy, thaw; then update and check the own registry, proxy, remove the stand-in.
# What happens at a gate is not called by the main thread: the next note in the journal stands for "done".
BEFORE_COMMIT = {
    "when it had begun": Point("create configs msrctl-journal"),
    "before the copy": Point(JOURNAL, 1),
    "in the copy": Point("create services msrctl-run", 4),
    "after the copy": Point(JOURNAL, 2, after=False),
    "when another registry was to stand in": Point(JOURNAL, 2),
    "when another registry stands in": Point("create services dtr-registry"),
    "while it is tried": Point(JOURNAL, 3),
    "before the freeze": Point(JOURNAL, 4),
    "in the freeze": Point(JOURNAL, 5, after=False),
    "while the rest is copied": Point("create services msrctl-run", 6),
    "when the stores are equal": Point(JOURNAL, 6, after=False),
    "before the document": Point("create configs msrctl-state", after=False),
    "after the document": Point("create configs msrctl-state"),
    "before the proxy turns": Point(JOURNAL, 7),
    "when the proxy has turned": Point(JOURNAL, 8, after=False),
}
# Those from which going on differs; between the others nothing has happened that a second run would look at.
HALF_DONE = {
    name: BEFORE_COMMIT[name]
    for name in (
        "in the copy",
        "while it is tried",
        "in the freeze",
        "while the rest is copied",
        "when the stores are equal",
        "after the document",
        "before the proxy turns",
        "when the proxy has turned",
    )
}
AFTER_COMMIT = {
    "when pushes were about to go on": Point(JOURNAL, 8),
    "when pushes go on": Point(JOURNAL, 9, after=False),
    "before the own registry has the store": Point("update services dtr-registry", after=False),
    "when the own registry gets the store": Point("update services dtr-registry"),
    "when the own registry has the store": Point(JOURNAL, 11, after=False),
    "when the proxy is back": Point(JOURNAL, 12, after=False),
    "before the stand-in goes": Point(JOURNAL, 12),
}


def points(of: dict[str, Point]) -> list[object]:
    return [pytest.param(point, id=name) for name, point in of.items()]


def target(deployment: Deployment) -> Path:
    """A directory that is not the store in use, empty."""
    used = stores.root(deployment).name
    return stores.directory(deployment.host, "one" if used != "one" else "two")


def pulls(deployment: Deployment) -> bool:
    try:
        with client(deployment) as registry:
            return bool(pull(registry, "team0/app", "v0"))
    except MsrctlError as error:
        raise AssertionError(str(error)) from error


def kill(deployment: Deployment, point: Point, place: Path) -> None:
    """Kills a switch there; pulls work, what happened is told, and nothing else may be begun."""
    host = deployment.host
    done = run.trapped(host, point.plan(), "reconfigure", STORE, str(place), "--migrate-storage")
    assert done.returncode == run.KILLED, done.stderr
    assert pulls(deployment), "and that at once"
    found = run.document(host, "status")["data"]
    assert "reconfigure --dtr-storage-volume" in found["interrupted"], found
    assert "reconfigure --resume" in found["interrupted"]
    told = run.refused(host, 6, "INTERRUPTED", "reconfigure", "--enable-pprof")
    assert "--resume" in told


def finish(deployment: Deployment, place: Path, before: dict[str, object]) -> None:
    data = run.data(deployment.host, "reconfigure", "--resume")
    assert data["outcome"] == "resumed"
    after = look.document(deployment.host)
    assert stores.root(deployment) == place
    assert after["generation"] == int(str(before["generation"])) + 1
    assert after["previous_storage"] == before["storage"]
    marked = stores.marker(place)
    assert marked
    assert marked["store"] == after["storage"]["store_id"]
