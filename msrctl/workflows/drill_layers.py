"""The layers for a drill: out of the backup, or from the store that it recorded, which is only read."""

from __future__ import annotations

import contextlib
import json
import secrets as random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.backup.content import Unpacked
from msrctl.backup.judge import Judge
from msrctl.errors import MsrctlError, WrongState
from msrctl.model.cluster import Storage
from msrctl.storage import backend
from msrctl.transfer.inventory import Inventory
from msrctl.workflows import collect, preflight
from msrctl.workflows.material import Material
from msrctl.workflows.restore_document import recorded_store
from msrctl.workflows.stores import FOREVER, Side, on_stores, passing_configs, trial_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.backup.check import Backup
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.swarm import Node

FETCHED_AT_ONCE = 5_000
"""Digests in one config, of 100 bytes each: a config has less than 1,000 kB."""


@dataclass(frozen=True)
class Tag:
    """One tag of a backup, with all that is pulled for it.

    Arguments:
        repository: its name.
        tag: its name there.
        digest: of its manifest.
        parts: digest to bytes of configuration and layers, below all its manifests.
    """

    repository: str
    tag: str
    digest: str
    parts: dict[str, int]

    @property
    def name(self) -> str:
        """``repository:tag``."""
        return f"{self.repository}:{self.tag}"


def sample(found: Backup, wanted: int | None, missing: dict[str, str]) -> list[Tag]:
    """Some tags by chance, with what they need; those that cannot be pulled anyway are not among them.

    Arguments:
        found: the backup.
        wanted: how many; None: all.
        missing: tags whose layers are nowhere.
    """
    names = [
        (name, tag, digest)
        for name, repository in sorted(found.inventory.repositories.items())
        for tag, digest in sorted(repository.tags.items())
        if f"{name}:{tag}" not in missing
    ]
    if wanted is not None and wanted < len(names):
        names = sorted(random.SystemRandom().sample(names, wanted))
    return [Tag(*entry, _parts(found, entry[2])) for entry in names]


def _parts(found: Backup, digest: str) -> dict[str, int]:
    refers = found.known[digest]
    assert refers is not None  # reading the backup has seen to it
    sizes = found.inventory.blobs
    parts = {part: sizes.get(part, size or 0) for part, size in refers.parts}
    for child in refers.children:
        parts |= _parts(found, child)
    return parts


class Layers:
    """Where the layers of a drill come from.

    Arguments:
        found: the backup.
        words: the place, for people.
    """

    def __init__(self, found: Backup, words: str) -> None:
        self._found = found
        self.words = words
        self.missing: dict[str, str] = {}
        """Tags whose layers are not there: a restore would be without them."""
        self._blobs = dict(found.layers)

    def judged(self, tags: list[Tag]) -> Judge:
        """What has to be written into an empty store: all manifests and links, and of layers only a sample's.

        Arguments:
            tags: the sample.
        """
        known = self._found.known
        there = Inventory(blobs={d: s for d, s in self._blobs.items() if d not in known})
        judge = Judge(self._found, there)
        judge.judge()
        pushed = {part: tag.repository for tag in tags for part in tag.parts}
        judge.verdict.layers = {d: name for d, name in pushed.items() if d in self._found.layers}
        return judge

    def fetch(self, report: Reporter, cluster: Cluster, tags: list[Tag]) -> None:
        """Brings the sample's layers into the drill's store; those in the backup are pushed instead."""


