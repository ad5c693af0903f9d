"""The one lock of a swarm: a config of a fixed name, which only one client can create; with a heartbeat."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from msrctl.engine import clock
from msrctl.engine.process import Process, is_provably_dead, this_process
from msrctl.engine.protocol import JSON, Conflict, Engine, NotFound, OutOfSequence
from msrctl.errors import Locked, MsrctlError
from msrctl.model import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
POLL_SECONDS = 1.0
LABEL_HEARTBEAT = "io.msrctl.heartbeat"


@dataclass(frozen=True)
class LockStatus:
    """The lock as it is found.

    Arguments:
        ident: id of the config.
        holder: ``user@host``.
        command: what the holder runs; without secrets.
        since: when it was taken, by the engine's clock, ISO 8601.
        age: seconds since then.
        heartbeat_age: seconds since the holder's last sign of life.
        stale: there was none for 30 s.
        dead: the holder ran on this host and runs no more; that is proven.
    """

    ident: str
    holder: str
    command: str
    since: str
    age: float
    heartbeat_age: float
    stale: bool
    dead: bool

    def sentence(self) -> str:
        """Who holds it and since when, for people."""
        running = f'{self.holder} has been running "{self.command}" for {clock.in_words(self.age)}'
        return f"{running} (last heartbeat {clock.in_words(self.heartbeat_age)} ago)"


def status(engine: Engine, name: str = names.LOCK) -> LockStatus | None:
    """The lock as it is now; None if nobody holds it."""
    found = engine.find("configs", name)
    return _status_of(found, engine) if found else None


def release(
    engine: Engine, *, force: bool = False, pause: Callable[[float], None] = time.sleep
) -> LockStatus | None:
    """Takes the lock away from a holder that is gone.

    A lock that looks stale is watched for more than one heartbeat first: the age is a difference of two
    engines' clocks, the heartbeat is a fact.

    Arguments:
        engine: the swarm.
        force: also from one that is alive; it stops at its next step.
        pause: waits for seconds.

    Returns:
        The lock that was taken away; None if nobody held it.

    Raises:
        Locked: the holder is alive, and `force` is not set.
    """
    found = engine.find("configs", names.LOCK)
    if found is None:
        return None
    held = _status_of(found, engine)
    if not force and not held.dead:
        if not held.stale:
            raise _locked(held)
        pause(HEARTBEAT_SECONDS * 1.5)
        again = engine.find("configs", names.LOCK)
        if again is not None and again["Version"] != found["Version"]:
            raise _locked(_status_of(again, engine))
    # By id: if somebody else has taken it since, theirs is another config.
    engine.remove("configs", held.ident)
    return held


class Lock:
    """Holds the lock while in its `with` block.

    Arguments:
        engine: the swarm; the heartbeat uses a clone of it.
        command: what is going on, for others to read; no secrets.
        wait: seconds to wait for a holder that is alive; None: not at all.
        warn: told when the lock of a dead process is taken over.
        process: who takes it.
        heartbeat: seconds between signs of life.
        name: of the config that is the lock.
    """

    def __init__(
        self,
        engine: Engine,
        command: str,
        *,
        wait: float | None = None,
        warn: Callable[[str], None] = lambda _: None,
        process: Process | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
        name: str = names.LOCK,
    ) -> None:
        self._engine, self._command, self._wait, self._warn = engine, command, wait, warn
        self._process = process or this_process()
        self._seconds = heartbeat
        self._name = name
        self._ident = ""
        self._lost = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self, wait: float | None = None) -> None:
        """Takes the lock.

        Arguments:
            wait: seconds to wait for a holder that is alive; None: not at all.

        Raises:
            Locked: somebody else holds it (code LOCKED), or their heartbeat has stopped (code LOCK-STALE).
        """
        deadline = time.monotonic() + (wait or 0)
        while not self._create():
            held = status(self._engine, self._name)
            if held is None:
                continue  # given back in between
            if held.dead:
                # Removing by id succeeds for one client only; whoever is late meets the new lock.
                if self._engine.remove("configs", held.ident):
                    self._warn(f'the lock was left behind by {held.holder}, whose "{held.command}" has died')
                continue
            left = deadline - time.monotonic()
            if held.stale or left <= 0:
                raise _locked(held)
            time.sleep(min(POLL_SECONDS, left))
        self._engine.expect_leader()
        self._lost = ""
        self._stop.clear()
        self._thread = threading.Thread(target=self._beat, name="msrctl-lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises if the lock is no longer ours; call it before each step.

        It asks the swarm: a process that was stopped for a while goes on before its heartbeat notices.

        Raises:
            Locked: code LOCK-LOST.
        """
        if not self._lost:
            found = self._engine.find("configs", self._name)
            self._lost = _lost_to(found, self._ident, self._engine)
        if self._lost:
            raise Locked(
                f"the lock was lost: {self._lost}",
                code="LOCK-LOST",
                hint="msrctl lock status tells who holds it now; msrctl status what state things are in.",
            )

    def close(self) -> None:
        """Ends the heartbeat and gives the lock back, if it is still ours."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._ident:
            self._engine.remove("configs", self._ident)
            self._ident = ""

    def __enter__(self) -> Self:
        self.acquire(self._wait)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except MsrctlError as fault:
            # What went wrong inside is what the user must see, and what went well is not undone by this: the
            # heartbeat has ended, so the lock turns stale.
            if error is None:
                self._warn(f"the lock could not be given back: {fault}; msrctl lock release does it")

    def _create(self) -> bool:
        data = {"process": self._process.to_json(), "command": self._command}
        spec = {
            "Name": self._name,
            "Labels": {names.LABEL_COMPONENT: "lock", LABEL_HEARTBEAT: "0"},
            "Data": base64.b64encode(json.dumps(data, sort_keys=True).encode()).decode(),
        }
        try:
            self._ident = self._engine.create("configs", spec)
        except Conflict:
            return False
        return True

    def _beat(self) -> None:
        """Runs in a thread: the heartbeat, until stopped or lost."""
        with contextlib.closing(self._engine.clone()) as engine:
            last = time.monotonic()
            while not self._stop.wait(self._seconds):
                try:
                    self._lost = _heartbeat(engine, self._ident, self._name)
                    last = time.monotonic()
                except MsrctlError as error:
                    silent = time.monotonic() - last
                    if silent > STALE_SECONDS:
                        self._lost = f"no heartbeat reached the swarm for {clock.in_words(silent)} ({error})"
                if self._lost:
                    return


def _heartbeat(engine: Engine, ident: str, name: str = names.LOCK) -> str:
    """One sign of life; returns why the lock is lost, or nothing."""
    found = engine.find("configs", name)
    if found is None or found["ID"] != ident:
        return _lost_to(found, ident, engine)
    labels = dict(found["Spec"].get("Labels") or {})
    labels[LABEL_HEARTBEAT] = str(int(labels.get(LABEL_HEARTBEAT, "0")) + 1)
    # OutOfSequence or NotFound: it was just taken away; the next round finds out by whom.
    with contextlib.suppress(OutOfSequence, NotFound):
        engine.update("configs", ident, found["Version"]["Index"], {"Name": name, "Labels": labels})
    return ""


def _lost_to(found: JSON | None, ident: str, engine: Engine) -> str:
    """Why the lock is lost, given the config that is there; nothing if it is still this one."""
    if found is None:
        return "somebody released it"
    return "" if found["ID"] == ident else _status_of(found, engine).sentence()


def _status_of(found: JSON, engine: Engine) -> LockStatus:
    try:
        data = json.loads(base64.b64decode(found["Spec"].get("Data", "")))
        process, command = Process.from_json(data.get("process")), str(data.get("command", "msrctl"))
    except (ValueError, AttributeError):
        process, command = None, "an unknown command"
    now = clock.now(engine)
    silent = max(0.0, (now - clock.moment(found["UpdatedAt"])).total_seconds())
    return LockStatus(
        ident=found["ID"],
        holder=process.who if process else "somebody",
        command=command,
        since=found["CreatedAt"],
        age=max(0.0, (now - clock.moment(found["CreatedAt"])).total_seconds()),
        heartbeat_age=silent,
        stale=silent > STALE_SECONDS,
        dead=process is not None and is_provably_dead(process, this_process()),
    )


def _locked(held: LockStatus) -> Locked:
    if held.stale:
        return Locked(
            f"locked: {held.sentence()}; it is probably gone",
            code="LOCK-STALE",
            state="Nothing was changed.",
            hint="If that msrctl runs no more, take the lock away: msrctl lock release. Then run this again.",
        )
    return Locked(
        f"locked: {held.sentence()}",
        state="Nothing was changed.",
        hint="Wait with --lock-wait 10m, or see msrctl lock status.",
    )
