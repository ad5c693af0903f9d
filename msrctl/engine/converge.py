"""Waits until a service runs what its spec says, and tells early and with the reason when it never will."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msrctl.engine import clock
from msrctl.engine.protocol import ENDED
from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from collections.abc import Collection

    from msrctl.engine.protocol import JSON, Engine

POLL_SECONDS = 0.15
FAILED = frozenset({"failed", "rejected"})
FAILURES = 2
"""A task that failed this often for one spec is not going to work: swarm would try for ever."""
REPLACING = ("ContainerSpec", "Resources", "RestartPolicy", "LogDriver", "ForceUpdate")
PATIENCE_SECONDS = 6.0
"""How long a task may wait for a place, for example for a port that its predecessor still holds."""
PATIENCE_BACK_SECONDS = 45.0
"""The same on the way back: what is replaced may take its whole grace of 30 s to let go of its port."""

PLACED_SECONDS = 40.0
"""How long the task of an update may take to get a node: what it replaces has a grace of 30 s."""
SETTLED_SECONDS = 2.0
"""How long after an update, or after the end of a task, the swarm may take to do what follows from it."""


def wait_running(
    engine: Engine,
    service: str,
    timeout: float,
    *,
    before: Collection[str] = (),
    going_back: bool = False,
) -> JSON:
    """The one task of a service that runs its present spec; all older tasks have ended.

    Arguments:
        engine: any manager.
        service: the service's name.
        timeout: seconds.
        before: ids of tasks from before the update (`task_ids`): the swarm keeps some that have ended, also
            of this very spec, and that they failed then says nothing now.
        going_back: whether an earlier spec is what is wanted: then the engine's own rollback is welcome.

    Raises:
        MsrctlError: it does not come up; the message has the engine's reason and the details the log's end.
    """
    end = time.monotonic() + timeout
    began = time.monotonic()
    patience = PATIENCE_BACK_SECONDS if going_back else PATIENCE_SECONDS
    while True:
        found = engine.find("services", service)
        if found is None:
            raise MsrctlError(f"service {service} was removed while it started", code="SERVICE-GONE")
        tasks = engine.tasks(found["ID"])
        current = [t for t in tasks if _runs(t, found)]
        running = [t for t in current if t["Status"]["State"] == "running" and not _is_to_stop(t)]
        old = [t for t in tasks if not _runs(t, found) and not is_over(t)]
        update = (found.get("UpdateStatus") or {}).get("State", "")
        if update.endswith("paused") or (update.startswith("rollback") and not going_back):
            new = [t for t in tasks if t["ID"] not in before]
            raise _failure(engine, service, new, "the engine rolled the update back")
        # The engine says "updating" for as long as it watches a new task; its being healthy is enough.
        if running and not old:
            return running[0]
        failed = [t for t in current if t["Status"]["State"] in FAILED and t["ID"] not in before]
        if len(failed) >= FAILURES:
            raise _failure(engine, service, failed, "its tasks fail")
        waiting = [t["Status"].get("Err") for t in current if t["Status"]["State"] == "pending"]
        if any(waiting) and time.monotonic() - began > patience:
            raise _failure(engine, service, current, "no node can take it")
        if time.monotonic() > end:
            raise _failure(engine, service, current or tasks, f"it does not run after {timeout:.0f} s")
        time.sleep(POLL_SECONDS)


def wait_placed(engine: Engine, service: str, timeout: float = PLACED_SECONDS) -> None:
    """Waits until the tasks of a service's present spec have a node; call it before an update that may come
    in the middle of another.

    A task that waits for the host port of the one before has no node, so nobody ends it: an update now would
    have the swarm wait a minute for that (swarmkit, manager/orchestrator/update, OldTaskTimeout), and the
    service would not run until then. Where the port is somebody else's, waiting is of no use.

    Arguments:
        engine: any manager.
        service: the service's name.
        timeout: seconds; when they are over it simply returns.
    """
    now = time.monotonic()
    end, settled = now + timeout, now + SETTLED_SECONDS
    while (now := time.monotonic()) < min(end, settled):
        found = engine.find("services", service)
        if found is None:
            return
        alive = [t for t in engine.tasks(found["ID"]) if not is_over(t)]
        present = [t for t in alive if _runs(t, found)]
        if present and all(t.get("NodeID") for t in present):
            return
        if {t["NodeID"] for t in alive if t.get("NodeID")} - down_nodes(engine):
            settled = now + SETTLED_SECONDS
        time.sleep(POLL_SECONDS)


def is_over(task: JSON) -> bool:
    """Whether a task runs no more and never will.

    Arguments:
        task: as the engine lists it.

    One that is given up before it had a node says "pending" for ever: nobody is there to end it. Seen after
    an update that came while the task of the one before waited for its host ports; the swarm then takes a
    minute to go on (swarmkit waits that long for the old task to stop).
    """
    given_up = _is_to_stop(task) and not task.get("NodeID")
    return given_up or task["Status"]["State"] in ENDED


def _is_to_stop(task: JSON) -> bool:
    return task.get("DesiredState") in {"shutdown", "remove"}


def task_ids(engine: Engine, service: str) -> frozenset[str]:
    """Ids of all tasks of a service by name, also of those that have ended; none if there is no service."""
    found = engine.find("services", service)
    return frozenset(t["ID"] for t in engine.tasks(found["ID"])) if found else frozenset()


def wait_gone(engine: Engine, services: list[str], timeout: float) -> None:
    """Waits until the tasks of removed services have ended, by id.

    Tasks of a node that is down are not waited for: nobody learns what becomes of them.

    Arguments:
        engine: any manager.
        services: ids of services that were removed.
        timeout: seconds; when they are over it simply returns, since removals are tried again anyway.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        left = {t.get("NodeID") for s in services for t in engine.tasks(s) if not is_over(t)}
        if left:
            left -= down_nodes(engine)
        if not left:
            return
        time.sleep(POLL_SECONDS)


