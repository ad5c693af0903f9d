"""Takes away what a drill has made; what a killed one left goes with the next or with a destroy."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.engine.converge import wait_gone
from msrctl.engine.faults import NOTHING_CHANGED
from msrctl.engine.lock import Lock
from msrctl.engine.observe import KINDS, labels_of, name_of
from msrctl.engine.removal import remove_when_free
from msrctl.engine.volumes import remove_volume
from msrctl.errors import Locked, MsrctlError
from msrctl.model import names
from msrctl.workflows.signals import signals_wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.engine.protocol import Engine
    from msrctl.model.requests import CommonRequest
    from msrctl.workflows.reporter import Reporter

COMPONENT = "drill"
STOP_SECONDS = 30.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Ledger:
    """What must be known to clean up behind a drill; kept in a config that goes last.

    Arguments:
        drill: its id.
        replica: id of its replica.
        node: swarm node of its volumes.
        image: image id for a one-shot there.
    """

    drill: str
    replica: str
    node: str
    image: str

    @property
    def volumes(self) -> tuple[str, ...]:
        """Names of the volumes that the engine makes for it."""
        return names.default_volume(self.replica), names.gate_volume(self.replica)


@dataclass
class Teardown:
    """How it went.

    Arguments:
        left: what could not be taken away, with the reason.
        seconds: how long it took.
    """

    left: tuple[str, ...] = ()
    seconds: float = 0.0


@contextlib.contextmanager
def thrown_away(engine: Engine, report: Reporter, ledger: Ledger) -> Iterator[Teardown]:
    """A block that may make what it wants under a drill's label: afterwards it is gone.

    Arguments:
        engine: a manager.
        report: where progress goes.
        ledger: of the drill.
    """
    down = Teardown()
    try:
        _write(engine, ledger)
        yield down
    finally:
        with signals_wait(), report.step("teardown") as progress:
            began = time.monotonic()
            down.left = take_away(engine, ledger.drill)
            down.seconds = round(time.monotonic() - began, 3)
            progress.detail("nothing of the drill is left" if not down.left else "; ".join(down.left))


@contextlib.contextmanager
def only_drill(engine: Engine, common: CommonRequest, report: Reporter) -> Iterator[None]:
    """The drills' own lock: a deployment's changes do not wait for a drill."""
    held = Lock(engine, common.command_line, warn=report.warn, name=names.DRILL_LOCK)
    try:
        held.acquire(common.lock_wait or None)
    except Locked as error:
        gone = error.code == "LOCK-STALE"
        raise Locked(
            error.message,
            code=error.code,
            state=NOTHING_CHANGED,
            hint=f"If that drill runs no more: docker config rm {names.DRILL_LOCK}; then run this again."
            if gone
            else "One drill at a time in a swarm: wait with --lock-wait 10m.",
        ) from error
    try:
        yield
    finally:
        held.close()


def sweep(engine: Engine, report: Reporter) -> tuple[str, ...]:
    """Takes away what earlier drills left that were killed. Only under the drills' lock.

    Returns their ids.
    """
    drills = _drills(engine)
    for drill in drills:
        report.warn("An earlier drill was cut short; what it left is taken away.")
        for line in take_away(engine, drill):
            report.warn(f"Still left of it: {line}")
    return drills


def sweep_killed(engine: Engine, common: CommonRequest, report: Reporter) -> tuple[str, ...]:
    """The same for a command that clears everything away; a drill that is at work is left alone.

    Returns the ids of the drills.
    """
    if not _drills(engine) and engine.find("configs", names.DRILL_LOCK) is None:
        return ()
    try:
        with only_drill(engine, replace(common, lock_wait=0), report):
            return sweep(engine, report)
    except Locked as error:
        report.warn(f"A drill of a backup is left alone: {error.message}")
        return ()


def _drills(engine: Engine) -> tuple[str, ...]:
    """Ids of all drills that there is anything of."""
    owners = {
        labels_of(one)[names.LABEL_CLUSTER]
        for kind in KINDS
        for one in engine.list(kind, {names.LABEL_CLUSTER: None})
    }
    return tuple(sorted(filter(names.is_drill, owners)))


def take_away(engine: Engine, drill: str) -> tuple[str, ...]:
    """Removes everything of a drill, by its label alone; returns what could not be removed, and why.

    Arguments:
        engine: a manager.
        drill: its id.
    """
    mine = {names.LABEL_CLUSTER: drill}
    left: list[str] = []
    with _noted(left, "services"):
        services = [str(found["ID"]) for found in engine.list("services", mine)]
        for ident in services:
            engine.remove("services", ident)
        wait_gone(engine, services, STOP_SECONDS)
        _wait_for_containers(engine, mine)
    for ledger in _ledgers(engine, drill):
        for volume in ledger.volumes:
            with _noted(left, f"volume {volume}"):
                remove_volume(engine, volume, ledger.node, mine, image=ledger.image)
    for kind in ("secrets", "networks", "configs"):
        with _noted(left, kind):
            for found in engine.list(kind, mine):
                if labels_of(found).get(names.LABEL_COMPONENT) != COMPONENT:
                    with _noted(left, f"{kind.removesuffix('s')} {name_of(found)}"):
                        remove_when_free(engine, kind, str(found.get("ID") or found["Id"]))
    if not left:
        with _noted(left, "configs"):
            for found in engine.list("configs", mine):
                engine.remove("configs", found["ID"])
    return tuple(left)


def _wait_for_containers(engine: Engine, labels: dict[str, str]) -> None:
    """Of the endpoint's own node: until they have gone they hold their ports, which the next drill wants."""
    end = time.monotonic() + STOP_SECONDS
    while engine.containers(labels) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _noted(left: list[str], what: str) -> Iterator[None]:
    """Goes on after a failure: what is left is told, and everything else is still taken away."""
    try:
        yield
    except MsrctlError as error:
        left.append(f"{what}: {error.message}")


def _write(engine: Engine, ledger: Ledger) -> None:
    labels = names.labels(ledger.drill, __version__, component=COMPONENT)
    data = base64.b64encode(json.dumps(asdict(ledger)).encode()).decode()
    engine.create("configs", {"Name": f"msrctl-{ledger.drill}", "Labels": labels, "Data": data})


def _ledgers(engine: Engine, drill: str) -> list[Ledger]:
    wanted = {names.LABEL_CLUSTER: drill, names.LABEL_COMPONENT: COMPONENT}
    return [
        Ledger(**json.loads(base64.b64decode(found["Spec"]["Data"])))
        for found in engine.list("configs", wanted)
    ]
