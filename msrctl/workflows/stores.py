"""Work on image stores from a replica's node: one-shots that mount, or reach, the old and the new store."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets as random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msrctl import __version__
from msrctl.engine import clock
from msrctl.engine.oneshot import config_at, run_oneshot, secret_at
from msrctl.engine.protocol import ApiError, Conflict
from msrctl.errors import MsrctlError, Unreachable
from msrctl.model import names
from msrctl.plan.desired import proxy_environment
from msrctl.storage import backend
from msrctl.transfer.pulse import ALIVE
from msrctl.workflows.execute import secret_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from msrctl.engine.protocol import JSON, Engine
    from msrctl.model.cluster import Cluster, Replica, Storage
    from msrctl.secret import Secret

CHECK_SECONDS = 60.0
FOREVER = 30 * 86400.0
"""Seconds: a copy takes as long as it takes; what hangs is seen by its progress."""
STALL_SECONDS = 300.0
"""How long a store may do nothing at all. A part of a layer may take that long over a slow line."""
COMPONENT = "config"
"""Component of the descriptions: what a killed run leaves of them is swept with the other configs."""


@dataclass(frozen=True)
class Side:
    """One store as a one-shot gets it.

    Arguments:
        storage: the store; its secrets are names of swarm secrets.
        writable: whether the one-shot may change it.
        labels: for a volume that the engine makes because it is mounted.
    """

    storage: Storage
    writable: bool = False
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class StoreAnswer:
    """What a task on stores answered.

    Arguments:
        result: its last line, with "ok" and numbers.
        lines: everything, line by line.
    """

    result: JSON
    lines: tuple[JSON, ...]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return bool(self.result["ok"])

    def require(self, doing: str = "") -> StoreAnswer:
        """The answer itself, if all is well.

        Arguments:
            doing: what was not done, put before the task's own words.

        Raises:
            MsrctlError: with the task's code.
        """
        if self.ok:
            return self
        error = self.result.get("error")
        raise MsrctlError(
            f"{doing}: {error}" if doing else str(error), code=str(self.result.get("code", "STORE"))
        )

    def of(self, kind: str) -> list[JSON]:
        """The lines of one type."""
        return [line for line in self.lines if line.get("type") == kind]


def on_stores(
    engine: Engine,
    replica: Replica,
    cluster: Cluster,
    action: str,
    *,
    new: Side,
    old: Side | None = None,
    held: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
    timeout: float = FOREVER,
    stall: float = STALL_SECONDS,
    watch: Callable[[JSON], None] | None = None,
    take: Callable[[JSON], bool] | None = None,
    configs: Sequence[JSON] = (),
) -> StoreAnswer:
    """Runs `msrctl node store ACTION` on a replica's node.

    Arguments:
        engine: a manager.
        replica: on whose node, and with whose image.
        cluster: the document: its proxies are used and its CAs trusted, as by the registry.
        action: see msrctl/transfer/tasks.py.
        new: the store in question.
        old: the store to compare or copy from.
        held: without an old store: secrets of the store in force, to tell whether the new ones are the same.
        options: further arguments of the task; no secrets.
        timeout: seconds.
        stall: seconds in which a store must do something, and the task must get its mounts.
        watch: given the newest progress about once a second.
        take: given every line; those that it answers True to are not kept (see `run_oneshot`).
        configs: references to further configs.

    Raises:
        MsrctlError: the task could not run (STORE-TASK), for example because a mount failed.
        Unreachable: a store does nothing any more (STORE-STALLED), or the node cannot be used.
    """
    sides = {"new": new} | ({"old": old} if old else {})
    mounts = [m for name, side in sides.items() if (m := _mount(side, replica, cluster.id, f"/{name}"))]
    with _described(engine, cluster, replica, sides) as described, _told_by_store(sides, replica, stall):
        result = run_oneshot(
            engine,
            image_id=replica.image,
            node_id=replica.node_id,
            args=["node", "store", action, *options],
            mounts=mounts,
            configs=[*described, *configs],
            secrets=[
                *(
                    secret_at(secret, f"old.{parameter}")
                    for parameter, secret in sorted((held or {}).items())
                ),
                *(
                    secret_at(secret, f"{name}.{parameter}")
                    for name, side in sides.items()
                    for parameter, secret in sorted(side.storage.secrets.items())
                ),
            ],
            # A store that is reached over the network must be seen as the registry will see it: by a
            # container's resolver and routes, without the node's own /etc/hosts.
            networks=["host"] if len(mounts) == len(sides) else [],
            labels={names.LABEL_CLUSTER: cluster.id},
            env=proxy_environment(cluster.settings),
            timeout=timeout,
            user="0:0",
            wait_gone=False,
            watch=watch,
            take=take,
            stall=stall,
        )
    lines = tuple(line for line in result.lines if line.get("type") != ALIVE)
    last = lines[-1] if lines else {}
    if last.get("type") != "result":
        raise MsrctlError(
            f"the task on the store ended without an answer on node {replica.node_name}: {result.why}",
            code="STORE-TASK",
        )
    return StoreAnswer(last, lines)


@contextlib.contextmanager
def _told_by_store(sides: Mapping[str, Side], replica: Replica, stall: float) -> Iterator[None]:
    """Tells a task that does nothing any more as what it is: a store that hangs."""
    try:
        yield
    except Unreachable as error:
        if error.code != "ONESHOT-STALLED":
            raise
        stores = " and ".join(backend(side.storage).words(replica.id) for side in sides.values())
        raise Unreachable(
            f"nothing goes on any more at {stores}: no answer for {clock.in_words(stall)} on node "
            f"{replica.node_name}",
            code="STORE-STALLED",
            hint="Does the storage server answer, from that node? Mend it, then run this again; --max-wait "
            f"gives it more time than {clock.in_words(stall)}."
            if stall < STALL_SECONDS
            else "Does the storage server answer, from that node? Mend it, then run this again.",
        ) from error


def _mount(side: Side, replica: Replica, cluster: str, target: str) -> JSON | None:
    """The mount of one side: volumes by name, since what they hold matters; else as it is tried.

    Exports by name too: swarm makes a volume beforehand for every mount that says how (moby,
    daemon/cluster/executor/container/adapter.go, createVolumes), and of those without a name one is left
    over each time. With its labels it is found again, whoever made it first.
    """
    store = backend(side.storage)
    if side.storage.kind in {"volume", "nfs"}:
        labels = dict(side.labels or {})
        if side.storage.kind == "nfs":
            labels = names.labels(cluster, replica.version, component="registry", replica=replica.id)
        mount = store.mount(replica.id, labels, target)
    else:
        mount = store.trial_mount(target)
    return {**mount, "ReadOnly": True} if mount and not side.writable else mount


@contextlib.contextmanager
def _described(
    engine: Engine, cluster: Cluster, replica: Replica, sides: Mapping[str, Side]
) -> Iterator[list[JSON]]:
    """The descriptions of the stores as configs while the block runs; they hold no secrets."""
    texts = {
        name: json.dumps(_description(side.storage, replica, cluster), sort_keys=True)
        for name, side in sides.items()
    }
    files = {f"{name}.json": (f"store-{name}", text.encode()) for name, text in texts.items()}
    with passing_configs(engine, cluster.id, files) as references:
        yield references


@contextlib.contextmanager
def passing_configs(
    engine: Engine, cluster: str, files: Mapping[str, tuple[str, bytes]]
) -> Iterator[list[JSON]]:
    """Files for a one-shot, below /run/msrctl, as configs for as long as the block runs: references to them.

    Arguments:
        engine: a manager.
        cluster: the cluster's id, for labels; what a killed run leaves is swept by the next.
        files: name of the file to what it is, for the config's name, and its content: no secrets.
    """
    references: list[JSON] = []
    try:
        for file, (what, content) in files.items():
            # A name of its own for each run: one that removes its own must not take another's away.
            config = f"dtr-{what}-{random.token_hex(6)}"
            labels = names.labels(cluster, __version__, component=COMPONENT)
            references.append(config_at(config, f"/run/msrctl/{file}"))
            data = base64.b64encode(content).decode()
            engine.create("configs", {"Name": config, "Labels": labels, "Data": data})
        yield references
    finally:
        for reference in references:
            with contextlib.suppress(ApiError):
                engine.remove("configs", reference["ConfigName"])


def _description(storage: Storage, replica: Replica, cluster: Cluster) -> dict[str, Any]:
    trusted = (storage.root_ca, cluster.settings.custom_ca_cert_bundle)
    return {
        "kind": storage.kind,
        "parameters": storage.parameters,
        "root_ca": "\n".join(filter(None, trusted)) or None,
        "secrets": sorted(storage.secrets),
        "words": backend(storage).words(replica.id),
    }


@contextlib.contextmanager
def trial_secrets(
    engine: Engine, cluster: str, storage: Storage, material: Mapping[str, tuple[Secret, dict[str, str]]]
) -> Iterator[Storage]:
    """A store with secrets that exist for as long as the block runs, to be tried before anything changes.

    Arguments:
        engine: a manager.
        cluster: the cluster's id, for labels; what a killed run leaves is swept by the next.
        storage: a store that names secrets which do not exist yet.
        material: those secrets, by name.
    """
    made: dict[str, str] = {}
    try:
        for parameter, name in storage.secrets.items():
            if name not in material:
                continue
            trial = f"dtr-trial-{random.token_hex(6)}"
            labels = names.labels(cluster, __version__, component="secret")
            made[parameter] = trial
            engine.create("secrets", secret_body(trial, material[name][0], labels))
        yield replace(storage, secrets={**storage.secrets, **made})
    finally:
        for name in made.values():
            with contextlib.suppress(ApiError, Conflict):
                engine.remove("secrets", name)
