"""Runs msrctl once on a node of the swarm, and brings back its JSON lines and its exit code."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msrctl.engine import clock
from msrctl.engine.process import Process, is_provably_dead, this_process
from msrctl.engine.protocol import ENDED, JSON, ApiError, Engine, NotFound
from msrctl.engine.skew import require_same_version
from msrctl.errors import MsrctlError, Unreachable
from msrctl.model import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMPONENT = "oneshot"
POLL_SECONDS = 0.1
# A program that is process 1 and catches no signal ignores SIGTERM; it should not keep anybody waiting.
STOP_SECONDS = 3
REMOVAL_SECONDS = 20.0
WHOLE_LOG = "1000g"
WATCH_SECONDS = 1.0
# How long "no suitable node" may stand: swarm says it as well while it waits for a port or for memory.
PLACEMENT_SECONDS = 5.0


@dataclass(frozen=True)
class OneShotResult:
    """What came of a one-shot.

    Arguments:
        exit_code: that of the program; None if it never ran.
        lines: the JSON objects that it printed, one a line.
        raw_log: everything that it printed, line by line, oldest first.
        task_error: the engine's message if the task failed, for example why a volume could not be mounted.
    """

    exit_code: int | None
    lines: tuple[JSON, ...]
    raw_log: tuple[str, ...]
    task_error: str

    @property
    def ok(self) -> bool:
        """Whether the program ran and ended with 0."""
        return self.exit_code == 0

    @property
    def why(self) -> str:
        """Why there is no answer: the engine's message, and the last that the program said."""
        said = self.raw_log[-1:] if self.task_error else self.raw_log[-3:]
        return " ".join((*filter(None, [self.task_error]), *said))


def run_oneshot(
    engine: Engine,
    *,
    image_id: str,
    node_id: str,
    args: Sequence[str],
    mounts: Sequence[JSON] = (),
    configs: Sequence[JSON] = (),
    secrets: Sequence[JSON] = (),
    env: Sequence[str] = (),
    networks: Sequence[str] = (),
    labels: Mapping[str, str],
    timeout: float,
    program: Sequence[str] = ("msrctl",),
    user: str | None = None,
    wait_gone: bool = True,
    watch: Callable[[JSON], None] | None = None,
    name: str | None = None,
    take: Callable[[JSON], bool] | None = None,
    any_version: bool = False,
    stall: float | None = None,
) -> OneShotResult:
    """Runs a program once on a node, and removes every trace of it.

    A replicated service with restart policy none, not a replicated-job: Docker Engine 20.10 never removes the
    containers of removed jobs, and their volumes stay in use (reference: measured).

    Arguments:
        engine: any manager.
        image_id: ``sha256:...``; the node must have it, no registry is asked.
        node_id: where to run.
        args: arguments of the program; anybody who can read the swarm sees them: no secrets.
        mounts: mounts as in the Engine API's ContainerSpec.
        configs: references to configs, by name, likewise.
        secrets: references to secrets, by name, likewise.
        env: ``NAME=value``, as public as the arguments.
        networks: names; ``host`` is the node's own.
        labels: for the service and the container, for example those of the cluster.
        timeout: seconds until the program must have ended.
        program: what to run; the image has msrctl.
        user: whom to run as, if not the image's user.
        wait_gone: return only when the container has gone. The engine gives a task on a network 2 s for the
            cluster's gossip before it stops it (moby, daemon/cluster/executor/container/controller.go,
            defaultGossipConvergeDelay); False does without, for one-shots that hold nothing others wait for.
        watch: given the newest of its JSON lines, about once a second while it runs.
        name: of the service, for others that must find it on a network; None: a random one.
        take: given every JSON line when the program has ended, in order; those that it answers True to are
            not kept in the result. For answers too large to be kept.
        any_version: whether an image of another msrctl will do, as for what takes away or gives free.
        stall: seconds in which the task must change its state or print a line; None: it may be silent.

    Raises:
        WrongState: the image has another msrctl in it (code IMAGE-SKEW), which may not know what it is asked.
        Unreachable: the node is gone, down or takes no work (codes NODE-UNKNOWN, NODE-DOWN), the time
            is over (code ONESHOT-TIMEOUT), or nothing goes on any more (code ONESHOT-STALLED).
    """
    if not any_version and program[0] == "msrctl":
        require_same_version(engine, image_id)
    _require_ready(engine, node_id)
    container: JSON = {
        "Image": image_id,
        "Command": list(program),
        "Args": list(args),
        **({"Env": list(env)} if env else {}),
        "Mounts": list(mounts),
        "Configs": list(configs),
        "Secrets": list(secrets),
        "Labels": {**labels, names.LABEL_COMPONENT: COMPONENT},
        "StopGracePeriod": STOP_SECONDS * 10**9,
        # The image's own check would keep the task's name unknown on its networks until it first passes.
        "Healthcheck": {"Test": ["NONE"]},
        **({"User": user} if user else {}),
    }
    spec = _service(container, node_id, networks, name)
    if take:
        # The engine's own options would let a long log go at its beginning.
        spec["TaskTemplate"]["LogDriver"]["Options"] = {"max-size": WHOLE_LOG}
    ident = ""
    try:
        ident = engine.create("services", spec)
        task = _wait(engine, ident, node_id, timeout, watch, stall)
        return _result(engine, ident, task, take)
    finally:
        # By name if the answer to `create` never came: a signal may fall anywhere.
        _remove(engine, ident or _ident_of(engine, spec["Name"]), node_id, wait_gone=wait_gone)


