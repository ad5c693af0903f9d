"""Obligations of the lock: one winner, a heartbeat, an exclusive takeover."""

from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from labs.system import eventually
from msrctl.engine import lock as locks
from msrctl.engine.lock import Lock
from msrctl.engine.process import this_process
from msrctl.errors import Locked

if TYPE_CHECKING:
    from subjects import Subject

    from msrctl.engine.protocol import Engine

CLIENTS = 12
ROUNDS = 10


def compete(engines: list[Engine], attempt: object) -> list[object]:
    """Calls a function for every client at the same moment; returns the results."""
    barrier = threading.Barrier(len(engines))

    def one(engine: Engine) -> object:
        barrier.wait()
        return attempt(engine)  # type: ignore[operator]

    with ThreadPoolExecutor(len(engines)) as pool:
        return list(pool.map(one, engines))


def test_of_many_at_once_exactly_one_gets_it_each_time(subject: Subject) -> None:
    engines = [subject.engine.clone() for _ in range(CLIENTS)]

    def attempt(engine: Engine) -> Lock | None:
        lock = Lock(engine, "msrctl test")
        try:
            lock.acquire()
        except Locked:
            return None
        return lock

    for _ in range(ROUNDS):
        winners = [lock for lock in compete(engines, attempt) if isinstance(lock, Lock)]
        assert len(winners) == 1
        winners[0].check()
        winners[0].close()
        assert locks.status(subject.engine) is None
    for engine in engines:
        engine.close()


def test_all_who_wait_get_it_one_after_the_other(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.02)
    engines = [subject.engine.clone() for _ in range(5)]
    inside: list[int] = []
    most: list[int] = []

    def attempt(engine: Engine) -> bool:
        with Lock(engine, "msrctl test", wait=30):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()
        return True

    assert compete(engines, attempt) == [True] * 5
    assert most == [1] * 5


def test_a_takeover_has_one_winner_too(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "is_provably_dead", lambda process, _: process.pid == 1)
    engines = [subject.engine.clone() for _ in range(CLIENTS)]
    dead = dataclasses.replace(this_process(), pid=1)
    warnings: list[str] = []

    def attempt(engine: Engine) -> Lock | None:
        lock = Lock(engine, "msrctl test", warn=warnings.append)
        try:
            lock.acquire()
        except Locked:
            return None
        return lock

    for _ in range(3):
        gone = Lock(subject.engine, "msrctl install", process=dead)
        gone._create()
        winners = [lock for lock in compete(engines, attempt) if isinstance(lock, Lock)]
        assert len(winners) == 1
        winners[0].close()
    assert len(warnings) == 3
    assert '"msrctl install" has died' in warnings[0]


def test_the_heartbeat_is_seen_by_others_and_losing_the_lock_by_the_holder(subject: Subject) -> None:
    with Lock(subject.engine.clone(), "msrctl upgrade", heartbeat=0.05) as lock:
        first = subject.engine.find("configs", "msrctl-lock")
        assert first is not None
        deadline = time.monotonic() + 10
        while (subject.engine.find("configs", "msrctl-lock") or first)["UpdatedAt"] == first["UpdatedAt"]:
            assert time.monotonic() < deadline
        status = locks.status(subject.engine)
        assert status is not None
        assert status.command == "msrctl upgrade"
        assert not status.stale
        assert not status.dead
        lock.check()
        with pytest.raises(Locked):
            locks.release(subject.engine)
        assert locks.release(subject.engine, force=True) is not None
        eventually(lambda: lock._lost, 10, what="the holder notices")
        with pytest.raises(Locked) as caught:
            lock.check()
        assert caught.value.code == "LOCK-LOST"