def down_nodes(engine: Engine) -> set[str]:
    """Ids of the nodes that are known to be down."""
    return {node["ID"] for node in engine.nodes() if node["Status"]["State"] == "down"}


def _runs(task: JSON, service: JSON) -> bool:
    """Whether a task was made from the service's present spec.

    Swarm replaces a task whenever any of this differs (swarmkit, manager/orchestrator/task.go, IsTaskDirty),
    and lets it run on when only labels of the service, its placement or its way of updating have changed.
    """
    wanted, have = service["Spec"]["TaskTemplate"], task["Spec"]
    same = all((have.get(key) or None) == (wanted.get(key) or None) for key in REPLACING)
    return same and _ports_are(task, service)


def _ports_are(task: JSON, service: JSON) -> bool:
    """Whether a running task has the host ports that the service publishes; its spec does not name them."""
    if task["Status"]["State"] != "running":
        return True
    published = _published(service["Spec"])
    # Engines with IPv6 list each port twice.
    bound = {_port(p) for p in _host_ports((task["Status"].get("PortStatus") or {}).get("Ports"))}
    if published and not bound:
        # A node that was demoted and promoted tells no ports of its tasks any more (seen with 20.10).
        if _published(service.get("PreviousSpec") or service["Spec"]) == published:
            return True
        began = (service.get("UpdateStatus") or {}).get("StartedAt") or service["UpdatedAt"]
        return clock.moment(task["CreatedAt"]) >= clock.moment(began)
    return published == bound


def _published(spec: JSON) -> set[tuple[str, int, int]]:
    return {_port(p) for p in _host_ports((spec.get("EndpointSpec") or {}).get("Ports"))}


def _host_ports(ports: list[JSON] | None) -> list[JSON]:
    return [p for p in ports or [] if p.get("PublishMode") == "host"]


def _port(port: JSON) -> tuple[str, int, int]:
    return port.get("Protocol", "tcp"), port["TargetPort"], port.get("PublishedPort", 0)


def _failure(engine: Engine, service: str, tasks: list[JSON], why: str) -> MsrctlError:
    reasons = [t["Status"].get("Err") for t in tasks if t["Status"].get("Err")]
    message = f"service {service} does not start: {why}" + (f": {reasons[0]}" if reasons else "")
    try:
        log = tuple(engine.logs(service, tail=15))
    except MsrctlError:
        log = ()  # the reason above matters more than a log that cannot be read
    return MsrctlError(message, code="SERVICE-FAILED", details=tuple(f"log: {line}" for line in log))
