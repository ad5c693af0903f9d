"""A switch that is killed at any step is explained, taken back or finished, and loses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import look, run, stores
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.cleaning import restore
from labs.deployment import Deployment, install
from labs.system import eventually
from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.engines import Lab

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


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1])
    stores.fill(deployment, repositories=2, tags=1, size=20_000)
    return deployment


@pytest.fixture
def whole(deployed: Deployment) -> Iterator[Deployment]:
    """Whatever a test did, afterwards all is well, nothing is left over, and nothing is lost."""
    eventually(lambda: look.quiet(deployed.host), 20)
    tags = stores.pulled(deployed)
    yield deployed
    data = run.data(deployed.host, "status")
    assert data["healthy"]
    assert data["lock"] is data["interrupted"] is None
    assert look.tidy(deployed.host)
    assert stores.gate(deployed) == []
    now = stores.pulled(deployed)
    assert {tag: now.get(tag) for tag in tags} == tags


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


@pytest.mark.parametrize("point", points(BEFORE_COMMIT))
def test_a_switch_that_was_killed_is_taken_back(point: Point, whole: Deployment) -> None:
    host, old, place = whole.host, stores.root(whole), target(whole)
    before = look.document(host), stores.listing(old)
    service = look.service(host, "registry", whole.replica_id)["Spec"]
    kill(whole, point, place)
    data = run.data(host, "reconfigure", "--undo")
    assert data["outcome"] == "undone"
    assert look.document(host) == before[0]
    assert stores.listing(old) == before[1], "the old store is as it was"
    assert look.service(host, "registry", whole.replica_id)["Spec"] == service
    with client(whole) as registry:
        push(registry, "after/undo")


@pytest.mark.parametrize("point", points(BEFORE_COMMIT))
def test_a_switch_that_was_killed_is_finished(point: Point, whole: Deployment) -> None:
    place, before = target(whole), look.document(whole.host)
    kill(whole, point, place)
    finish(whole, place, before)


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


@pytest.mark.parametrize("point", points(AFTER_COMMIT))
def test_a_switch_that_serves_is_only_finished_and_keeps_what_was_pushed_since(
    point: Point, whole: Deployment
) -> None:
    host, place, before = whole.host, target(whole), look.document(whole.host)
    kill(whole, point, place)
    pushed = []
    if point != AFTER_COMMIT["when pushes were about to go on"]:
        with client(whole) as registry:
            pushed = [push(registry, "after/thaw", str(before["generation"]))]
    told = run.refused(host, 6, "COMMITTED", "reconfigure", "--undo")
    assert "--resume" in told
    finish(whole, place, before)
    with client(whole) as registry:
        if pushed:
            assert pull(registry, "after/thaw", str(before["generation"])) == pushed[0]
        push(registry, "after/resume", str(before["generation"]))


@pytest.mark.parametrize(
    "point",
    points({k: BEFORE_COMMIT[k] for k in ("in the copy", "in the freeze", "when the proxy has turned")}),
)
def test_an_undo_or_a_resume_that_is_killed_can_be_run_again(point: Point, whole: Deployment) -> None:
    host, old, place = whole.host, stores.root(whole), target(whole)
    before = look.document(host), stores.listing(old)
    kill(whole, point, place)
    resumed = run.trapped(host, Point(JOURNAL, 5).plan(), "reconfigure", "--resume")
    assert resumed.returncode == run.KILLED, resumed.stderr
    assert pulls(whole)
    undone = run.trapped(host, Point("remove services", 1).plan(), "reconfigure", "--undo")
    assert undone.returncode == run.KILLED, undone.stderr
    assert pulls(whole)
    run.data(host, "reconfigure", "--undo")
    assert look.document(host) == before[0]
    assert stores.listing(old) == before[1]


# -- the engine dies


POWER = {
    "in the copy": Point("create services msrctl-run", 4),
    "in the freeze": Point(JOURNAL, 5, after=False),
    "when the proxy has turned": Point(JOURNAL, 8, after=False),
    "when pushes go on": Point(JOURNAL, 9, after=False),
}


@pytest.mark.parametrize("point", points(POWER))
@pytest.mark.parametrize("end", ["--resume", "--undo"])
def test_a_power_cut_in_a_switch_leaves_one_whole_store(point: Point, end: str, whole: Deployment) -> None:
    host, place, before = whole.host, target(whole), look.document(whole.host)
    done = run.trapped(host, point.plan(), "reconfigure", STORE, str(place), "--migrate-storage")
    assert done.returncode == run.KILLED, done.stderr
    host.power_off()
    restore(host)
    eventually(lambda: pulls(whole), 60)
    found = run.document(host, "status")["data"]
    assert "reconfigure --resume" in found["interrupted"]
    if end == "--undo" and point == POWER["when pushes go on"]:
        run.refused(host, 6, "COMMITTED", "reconfigure", "--undo")
        end = "--resume"
    if end == "--resume":
        finish(whole, place, before)
    else:
        run.data(host, "reconfigure", "--undo")
        assert look.document(host) == before
    eventually(lambda: run.document(host, "status")["exit_code"] == 0, 30)