def config_at(name: str, target: str) -> JSON:
    """Reference to a config for a one-shot, as a file that everybody in it may read."""
    return {"ConfigName": name, "File": {"Name": target, "UID": "0", "GID": "0", "Mode": 0o444}}


def secret_at(name: str, target: str) -> JSON:
    """Reference to a secret for a one-shot that runs as root, at /run/secrets/<target>."""
    return {"SecretName": name, "File": {"Name": target, "UID": "0", "GID": "0", "Mode": 0o400}}


def sweep_oneshots(engine: Engine, *, older_than: float = 900.0) -> list[str]:
    """Removes one-shots that a killed msrctl left behind; returns their names.

    On the endpoint's own node also containers of one-shots that the swarm knows no more. An engine that loses
    its power while it removes a task forgets the container (Docker Engine 20.10, seen in
    tests/e2e/test_switch_kill.py), which would keep its volume in use for ever.

    Arguments:
        engine: any manager.
        older_than: seconds; younger ones may belong to a msrctl that is at work (status takes no lock),
            unless it is proven dead.
    """
    now, here = clock.now(engine), this_process()
    swept, kept = [], set()
    containers = engine.containers({names.LABEL_COMPONENT: COMPONENT})  # before the services: none is missed
    for found in engine.list("services", {names.LABEL_COMPONENT: COMPONENT}):
        age = (now - clock.moment(found["CreatedAt"])).total_seconds()
        # A drill has no part in the lock that tells that nothing else is at work, and sweeps for itself.
        of_drill = names.is_drill(found["Spec"]["Labels"].get(names.LABEL_CLUSTER))
        if (age >= older_than and not of_drill) or _is_orphan(found, here):
            if engine.remove("services", found["ID"]):
                swept.append(str(found["Spec"]["Name"]))
        else:
            kept.add(found["ID"])
    for container in containers:
        if container["Labels"].get("com.docker.swarm.service.id") not in kept:
            engine.remove_container(container["Id"])
    return swept


def _is_orphan(service: JSON, here: Process) -> bool:
    """Whether the msrctl that made a one-shot ran on this host and runs no more."""
    try:
        owner = Process.from_json(json.loads(service["Spec"]["Labels"][names.LABEL_OWNER]))
    except (KeyError, ValueError):
        return False
    return owner is not None and is_provably_dead(owner, here)


def _service(container: JSON, node_id: str, networks: Sequence[str], name: str | None) -> JSON:
    return {
        "Name": name or f"msrctl-run-{secrets.token_hex(6)}",
        "Labels": {
            **container["Labels"],
            names.LABEL_OWNER: json.dumps(this_process().to_json(), separators=(",", ":")),
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},
        "TaskTemplate": {
            "ContainerSpec": container,
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": [f"node.id=={node_id}"]},
            "Networks": [{"Target": name} for name in networks],
            # The engine's default driver may be one whose log cannot be read back.
            "LogDriver": {"Name": "json-file"},
        },
    }


