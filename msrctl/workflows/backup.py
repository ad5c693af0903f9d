"""`msrctl backup`: everything but layers of a registry that serves, in one file that proves itself."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msrctl import __version__
from msrctl.backup import crypt, layout
from msrctl.backup.check import content_of
from msrctl.backup.content import Unpacked, read_manifests
from msrctl.backup.output import writing
from msrctl.backup.writer import Writer
from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.engine.process import this_process
from msrctl.engine.undo import undo
from msrctl.model.results import BackupResult
from msrctl.workflows import backup_layers, collect, gates, recover
from msrctl.workflows.session import lock, open_engine, require_deployment
from msrctl.workflows.signals import signals_raise, signals_wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.backup.writer import Sink
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.model.requests import BackupRequest
    from msrctl.model.results import BackupContent
    from msrctl.secret import Secret
    from msrctl.workflows.reporter import Reporter

UNENCRYPTED = (
    "The backup is not encrypted and holds private keys, the accounts and the store's credentials: keep it "
    "as you would keep those, or use --encrypt or --recipient."
)
DRAIN_SECONDS = 60.0


@signals_raise()
def backup(request: BackupRequest, report: Reporter) -> BackupResult:
    """Writes a backup while the registry serves.

    Raises:
        WrongState: nothing is installed, or an earlier change was interrupted.
        MsrctlError: the store or a task failed, or the backup cannot be written; there is no whole backup.
    """
    began = time.monotonic()
    to = crypt.recipients(request.recipients)
    engine = open_engine(request.common)
    warnings = () if to or request.passphrase else (UNENCRYPTED,)
    for warning in warnings:
        report.warn(warning)
    with lock(engine, request.common, report):
        sweep_oneshots(engine)
        recover.refuse_if_interrupted(engine)
        cluster = require_deployment(engine).cluster
        replica = collect.a_replica(engine, cluster, request.existing_replica_id)
        with report.step("secrets") as progress:
            secrets = collect.secrets(engine, cluster, replica)
            progress.detail(f"{len(secrets)} secrets, sealed on their way")
        with writing(request.output_file) as sink:
            with _encrypted(sink, to, request.passphrase) as inner:
                made = _Making(engine, request, report, cluster, replica, secrets)
                content = made.write(inner)
            # What is encrypted has another size than what went in.
            size = sink.written
    return BackupResult(
        content=content,
        file=request.output_file or "-",
        bytes=size,
        encrypted=bool(to or request.passphrase),
        seconds=round(time.monotonic() - began, 3),
        warnings=warnings,
    )


@contextlib.contextmanager
def _encrypted(sink: Sink, to: list[Any], passphrase: Secret | None) -> Iterator[Sink]:
    if not to and passphrase is None:
        yield sink
        return
    with crypt.encrypting(sink, to=to, passphrase=passphrase) as inner:
        yield inner


class _Making:
    """One backup being written."""

    def __init__(
        self,
        engine: DockerEngine,
        request: BackupRequest,
        report: Reporter,
        cluster: Cluster,
        replica: Replica,
        secrets: dict[str, Secret],
    ) -> None:
        self._engine = engine
        self._request = request
        self._report = report
        self._cluster = cluster
        self._replica = replica
        self._secrets = secrets
        self._layers: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._manifests = 0

    def write(self, sink: Sink) -> BackupContent:
        """Writes all of it; returns what it holds, in numbers."""
        now = datetime.now(UTC)
        writer = Writer(sink, mtime=int(now.timestamp()))
        # The replica that is asked stands first: restore takes its place.
        others = tuple(r for r in self._cluster.replicas if r.id != self._replica.id)
        cluster = replace(self._cluster, replicas=(self._replica, *others), previous_storage=None)
        head = _head(now)
        layers: dict[str, int] = {}
        writer.json(layout.HEAD, head)
        writer.json(layout.CLUSTER, cluster.to_json())
        writer.json(layout.SECRETS, collect.secrets_member(self._secrets))
        result = self._inventory(writer)
        if self._request.include_images:
            layers = backup_layers.write(
                self._engine,
                self._report,
                cluster,
                self._secrets["probe"],
                writer,
                where=self._layers,
                sizes=self._sizes,
            )
        summary = {
            "broken_tags": result["broken_tags"],
            "layers": len(layers),
            "manifests": self._manifests,
            "offline": self._request.offline,
            "store": result["new"],
            "tags": result["new"]["tags"],
        }
        writer.finish(summary)
        store = result["new"]
        counts = {
            "repositories": store["repositories"],
            "tags": store["tags"],
            "manifests": self._manifests,
            "blobs": store["blobs"],
            "blob_bytes": store["bytes"],
            "layers": len(layers),
            "layer_bytes": sum(layers.values()),
        }
        return content_of(cluster, head, summary, counts)

    def _inventory(self, writer: Writer) -> dict[str, Any]:
        """Inventory and manifests, chunk by chunk into the backup."""
        layers = Unpacked()

        def on_chunk(section: str, data: bytes) -> None:
            writer.chunk(section, data)
            if section == layout.MANIFESTS:
                self._manifests += _count(data)
            elif self._request.include_images:
                layers.add(section, data)

        with self._held(), self._report.step("inventory") as progress:
            answer = collect.snapshot(
                self._engine,
                self._cluster,
                self._replica,
                self._cluster.storage,
                on_chunk,
                manifests=True,
            )
            new = answer.result["new"]
            progress.detail(f"{new['repositories']:,} repositories, {new['tags']:,} tags")
        for tag in answer.result["broken_tags"]:
            self._report.warn(f"not in the backup, as it cannot be pulled now: {tag}")
        for name in sorted(layers.inventory.repositories):
            for digest in layers.inventory.repositories[name].layers:
                if digest in layers.inventory.blobs:
                    self._layers.setdefault(digest, name)
                    self._sizes[digest] = layers.inventory.blobs[digest]
        return answer.result

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """With --offline-backup pushes are held; a journal tells the next run, if we are killed."""
        if not self._request.offline:
            yield
            return
        header = JournalHeader(
            operation="backup",
            command=self._request.common.command_line,
            holder=this_process().who,
            cluster=self._cluster.id,
            before=None,
            after=None,
            steps=("close gate pushes",),
            extra={},
        )
        journal = Journal.create(self._engine, header)
        began = time.monotonic()
        try:
            records = [gates.undo_of(self._cluster, r, clear=[gates.FROZEN]) for r in self._cluster.replicas]
            journal.begin(1, records)
            gates.set_gates(self._engine, self._cluster, set=[gates.FROZEN])
            gates.wait_drained(self._engine, self._cluster, min(DRAIN_SECONDS, self._request.common.max_wait))
            yield
        finally:
            with signals_wait():
                undo(self._engine, journal.begun(), self._report.warn)
                journal.close()
        self._report.info(f"Pushes were held for {time.monotonic() - began:.1f} s.")


def _head(now: datetime) -> dict[str, Any]:
    return {
        "product": "msrctl",
        "format": layout.FORMAT,
        "version": __version__,
        "created": now.isoformat(timespec="seconds"),
    }


def _count(chunk: bytes) -> int:
    return sum(1 for _ in read_manifests(chunk))
