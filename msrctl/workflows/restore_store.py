"""What a restore does in the store: compares it with the backup, and writes back what it lacks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msrctl.backup import layout
from msrctl.backup.content import Unpacked, read_manifests
from msrctl.backup.judge import Judge
from msrctl.backup.reader import Reader
from msrctl.errors import VerifyFailed
from msrctl.plan.desired import registry_labels
from msrctl.storage import backend
from msrctl.transfer.inventory import blob_key
from msrctl.transfer.writeback import DROP, MANIFEST, packages
from msrctl.workflows import backup_layers, collect
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.stores import FOREVER, Side, on_stores, passing_configs, trial_secrets

if TYPE_CHECKING:
    from msrctl.backup.check import Backup
    from msrctl.backup.reader import Member
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster
    from msrctl.workflows.backup_file import Opened
    from msrctl.workflows.material import Material
    from msrctl.workflows.reporter import Reporter

LISTED = 20
"""Broken tags in an error; the result has all."""
AT_ONCE = 8
"""Packages for one one-shot."""


class StoreWork:
    """The store of one restore.

    Arguments:
        engine: a manager.
        report: where progress goes.
        file: the backup's file, for its manifests and layers.
        found: the backup.
    """

    def __init__(self, engine: Engine, report: Reporter, file: Opened, found: Backup) -> None:
        self._engine = engine
        self._report = report
        self._file = file
        self._found = found
        self._judge: Judge
        self.written = 0

    def compare(self, cluster: Cluster, material: Material, *, allow_missing: bool) -> Judge:
        """Reads what the store holds, and judges.

        Arguments:
            cluster: the document that is wanted.
            material: secrets of the store that do not exist yet.
            allow_missing: whether tags may be broken.

        Raises:
            VerifyFailed: RESTORE-MISSING: tags of the backup could not be pulled.
        """
        replica = cluster.replicas[0]
        labels = registry_labels(cluster, replica)
        words = backend(cluster.storage).words(replica.id)
        # The same texts of digests for both inventories: each is kept once.
        there = Unpacked(digests=self._found.unpacked.digests)
        with (
            self._report.step("inventory", words) as progress,
            trial_secrets(self._engine, cluster.id, cluster.storage, material.secrets) as trial,
        ):
            collect.inventory(self._engine, cluster, replica, trial, there, labels=labels)
            inventory = there.inventory
            progress.detail(f"{words}: {inventory.tags:,} tags, {len(inventory.blobs):,} blobs")
        self._judge = Judge(self._found, inventory)
        verdict = self._judge.judge()
        if verdict.broken and not allow_missing:
            raise _missing(verdict.broken, self._found.inventory.tags, words)
        return self._judge

    def take(self, judge: Judge) -> None:
        """Works by this judgement from now on, instead of one that `compare` makes."""
        self._judge = judge

    def put_layers(self, cluster: Cluster) -> None:
        """Pushes the layers that the store lacks, through the registry, as clients push.

        Raises:
            MsrctlError: the registry cannot be reached, or does not take one.
        """
        wanted = self._judge.verdict.layers
        password = self._found.secrets["probe"]
        with (
            self._report.step("layers", f"{len(wanted):,} layers") as progress,
            backup_layers.registry(self._engine, cluster, cluster.replicas[0], password) as client,
            self._again() as reader,
        ):
            done = 0
            members = _Ahead(m for m in reader.members() if m.section == layout.LAYERS)
            while (member := members.next()) is not None:
                digest = member.key[0]
                if digest in wanted:
                    client.push_pieces(wanted[digest], digest, members.of(member))
                    done += 1
                    progress.detail(f"{done:,} of {len(wanted):,} layers")

    def write_back(self, cluster: Cluster) -> None:
        """Writes manifests and links that the store lacks, and takes out tags that are not in the backup.

        Raises:
            MsrctlError: the store did not take it; run again, it goes on with what is left.
        """
        with self._report.step("tags") as progress, self._again() as reader:
            batch: list[bytes] = []
            for package in packages(self._operations(reader)):
                batch.append(package)
                if len(batch) == AT_ONCE:
                    self._send(cluster, batch)
                    batch = []
            if batch:
                self._send(cluster, batch)
            progress.detail(f"{self.written:,} manifests and links written back")

    def _operations(self, reader: Reader) -> Iterator[tuple[int, str, bytes | None]]:
        lacking = self._judge.verdict.manifests
        for member in reader.members():
            if member.section == layout.MANIFESTS and lacking:
                for manifest in read_manifests(member.data()):
                    if manifest.digest in lacking:
                        yield MANIFEST, blob_key(manifest.digest), manifest.body
        for stage, key, digest in self._judge.links():
            yield stage, key, digest.encode()
        for key in self._judge.drops():
            yield DROP, key, None

    @contextlib.contextmanager
    def _again(self) -> Iterator[Reader]:
        self._file.again()
        with self._file.plain() as source:
            yield Reader(source)

    def _send(self, cluster: Cluster, batch: list[bytes]) -> None:
        files = {f"package-{number:03d}": ("package", package) for number, package in enumerate(batch)}
        with passing_configs(self._engine, cluster.id, files) as references:
            answer = on_stores(
                self._engine,
                cluster.replicas[0],
                cluster,
                "write-back",
                new=Side(cluster.storage, writable=True),
                configs=references,
                timeout=FOREVER,
            )
        answer.require("the store does not take what is written back")
        self.written += int(answer.result["written"])


class _Ahead:
    """Members of layers, one layer at a time, whose parts belong together.

    Arguments:
        members: those of the section with layers.
    """

    def __init__(self, members: Iterator[Member]) -> None:
        self._members = members
        self._held: Member | None = None

    def next(self) -> Member | None:
        """The next member that nobody took."""
        found, self._held = self._held, None
        return found or next(self._members, None)

    def of(self, first: Member) -> Iterator[bytes]:
        """The bytes of a whole layer, from its first member on."""
        member: Member | None = first
        while member is not None and member.key[0] == first.key[0]:
            yield from member.pieces
            member = next(self._members, None)
        self._held = member


def _missing(broken: dict[str, str], tags: int, words: str) -> VerifyFailed:
    lines = tuple(f"{tag}: {why}" for tag, why in sorted(broken.items())[:LISTED])
    more = len(broken) - len(lines)
    return VerifyFailed(
        f"{len(broken):,} of {tags:,} tags could not be pulled: {words} lacks what they need",
        code="RESTORE-MISSING",
        state=NOTHING,
        hint="Bring the layers into the store, name the store that has them, or go on without those tags "
        "with --allow-missing.",
        details=(*lines, *((f"... and {more:,} more",) if more else ())),
    )