def _require_ready(engine: Engine, node_id: str) -> None:
    """Swarm accepts a service for a node that is gone, and its task waits for ever: look first."""
    node = next((n for n in engine.nodes() if n["ID"] == node_id), None)
    if node is None:
        raise Unreachable(
            f"node {node_id} is not in this swarm",
            code="NODE-UNKNOWN",
            hint="docker node ls lists the nodes.",
        )
    name = node.get("Description", {}).get("Hostname") or node_id
    state, availability = node["Status"]["State"], node["Spec"].get("Availability", "active")
    if state != "ready":
        raise Unreachable(
            f"node {name} is {state}",
            code="NODE-DOWN",
            hint=f"Bring it back: docker node inspect {name} says more.",
        )
    if availability != "active":
        raise Unreachable(
            f"node {name} takes no work: its availability is {availability}",
            code="NODE-DOWN",
            hint=f"docker node update --availability active {name}",
        )


def _wait(
    engine: Engine,
    ident: str,
    node_id: str,
    timeout: float,
    watch: Callable[[JSON], None] | None,
    stall: float | None,
) -> JSON:
    """The task, once it has ended."""
    began = looked = moved = time.monotonic()
    seen: tuple[str, str] = ("", "")
    while True:
        task: JSON = next(iter(engine.tasks(ident)), {"Status": {"State": "new"}})
        state, message = task["Status"]["State"], _message(task)
        if state in ENDED:
            return task
        waited = time.monotonic() - began
        if state == "pending" and message and waited > min(PLACEMENT_SECONDS, timeout):
            raise Unreachable(
                f"node {node_id} does not take the task: {message}",
                code="NODE-DOWN",
                hint="docker node ls shows which nodes are ready.",
            )
        if waited > timeout:
            details = f" (the task is {state}{': ' + message if message else ''})"
            raise Unreachable(
                f"a one-shot on node {node_id} did not end within {clock.in_words(timeout)}{details}",
                code="ONESHOT-TIMEOUT",
                details=_log_end(engine, ident),
                hint="Look at that node: is its disk or network slow, or does a mount hang?",
            )
        line = seen[1]
        if (watch or stall) and state == "running" and time.monotonic() - looked > WATCH_SECONDS:
            looked = time.monotonic()
            line = next(iter(engine.logs(ident, tail=1)), "")
            if watch and (data := _parsed(line)):
                watch(data)
        if (state, line) != seen:
            seen, moved = (state, line), time.monotonic()
        if stall and time.monotonic() - moved > stall:
            raise Unreachable(
                f"a one-shot on node {node_id} has done nothing for {clock.in_words(stall)} (it is {state})",
                code="ONESHOT-STALLED",
                hint="Look at that node: does a mount hang, or what it mounts from?",
            )
        time.sleep(POLL_SECONDS)


def _result(engine: Engine, ident: str, task: JSON, take: Callable[[JSON], bool] | None) -> OneShotResult:
    container = task["Status"].get("ContainerStatus") or {}
    if take is None:
        log = tuple(engine.logs(ident))
    else:
        log = tuple(
            line for line in engine.stream_logs(ident) if (data := _parsed(line)) is None or not take(data)
        )
    # A container that could not be started has an exit code too, which is not the program's.
    message = _message(task)
    ran = task["Status"]["State"] == "complete" or message.startswith("task: non-zero exit")
    return OneShotResult(
        exit_code=container.get("ExitCode", 0) if ran else None,
        lines=tuple(data for line in log if (data := _parsed(line)) is not None),
        raw_log=log,
        task_error=message,
    )


def _message(task: JSON) -> str:
    return str(task["Status"].get("Err") or "")


def _parsed(line: str) -> JSON | None:
    try:
        data: Any = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _log_end(engine: Engine, ident: str) -> tuple[str, ...]:
    try:
        return tuple(engine.logs(ident, tail=10))
    except MsrctlError:
        return ()


def _ident_of(engine: Engine, name: str) -> str:
    found = engine.find("services", name)
    return str(found["ID"]) if found else ""


def _remove(engine: Engine, ident: str, node_id: str, *, wait_gone: bool) -> None:
    """Removes the service and waits until nothing of it is left, unless nobody needs that.

    Containers of other nodes cannot be seen from here. Theirs are removed right after the task; whoever
    removes a volume there must be ready to try again.
    """
    if not ident:
        return
    engine.remove("services", ident)
    if not wait_gone:
        return
    here = engine.info().get("Swarm", {}).get("NodeID") == node_id
    deadline = time.monotonic() + REMOVAL_SECONDS
    while time.monotonic() < deadline:
        if not _tasks(engine, ident) and not (
            here and engine.containers({"com.docker.swarm.service.id": ident})
        ):
            return
        time.sleep(POLL_SECONDS)


def _tasks(engine: Engine, ident: str) -> list[JSON]:
    try:
        return engine.tasks(ident)
    except (NotFound, ApiError):
        return []
