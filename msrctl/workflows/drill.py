"""`msrctl backup drill`: a restore into a throw-away registry beside whatever runs, pulls, and its end.

It shares nothing with a deployment in the same swarm: another id, another replica, other ports, network,
configs and secrets, a lock of its own, no cluster document and no journal. What it makes carries the drill's
label, and goes by that label alone (msrctl/workflows/drill_cleanup.py).
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msrctl import __version__
from msrctl.backup import check
from msrctl.engine.converge import wait_running
from msrctl.engine.oneshot import run_oneshot, sweep_oneshots
from msrctl.errors import MsrctlError, PreflightFailed, Unreachable, VerifyFailed
from msrctl.model import names
from msrctl.model.cluster import Storage
from msrctl.model.requests import RestoreRequest, SettingsRequest
from msrctl.model.results import BackupDrillResult, DrillPull
from msrctl.plan.desired import desired
from msrctl.plan.throwaway import throwaway
from msrctl.storage.backend import STORE
from msrctl.workflows import backup_layers, drill_layers, preflight, registry_image
from msrctl.workflows.backup_file import at_hand
from msrctl.workflows.drill_cleanup import Ledger, only_drill, sweep, thrown_away
from msrctl.workflows.execute import secret_body
from msrctl.workflows.install import LEAVES, check_node, swarm_words
from msrctl.workflows.material import Material
from msrctl.workflows.restore_document import document
from msrctl.workflows.restore_store import StoreWork
from msrctl.workflows.session import open_engine
from msrctl.workflows.signals import signals_raise, signals_wait
from msrctl.workflows.swarm import choose_node, init_swarm, leave_unused, swarm_state

if TYPE_CHECKING:
    from msrctl.backup.check import Backup
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import DrillRequest
    from msrctl.registry.client import Registry
    from msrctl.workflows.backup_file import Opened
    from msrctl.workflows.drill_layers import Layers, Tag
    from msrctl.workflows.preflight import Image
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.swarm import Node

AFTER = "The throw-away registry was taken away again; nothing else was touched."
SMALL_FILE = 8192
"""Bytes of disk for a manifest or a link with its directory, on a file system with blocks of 4 KiB."""
KEPT_FREE = 0.1
"""Of the free space, what a drill leaves alone: a live registry may be on the same disk."""


@signals_raise()
def drill(request: DrillRequest, report: Reporter) -> BackupDrillResult:
    """Proves a backup by restoring it: throw-away registry, pulls of a sample, and nothing left.

    Raises:
        MsrctlError: the backup is not whole or cannot be opened, or the store that it needs cannot be read.
        PreflightFailed: a port is taken, or there is no room.
        Locked: another drill is at work.
    """
    with at_hand(request.file, request.keys) as file:
        with report.step("backup", request.file) as progress:
            with file.plain() as source:
                found = check.read(source)
            content = found.content()
            progress.detail(f"whole, of {content.created}: {content.tags:,} tags of {content.url}")
        engine = open_engine(request.common)
        if swarm_state(engine) == "inactive":
            init_swarm(engine, request.advertise_addr)
            report.info(swarm_words(engine))
        try:
            reference = request.image or f"msrctl/msr:{__version__}"
            image = preflight.find_image(engine, reference, default_version=__version__)
            with only_drill(engine, request.common, report):
                sweep_oneshots(engine)
                sweep(engine, report)
                return _Drill(engine, request, report, file, found, image).run()
        finally:
            with signals_wait(), contextlib.suppress(MsrctlError):
                if leave_unused(engine):
                    report.info(LEAVES)


class _Drill:
    """One drill with a backup that is known to be whole."""

    def __init__(
        self,
        engine: DockerEngine,
        request: DrillRequest,
        report: Reporter,
        file: Opened,
        found: Backup,
        image: Image,
    ) -> None:
        self._engine = engine
        self._request = request
        self._report = report
        self._file = file
        self._image = image
        self._content = found.content()
        self._warnings: list[str] = []
        # The name by which clients know the registry: its certificate was for that.
        url = f"https://{urlsplit(found.cluster.url()).hostname}"
        settings = replace(
            found.cluster.settings,
            external_url=url,
            log_protocol="internal",
            log_host=None,
            overlay_subnet=None,
            enable_client_cert_auth=False,
        )
        self._found = replace(found, cluster=replace(found.cluster, settings=settings, read_only=False))
        if found.cluster.settings.enable_client_cert_auth:
            self._warn("Asking clients for certificates is not tried: the drill's registry does not.")

    def run(self) -> BackupDrillResult:
        """Checks, makes, pulls, and takes away, whatever happens in between."""
        began = time.monotonic()
        node = choose_node(self._engine, self._request.node)
        material = Material(names.new_drill(), __version__)
        cluster = self._document(node, material)
        replica = cluster.replicas[0]
        check_node(self._engine, self._request.common, self._report, self._image, node, cluster)
        ledger = Ledger(cluster.id, replica.id, node.id, self._image.id)
        try:
            with (
                thrown_away(self._engine, self._report, ledger) as down,
                drill_layers.layers(self._engine, self._report, self._found, cluster, node) as layers,
            ):
                tags = drill_layers.sample(self._found, self._request.sample, layers.missing)
                self._require_room(cluster, tags)
                self._serve(cluster, material)
                self._restore(cluster, layers, tags)
                restored = time.monotonic()
                pulled = self._pull(cluster, tags)
                ended = time.monotonic()
        except MsrctlError as error:
            error.state = error.state or AFTER
            raise
        return BackupDrillResult(
            file=self._request.file,
            encrypted=self._file.encrypted,
            content=self._content,
            node=node.name,
            layers_from=layers.words,
            restored=self._found.inventory.tags - len(layers.missing),
            missing=layers.missing,
            pulled=tuple(pulled),
            seconds={
                "restore": round(restored - began, 3),
                "pull": round(ended - restored, 3),
                "teardown": down.seconds,
                "total": round(time.monotonic() - began, 3),
            },
            left=down.left,
            warnings=tuple(self._warnings),
        )

    def _document(self, node: Node, material: Material) -> Cluster:
        request = self._request
        ports = SettingsRequest(http_port=request.http_port, https_port=request.https_port)
        asked = RestoreRequest(request.common, ports, replica_id=names.new_id())
        made, warnings = document(
            self._found,
            asked,
            self._image,
            node,
            material,
            registry=self._registry(node),
            store=Storage(),
            swarm_is_ours=False,
        )
        for warning in warnings:
            self._warn(warning)
        return replace(made, id=material.cluster_id)

    def _registry(self, node: Node) -> registry_image.RegistryImage:
        """The registry of the backup if its image is here, else msrctl's own."""
        wanted = self._found.cluster.replicas[0].registry_image
        if wanted and self._engine.image(wanted) is None:
            self._warn(f"The registry's image {wanted[:19]} is not here; the drill runs msrctl's own.")
            wanted = None
        return registry_image.find(self._engine, wanted, node, Storage())

    def _require_room(self, cluster: Cluster, tags: list[Tag]) -> None:
        """Raises PreflightFailed (PRE-SPACE) if the drill would fill the node's disk."""
        layers = sum({part: size for tag in tags for part, size in tag.parts.items()}.values())
        links = len(self._found.inventory.links())
        need = layers + SMALL_FILE * (links + len(self._found.known))
        replica = cluster.replicas[0]
        result = run_oneshot(
            self._engine,
            image_id=replica.image,
            node_id=replica.node_id,
            args=["node", "usage", STORE],
            mounts=[{"Type": "volume", "Target": STORE}],  # anonymous, on the disk where the drill's will be
            labels={names.LABEL_CLUSTER: cluster.id},
            timeout=self._request.common.max_wait,
            user="0:0",
            wait_gone=False,
        )
        free = result.lines[-1].get("free_bytes") if result.lines else None
        if free is not None and need > free * (1 - KEPT_FREE):
            raise PreflightFailed(
                f"the drill needs {need / 1e9:,.2f} GB on node {replica.node_name}, and {free / 1e9:,.2f} GB "
                "are free there, of which it leaves a tenth alone",
                code="PRE-SPACE",
                state=preflight.NOTHING,
                hint="Pull fewer tags with --sample, or run the drill on another node with --ucp-node.",
            )

    def _serve(self, cluster: Cluster, material: Material) -> None:
        """Makes network, secrets, configs and services, and waits until the registry answers."""
        wanted = throwaway(desired(cluster), cluster.id)
        engine = self._engine
        with self._report.step("start", f"replica {cluster.replicas[0].id}") as progress:
            for body in wanted.networks.values():
                engine.create("networks", body)
            for name in sorted(wanted.secrets):
                value, labels = material.secrets[name]
                engine.create("secrets", secret_body(name, value, labels))
            for body in wanted.configs.values():
                engine.create("configs", body)
            for body in wanted.services.values():
                engine.create("services", body)
            for name in wanted.services:
                wait_running(engine, name, self._request.common.max_wait)
            with self._client(cluster) as client:
                healthy, text = client.health(ready=True)
            if not healthy:
                raise VerifyFailed(f"the throw-away registry is not healthy: {text}", code="PROBE")
            progress.detail(f"it answers at port {cluster.replicas[0].https_port}")

    def _restore(self, cluster: Cluster, layers: Layers, tags: list[Tag]) -> None:
        work = StoreWork(self._engine, self._report, self._file, self._found)
        judge = layers.judged(tags)
        work.take(judge)
        layers.fetch(self._report, cluster, tags)
        if judge.verdict.layers:
            work.put_layers(cluster)
        if judge.verdict.writes:
            work.write_back(cluster)

    def _pull(self, cluster: Cluster, tags: list[Tag]) -> list[DrillPull]:
        pulled: list[DrillPull] = []
        with (
            self._report.step("pull", f"{len(tags):,} tags") as progress,
            self._client(cluster) as client,
        ):
            for tag in tags:
                pulled.append(_one_pull(client, self._found, tag))
                if pulled[-1].error:
                    self._report.warn(f"{tag.name}: {pulled[-1].error}")
                good = sum(not one.error for one in pulled)
                progress.detail(f"{good:,} of {len(tags):,} tags pulled, every byte checked")
        return pulled

    def _client(self, cluster: Cluster) -> Registry:
        """A client that logs in with an account of the backup, by the name that its certificate is for."""
        return backup_layers.registry(
            self._engine, cluster, cluster.replicas[0], self._found.secrets["probe"]
        )

    def _warn(self, text: str) -> None:
        self._warnings.append(text)
        self._report.warn(text)


def _one_pull(client: Registry, found: Backup, tag: Tag) -> DrillPull:
    """Pulls a tag as docker does, and compares everything with its digests."""
    began = time.monotonic()
    size, error = 0, ""
    try:
        digest = client.pull_manifest(tag.repository, tag.tag).digest
        if digest != tag.digest:
            error = f"it is {digest}, not {tag.digest}"
        size = _pull_below(client, found, tag, tag.digest)
        for part in tag.parts:
            size += client.pull_blob(tag.repository, part)
    except Unreachable:
        raise
    except MsrctlError as fault:
        error = fault.message
    return DrillPull(
        tag.name, tag.digest, len(tag.parts), size, round(time.monotonic() - began, 3), error=error
    )


def _pull_below(client: Registry, found: Backup, tag: Tag, digest: str) -> int:
    refers = found.known[digest]
    size = 0
    for child in refers.children if refers else ():
        size += len(client.pull_manifest(tag.repository, child).body) + _pull_below(client, found, tag, child)
    return size
