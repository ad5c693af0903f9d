"""The lock: who is told what, who is provably dead, what is stale; on the fake engine."""

from __future__ import annotations

import base64
import dataclasses
import os
import subprocess
import sys
import time

import pytest

from fakes.engine import FakeEngine
from msrctl.engine import clock, lock
from msrctl.engine.lock import Lock
from msrctl.engine.process import Process, is_provably_dead, this_process
from msrctl.errors import Locked, Unreachable
from msrctl.model import names

ELSEWHERE = Process("ops@node-2", 4711, 99, "other-boot", "pid:[1]", "other-machine")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def take(engine: FakeEngine, process: Process, command: str = "msrctl upgrade") -> Lock:
    """The lock as left by a process whose heartbeat has ended."""
    taken = Lock(engine.clone(), command, process=process)
    assert taken._create()
    return taken


class TestTaken:
    def test_the_error_names_the_holder_the_command_and_the_times(self, engine: FakeEngine) -> None:
        take(engine, ELSEWHERE)
        engine.swarm.advance(10)
        with pytest.raises(Locked) as caught:
            Lock(engine, "msrctl reconfigure").acquire()
        expected = 'ops@node-2 has been running "msrctl upgrade" for 10 s (last heartbeat 10 s ago)'
        assert expected in caught.value.message
        assert caught.value.code == "LOCKED"
        assert caught.value.exit_code == 4
        assert "--lock-wait" in (caught.value.hint or "")

    def test_a_holder_elsewhere_without_heartbeat_is_stale_and_is_not_robbed(
        self, engine: FakeEngine
    ) -> None:
        taken = take(engine, ELSEWHERE)
        engine.swarm.advance(31)
        with pytest.raises(Locked) as caught:
            Lock(engine, "msrctl reconfigure").acquire(wait=60)
        assert caught.value.code == "LOCK-STALE"
        assert "msrctl lock release" in (caught.value.hint or "")
        status = lock.status(engine)
        assert status is not None
        assert status.stale
        assert not status.dead
        assert status.ident == taken._ident

    def test_waiting_gets_it_as_soon_as_it_is_free(
        self, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken = take(engine, ELSEWHERE)
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                taken.close()

        monkeypatch.setattr(time, "sleep", sleep)
        waiting = Lock(engine, "msrctl reconfigure")
        waiting.acquire(wait=60)
        waiting.close()
        assert len(slept) == 3

    def test_waiting_ends(self, engine: FakeEngine) -> None:
        take(engine, ELSEWHERE)
        began = time.monotonic()
        with pytest.raises(Locked):
            Lock(engine, "msrctl reconfigure").acquire(wait=0.2)
        assert 0.2 <= time.monotonic() - began < 5

    def test_a_config_that_is_not_ours_in_its_place_is_respected(self, engine: FakeEngine) -> None:
        data = base64.b64encode(b"written by hand").decode()
        engine.create("configs", {"Name": names.LOCK, "Data": data})
        with pytest.raises(Locked, match="somebody"):
            Lock(engine, "msrctl reconfigure").acquire()


class TestDead:
    def test_a_dead_process_of_this_host_is_followed_at_once_with_a_warning(self, engine: FakeEngine) -> None:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        take(engine, dataclasses.replace(this_process(), pid=child.pid, started=_started(child.pid)))
        with pytest.raises(Locked):
            Lock(engine, "msrctl install").acquire()
        child.kill()
        child.wait()
        warnings: list[str] = []
        with Lock(engine, "msrctl install", warn=warnings.append) as held:
            held.check()
        assert len(warnings) == 1
        assert '"msrctl upgrade" has died' in warnings[0]

    def test_what_has_died_and_is_not_yet_waited_for_is_dead(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        process = dataclasses.replace(this_process(), pid=child.pid, started=_started(child.pid))
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but a zombie still
        assert is_provably_dead(process, this_process())
        child.wait()

    @pytest.mark.parametrize(
        ("changes", "dead"),
        [
            ({}, False),
            ({"started": 1}, True),  # the pid was given to another process since
            ({"pid": 2**22 + 1}, True),
            ({"pid": 2**22 + 1, "namespace": "pid:[1]"}, False),  # a container's: nobody can tell from here
            ({"pid": 2**22 + 1, "namespace": ""}, False),
            ({"pid": 2**22 + 1, "boot": ""}, False),
            ({"boot": "before", "machine": "m"}, True),  # this machine was rebooted
            ({"boot": "before", "machine": "another"}, False),
            ({"boot": "before", "machine": ""}, False),
            ({"started": None}, False),
        ],
    )
    def test_only_what_is_proven_counts(self, changes: dict[str, object], dead: bool) -> None:
        here = dataclasses.replace(this_process(), machine="m", boot="now")
        process = dataclasses.replace(here, **changes)  # type: ignore[arg-type]
        assert is_provably_dead(process, here) is dead


class TestRelease:
    def test_nobody_holds_it(self, engine: FakeEngine) -> None:
        assert lock.release(engine) is None

    def test_a_live_one_is_refused_without_force(self, engine: FakeEngine) -> None:
        take(engine, ELSEWHERE)
        with pytest.raises(Locked):
            lock.release(engine)
        assert lock.status(engine) is not None
        released = lock.release(engine, force=True)
        assert released is not None
        assert released.holder == "ops@node-2"
        assert lock.status(engine) is None

    def test_a_stale_one_is_watched_and_released(self, engine: FakeEngine) -> None:
        take(engine, ELSEWHERE)
        engine.swarm.advance(31)
        watched: list[float] = []
        assert lock.release(engine, pause=watched.append) is not None
        assert watched == [7.5]
        assert lock.status(engine) is None

    def test_a_heartbeat_counts_more_than_clocks_that_differ(self, engine: FakeEngine) -> None:
        taken = take(engine, ELSEWHERE)
        engine.swarm.advance(31)

        def beats(_: float) -> None:
            lock._heartbeat(engine, taken._ident)

        with pytest.raises(Locked):
            lock.release(engine, pause=beats)
        assert lock.status(engine) is not None

    def test_somebody_s_new_lock_is_not_taken_for_the_old_one(self, engine: FakeEngine) -> None:
        taken = take(engine, ELSEWHERE)
        engine.swarm.advance(31)

        def meanwhile(_: float) -> None:
            taken.close()
            take(engine, ELSEWHERE)

        with pytest.raises(Locked):
            lock.release(engine, pause=meanwhile)
        assert lock.status(engine) is not None


class TestHolding:
    def test_it_is_given_back_also_after_an_error(self, engine: FakeEngine) -> None:
        def fails() -> None:
            with Lock(engine, "msrctl install"):
                assert lock.status(engine) is not None
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        assert lock.status(engine) is None

    def test_an_error_inside_is_not_hidden_by_an_engine_that_is_gone(self, engine: FakeEngine) -> None:
        def gone(*_: str) -> None:
            raise Unreachable("gone")

        def fails() -> None:
            with Lock(engine, "msrctl install"):
                engine.swarm.before = gone
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()

    def test_one_that_was_taken_by_another_is_lost_and_not_given_back(self, engine: FakeEngine) -> None:
        with Lock(engine, "msrctl install", heartbeat=0.01) as held:
            lock.release(engine, force=True)
            take(engine, ELSEWHERE)
            deadline = time.monotonic() + 10
            while not held._lost and time.monotonic() < deadline:
                time.sleep(0.01)
            with pytest.raises(Locked, match="ops@node-2") as caught:
                held.check()
            assert caught.value.code == "LOCK-LOST"
        status = lock.status(engine)
        assert status is not None
        assert status.holder == "ops@node-2"

    def test_no_heartbeat_for_long_is_as_good_as_lost(
        self, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lock, "STALE_SECONDS", 0.1)
        with Lock(engine, "msrctl install", heartbeat=0.01) as held:
            engine.swarm.active = False  # every request fails from now on
            deadline = time.monotonic() + 10
            while not held._lost and time.monotonic() < deadline:
                time.sleep(0.01)
            engine.swarm.active = True
            with pytest.raises(Locked, match="no heartbeat"):
                held.check()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (3.4, "3 s"), (130, "2 min 10 s"), (120, "2 min"), (3900, "1 h 5 min"), (97200, "1 d 3 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert clock.in_words(seconds) == words


def _started(pid: int) -> int | None:
    from msrctl.engine import process

    return process._started(pid)


@pytest.mark.parametrize("broken", [False, True])
def test_a_lock_that_cannot_be_given_back_does_not_make_what_was_done_a_failure(
    engine: FakeEngine, broken: bool
) -> None:
    warned: list[str] = []

    def before(verb: str, kind: str, name: str) -> None:
        if verb == "remove":
            raise Unreachable("the engine is gone")

    engine.swarm.before = before
    if broken:
        with pytest.raises(ZeroDivisionError), Lock(engine, "msrctl install", warn=warned.append):
            raise ZeroDivisionError
        assert warned == []
        return
    with Lock(engine, "msrctl install", warn=warned.append):
        pass
    assert len(warned) == 1
    assert "the engine is gone" in warned[0]
    assert "msrctl lock release" in warned[0]
