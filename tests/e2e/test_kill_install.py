"""kill -9 at any step of an install: what there is is explained, and the next run takes it away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.points import AFTER, BEFORE, named
from support.use import client, pull, push

from labs.deployment import install
from labs.system import eventually

if TYPE_CHECKING:
    from labs.host import Host

# Every kind of call that changes something, in the order of an install; the journal is written before each.
INSTALL = [
    ("init_swarm", AFTER),
    ("create services msrctl-run", AFTER),
    ("create configs msrctl-lock", AFTER),
    ("create configs msrctl-journal", AFTER),
    ("update configs msrctl-journal", AFTER),
    ("create networks", BEFORE),
    ("create networks", AFTER),
    ("create secrets dtr-tls-key", AFTER),
    ("create secrets dtr-http-secret", AFTER),
    ("create configs dtr-registry", AFTER),
    ("create configs dtr-nginx", BEFORE),
    ("create configs msrctl-state", BEFORE),
    ("create configs msrctl-state", AFTER),
    ("create services dtr-registry", BEFORE),
    ("create services dtr-registry", AFTER),
    ("create services dtr-nginx", AFTER),
]


@pytest.mark.parametrize(("at", "after"), named(INSTALL))
def test_an_install_that_was_killed_is_explained_and_taken_away(at: str, after: bool, bare: Host) -> None:
    plan = {"at": at, "after": after}
    assert run.trapped(bare, plan, "install", env=run.WITH_PASSWORD).returncode == run.KILLED
    found = run.document(bare, "status", check=6 if not look.installed(bare) else 10)
    explained = found["data"]["interrupted"] or ""
    if "msrctl-journal" in look.names(bare, "configs"):
        assert '"msrctl install"' in explained
        assert "msrctl install takes away what is left" in explained
    before = look.objects(bare)
    assert bare.msrctl("install", "--dry-run").returncode in {0, 6}
    assert look.objects(bare)["services"] == before["services"] or at == "create services msrctl-run"
    bare.msrctl("install", "--undo", check=0)
    assert look.objects(bare)["swarm"] == "inactive", "the one that was killed had made the swarm"
    eventually(lambda: look.empty(bare), 15)


@pytest.mark.parametrize(
    ("at", "after"),
    named([("init_swarm", AFTER), ("create services dtr-nginx", AFTER), ("remove configs", BEFORE)]),
)
def test_the_next_install_cleans_up_and_succeeds(at: str, after: bool, bare: Host) -> None:
    plan = {"at": at, "after": after}
    first = run.trapped(bare, plan, "install", "--replica-id", "aaaaaaaaaaaa", env=run.WITH_PASSWORD)
    assert first.returncode == run.KILLED
    deployment = install(bare)
    with client(deployment) as registry:
        push(registry, "after/kill")
        assert pull(registry, "after/kill")
    assert run.data(bare, "status")["healthy"]
    assert look.tidy(bare)
    assert look.document(bare)["swarm_initialised"]
    assert look.objects(bare)["volumes"] == look.own_volumes(bare, deployment.replica_id)


def test_an_install_that_was_killed_when_it_had_finished_is_one(bare: Host) -> None:
    # The journal is closed: what follows is tidying up.
    plan = {"at": "remove configs", "after": True}
    assert run.trapped(bare, plan, "install", env=run.WITH_PASSWORD).returncode == run.KILLED
    data = run.data(bare, "status")
    assert data["healthy"]
    assert data["interrupted"] is None
    run.refused(bare, 6, "ALREADY-INSTALLED", "install")