class StoredLayers(Layers):
    """Layers in the store that the backup recorded.

    Arguments:
        engine: a manager.
        found: the backup.
        trial: the store, with secrets that exist.
        cluster: the drill's document.
    """

    def __init__(self, engine: Engine, found: Backup, trial: Storage, cluster: Cluster) -> None:
        super().__init__(found, backend(trial).words(cluster.replicas[0].id))
        self._engine = engine
        self._trial = trial
        self._cluster = cluster

    def look(self, report: Reporter) -> None:
        """Reads what the store holds: every tag of the backup is looked after, not only the sample.

        Raises:
            MsrctlError: the store cannot be read from the drill's node.
        """
        cluster = self._cluster
        there = Unpacked(digests=self._found.unpacked.digests)
        with report.step("inventory", self.words) as progress:
            try:
                collect.inventory(self._engine, cluster, cluster.replicas[0], self._trial, there)
            except MsrctlError as error:
                raise _unreadable(error, self.words) from error
            inventory = there.inventory
            progress.detail(f"{self.words}: {inventory.tags:,} tags, {len(inventory.blobs):,} blobs")
        self.missing = Judge(self._found, inventory).judge().broken
        self._blobs = inventory.blobs

    def fetch(self, report: Reporter, cluster: Cluster, tags: list[Tag]) -> None:
        """Copies the sample's layers, each hashed on the way; the store is only read."""
        wanted = sorted({part: size for tag in tags for part, size in tag.parts.items()}.items())
        with report.step("layers", f"{len(wanted):,} layers from {self.words}") as progress:
            lost: list[str] = []
            for at in range(0, len(wanted), FETCHED_AT_ONCE):
                lost += self._fetch(cluster, dict(wanted[at : at + FETCHED_AT_ONCE]))
            progress.detail(f"{len(wanted) - len(lost):,} of {len(wanted):,} layers from {self.words}")
        for digest in lost[:20]:
            report.warn(f"{self.words}: layer {digest} cannot be read whole")

    def _fetch(self, cluster: Cluster, wanted: dict[str, int]) -> list[str]:
        files = {"wanted.json": ("wanted", json.dumps(wanted).encode())}
        with passing_configs(self._engine, cluster.id, files) as references:
            answer = on_stores(
                self._engine,
                cluster.replicas[0],
                cluster,
                "fetch",
                new=Side(cluster.storage, writable=True),
                old=Side(self._trial),
                configs=references,
                timeout=FOREVER,
            )
        answer.require(f"layers cannot be copied from {self.words}")
        return list(answer.result["lost"])


@contextlib.contextmanager
def layers(engine: Engine, report: Reporter, found: Backup, cluster: Cluster, node: Node) -> Iterator[Layers]:
    """Where the layers of a drill come from, for a block: the store's credentials exist that long.

    Arguments:
        engine: a manager.
        report: where progress goes.
        found: the backup.
        cluster: the drill's document.
        node: the drill's node.

    Raises:
        WrongState: DRILL-STORE: the store is a volume of another node.
        MsrctlError: it cannot be read.
    """
    if found.layers or not found.inventory.tags:
        yield Layers(found, "the backup")
        return
    material = Material(cluster.id, __version__)
    recorded = _by_name(engine, found, recorded_store(found, material), node)
    with trial_secrets(engine, cluster.id, recorded, material.secrets) as trial:
        made = StoredLayers(engine, found, trial, cluster)
        made.look(report)
        yield made


def _by_name(engine: Engine, found: Backup, recorded: Storage, node: Node) -> Storage:
    """A store whose volume is named: a drill's replica has another id than the one that gave it its name."""
    if recorded.kind != "volume":
        return recorded
    replica = found.cluster.replicas[0]
    mount = backend(recorded).mount(replica.id, {})
    assert mount is not None
    volume = str(mount["Source"])
    # To mount one that is not there would make it.
    if not node.is_endpoint or engine.find("volumes", volume) is None:
        raise WrongState(
            f"the backup has no layers in it, and its images are in volume {volume} of node "
            f"{replica.node_name}, which is not on {node.name}",
            code="DRILL-STORE",
            state=preflight.NOTHING,
            hint="Run the drill at the engine of that node (DOCKER_HOST), or drill with a backup that was "
            "made with --include-images.",
        )
    return replace(recorded, parameters={"volume": volume})


def _unreadable(error: MsrctlError, words: str) -> MsrctlError:
    return type(error)(
        f"the backup has no layers in it, and its store cannot be read from here: {words}: {error.message}",
        code=error.code,
        state=error.state,
        hint="Run the drill where the store can be reached, or with a backup that was made with "
        "--include-images, which needs no store.",
        details=error.details,
    )
