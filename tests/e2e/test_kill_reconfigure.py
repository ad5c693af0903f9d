"""kill -9 at any step of a reconfigure: it is explained, and the next run finishes it or takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.points import AFTER, BEFORE, named
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.engines import Lab

# Every kind of call that changes something: up to the new document it can only be taken back, then both
# ways are open.
PREPARING = [
    ("create configs msrctl-journal", AFTER),
    ("update configs msrctl-journal", AFTER),
    ("create configs dtr-", AFTER),
    ("create configs msrctl-state", BEFORE),
]
CHANGING = [
    ("create configs msrctl-state", AFTER),
    ("update services dtr-registry", BEFORE),
    ("update services dtr-registry", AFTER),
    ("create services msrctl-run", AFTER),
    ("update services dtr-nginx", AFTER),
    ("remove configs", BEFORE),
]


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1])
    with client(deployment) as registry:
        push(registry, "stays/here")
    return deployment


@pytest.fixture
def whole(deployed: Deployment) -> Iterator[Deployment]:
    """Whatever a test did, afterwards all is well, nothing is left over, and the image can be pulled."""
    yield deployed
    data = run.data(deployed.host, "status")
    assert data["healthy"]
    assert data["lock"] is data["interrupted"] is None
    assert look.tidy(deployed.host)
    with client(deployed) as registry:
        assert pull(registry, "stays/here")


def kill(deployment: Deployment, at: str, after: bool) -> dict[str, object]:
    """Kills a change of the log level, which concerns both services; returns the document from before."""
    host = deployment.host
    before = look.document(host)
    level = "debug" if before["settings"]["log_level"] == "info" else "info"
    done = run.trapped(host, {"at": at, "after": after}, "reconfigure", "--log-level", level)
    assert done.returncode == run.KILLED, done.stderr
    # Pulls work, wherever it was killed; nginx may be about to be replaced.
    eventually(lambda: pulls(deployment), 20)
    found = run.document(host, "status", check=10)["data"]
    assert f'"msrctl reconfigure --log-level={level}"' in found["interrupted"], found
    for option in ("--resume", "--undo"):
        assert f"reconfigure {option}" in found["interrupted"]
    told = run.refused(host, 6, "INTERRUPTED", "reconfigure", "--enable-pprof")
    assert "--resume" in told
    return before


def pulls(deployment: Deployment) -> bool:
    from msrctl.errors import MsrctlError

    try:
        with client(deployment) as registry:
            return bool(pull(registry, "stays/here"))
    except MsrctlError as error:
        raise AssertionError(str(error)) from error


@pytest.mark.parametrize(("at", "after"), named(PREPARING + CHANGING))
def test_a_reconfigure_that_was_killed_is_taken_back(at: str, after: bool, whole: Deployment) -> None:
    before = kill(whole, at, after)
    if (at, after) in PREPARING:
        told = run.refused(whole.host, 6, "NOT-RESUMABLE", "reconfigure", "--resume")
        assert "--undo" in told
    data = run.data(whole.host, "reconfigure", "--undo")
    assert data["outcome"] == "undone"
    assert look.document(whole.host) == before


@pytest.mark.parametrize(("at", "after"), named(CHANGING))
def test_a_reconfigure_that_was_killed_is_finished(at: str, after: bool, whole: Deployment) -> None:
    before = kill(whole, at, after)
    data = run.data(whole.host, "reconfigure", "--resume")
    assert data["outcome"] == "resumed"
    now = look.document(whole.host)
    assert now["generation"] == int(str(before["generation"])) + 1
    assert now["settings"]["log_level"] != before["settings"]["log_level"]  # type: ignore[index]


def test_an_undo_that_is_killed_is_run_again(whole: Deployment) -> None:
    before = kill(whole, "update services dtr-nginx", AFTER)
    for at in ("update services dtr-nginx", "update services dtr-registry", "remove configs"):
        done = run.trapped(whole.host, {"at": at, "after": True}, "reconfigure", "--undo")
        assert done.returncode in {run.KILLED, 0}, done.stderr
        if done.returncode == 0:
            break
    run.document(whole.host, "reconfigure", "--undo")
    assert look.document(whole.host) == before


def test_a_resume_that_is_killed_can_be_taken_back(whole: Deployment) -> None:
    before = kill(whole, "update services dtr-registry", AFTER)
    plan = {"at": "update services dtr-nginx", "after": True}
    assert run.trapped(whole.host, plan, "reconfigure", "--resume").returncode == run.KILLED
    run.data(whole.host, "reconfigure", "--undo")
    assert look.document(whole.host) == before
