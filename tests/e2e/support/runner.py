"""Runs msrctl with something wrong with it: killed at a call to the engine, or a part that misbehaves.

``python runner.py PLAN ARGUMENTS...``; PLAN is JSON:

* ``record``: a file to write the changing calls to, one a line, such as ``create secrets dtr-probe-...``.
* ``kill``: number of the changing call, from 0, at which it kills itself with SIGKILL.
* ``after``: kill after that call has been made instead of before.
* ``at``: kill at the first call whose line begins with this, instead of a number.
* ``nth``: with ``at``: at the so-manieth such call, from 1.
* ``then``: a signal's number to send itself there instead of SIGKILL; the call goes on.
* ``hook``: a function of this file to call first, with ``arguments`` (a list).
* ``calls``: at that call, run this command (a list) on the machine first.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from msrctl.__main__ import main
from msrctl.engine.docker import DockerEngine

Plan = dict[str, Any]


class Trap:
    """Counts the calls that change something, in the main thread only (the heartbeat has its own)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.count = -1
        self.met = 0
        self.sprung = False

    def is_here(self, line: str) -> bool:
        """Whether this call is the one."""
        if threading.current_thread() is not threading.main_thread() or self.sprung:
            return False
        self.count += 1
        if record := self.plan.get("record"):
            with Path(record).open("a") as file:
                file.write(f"{line}\n")
        at = self.plan.get("at")
        self.met += bool(at and line.startswith(at))
        if at:
            self.sprung = line.startswith(at) and self.met == self.plan.get("nth", 1)
        else:
            self.sprung = self.count == self.plan.get("kill")
        return self.sprung

    def spring(self) -> None:
        """Does what was planned."""
        if command := self.plan.get("calls"):
            subprocess.run(command, check=True, capture_output=True)
        else:
            os.kill(os.getpid(), self.plan.get("then", signal.SIGKILL))


def wrap(trap: Trap, name: str, words: Any) -> None:
    """Makes a method of the engine pass through the trap."""
    original = getattr(DockerEngine, name)

    def call(self: DockerEngine, *args: Any, **kwargs: Any) -> Any:
        here = trap.is_here(f"{name} {words(*args)}")
        if here and not trap.plan.get("after"):
            trap.spring()
        try:
            answer = original(self, *args, **kwargs)
        except Exception:
            # "After" means that it was done; msrctl tries what is in use again.
            trap.sprung = trap.sprung and not here
            trap.met -= here
            raise
        if here and trap.plan.get("after"):
            trap.spring()
        return answer

    setattr(DockerEngine, name, call)


def break_nginx() -> None:
    """The proxy's configuration has a line that nginx does not know."""
    from msrctl.registry import proxy

    render = proxy.render

    def broken(*args: Any) -> dict[str, str]:
        files = render(*args)
        return {**files, proxy.CONFIG_PATH: files[proxy.CONFIG_PATH] + "\nno_such_directive on;\n"}

    proxy.render = broken


def break_registry() -> None:
    """The registry's configuration is not one."""
    from msrctl.registry import config

    config.render = lambda *_, **__: "version: 0.1\nstorage: {}\n"


def break_program(replica: str) -> None:
    """The registry of this one replica is started with a program that is not there."""
    from msrctl.plan import desired

    original = desired._registry

    def broken(cluster: Any, one: Any) -> Any:
        name, spec, used = original(cluster, one)
        if one.id == replica:
            spec["TaskTemplate"]["ContainerSpec"]["Command"] = ["/no/such/program"]
        return name, spec, used

    desired._registry = broken


def wrong_clock(seconds: float) -> None:
    """The time of day is another one for this process; TLS alone asks the system."""
    import datetime as dt
    import time

    class Wrong(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return right.now(tz) + dt.timedelta(seconds=seconds)

    right, now = dt.datetime, time.time
    time.time = lambda: now() + seconds
    dt.datetime = Wrong  # type: ignore[misc]
    for module in list(sys.modules.values()):
        if getattr(module, "datetime", None) is right:
            module.datetime = Wrong  # type: ignore[attr-defined]


def main_with_trap() -> None:
    """Sets the trap and runs msrctl."""
    plan: Plan = json.loads(sys.argv[1])
    trap = Trap(plan)
    wrap(trap, "create", lambda kind, spec: f"{kind} {spec.get('Name', '')}")
    wrap(trap, "update", lambda kind, _id, _version, spec: f"{kind} {spec.get('Name', '')}")
    wrap(trap, "remove", lambda *found: " ".join(found))
    wrap(trap, "init_swarm", lambda *_: "swarm")
    wrap(trap, "leave_swarm", lambda *_: "swarm")
    if hook := plan.get("hook"):
        globals()[hook](*plan.get("arguments", []))
    sys.argv[1:] = sys.argv[2:]
    main()


if __name__ == "__main__":
    main_with_trap()
