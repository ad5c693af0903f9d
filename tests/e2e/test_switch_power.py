"""A switch that is killed when it serves, twice, or by a power cut, leaves one whole store."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from support import look, run, stores
from support.killed_switch import (
    AFTER_COMMIT,
    BEFORE_COMMIT,
    JOURNAL,
    STORE,
    Point,
    finish,
    kill,
    points,
    pulls,
    target,
)
from support.use import client, pull, push

from labs.cleaning import restore
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.deployment import Deployment
    from labs.host import Host

pytest_plugins = ("support.killed_switch_fixtures",)


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


def test_the_proxy_goes_back_only_to_a_registry_that_has_the_new_store(whole: Deployment) -> None:
    """The old task takes its time to end, as with a big pull under way."""
    host, place, before = whole.host, target(whole), look.document(whole.host)
    kill(whole, AFTER_COMMIT["before the own registry has the store"], place)
    with ExitStack() as stack:
        slow = stack.enter_context(_stopped(host, look.container(host, "registry", whole.replica_id)))
        again = run.trapped(
            host, AFTER_COMMIT["when the own registry gets the store"].plan(), "reconfigure", "--resume"
        )
        assert again.returncode == run.KILLED, again.stderr
        with client(whole) as registry:
            pushed = push(registry, "after/thaw", f"slow-{before['generation']}")
        pool = stack.enter_context(ThreadPoolExecutor(1))
        done = pool.submit(finish, whole, place, before)
        with pytest.raises(TimeoutError):
            done.result(8)
        assert pulls(whole), "by the registry that stands in"
        slow.close()
        done.result(60)
    with client(whole) as registry:
        assert pull(registry, "after/thaw", f"slow-{before['generation']}") == pushed


@contextlib.contextmanager
def _stopped(host: Host, container: str) -> Iterator[ExitStack]:
    """A container whose processes do nothing (SIGSTOP), not even end, until the block or its stack ends."""
    pids = host.pids(container=container)
    assert pids
    with ExitStack() as stack:
        for pid in pids:
            _send(pid, signal.SIGSTOP)
            stack.callback(_send, pid, signal.SIGCONT)
        yield stack


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # a health check has ended
        os.kill(pid, number)


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


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("in the copy", "--undo"),
        ("in the freeze", "--resume"),
        ("in the freeze", "--undo"),
        ("when the proxy has turned", "--resume"),
        ("when the proxy has turned", "--undo"),
        ("when pushes go on", "--resume"),
    ],
)
def test_a_power_cut_in_a_switch_leaves_one_whole_store(name: str, end: str, whole: Deployment) -> None:
    host, place, before = whole.host, target(whole), look.document(whole.host)
    done = run.trapped(host, POWER[name].plan(), "reconfigure", STORE, str(place), "--migrate-storage")
    assert done.returncode == run.KILLED, done.stderr
    host.power_off()
    restore(host)
    eventually(lambda: pulls(whole), 60)
    found = run.document(host, "status")["data"]
    assert "reconfigure --resume" in found["interrupted"]
    if name == "when pushes go on":
        run.refused(host, 6, "COMMITTED", "reconfigure", "--undo")
    _end(end, whole, place, before)


def _end(how: str, whole: Deployment, place: Path, before: dict[str, object]) -> None:
    if how == "--resume":
        finish(whole, place, before)
    else:
        run.data(whole.host, "reconfigure", "--undo")
        assert look.document(whole.host) == before
    eventually(lambda: run.document(whole.host, "status")["exit_code"] == 0, 30)


KILLED_ENGINE = {
    ("in the copy", "--undo"): POWER["in the copy"],
    ("in the freeze", "--resume"): POWER["in the freeze"],
    ("when pushes go on", "--resume"): POWER["when pushes go on"],
}


@pytest.mark.parametrize(
    ("end", "point"), [pytest.param(k[1], point, id=" ".join(k)) for k, point in KILLED_ENGINE.items()]
)
def test_an_engine_that_is_killed_under_a_switch_leaves_one_whole_store(
    end: str, point: Point, whole: Deployment
) -> None:
    """msrctl lives on and has nobody to talk to."""
    host, place, before = whole.host, target(whole), look.document(whole.host)
    (engine,) = host.pids("dockerd")
    plan = {**point.plan(), "calls": ["kill", "-9", str(engine)]}
    done = run.trapped(host, plan, "reconfigure", STORE, str(place), "--migrate-storage")
    assert done.returncode in {1, 5, 9}, done.stderr
    assert "Traceback" not in done.stderr
    assert "--resume" in done.stderr or "--undo" in done.stderr, done.stderr
    host.kill_docker()  # it is dead: what is left of it is forgotten
    restore(host)
    eventually(lambda: pulls(whole), 60)
    assert "reconfigure --resume" in run.document(host, "status")["data"]["interrupted"]
    _end(end, whole, place, before)
