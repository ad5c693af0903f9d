"""`msrctl restore`: a registry from a backup; everything is checked before anything is made."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.backup import check
from msrctl.engine.observe import observe
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names
from msrctl.model.cluster import PROBE_USER
from msrctl.model.results import RestoreResult
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan
from msrctl.plan.step import Plan, Step
from msrctl.storage import backend
from msrctl.workflows import gates, preflight, probe, recover, registry_image, storage
from msrctl.workflows.apply import Transition, apply
from msrctl.workflows.backup_file import Opened, at_hand
from msrctl.workflows.execute import volumes_undo
from msrctl.workflows.install import LEAVES, check_node, refuse_if_installed, swarm_words
from msrctl.workflows.material import Material
from msrctl.workflows.restore_document import document, wanted_store
from msrctl.workflows.restore_store import StoreWork
from msrctl.workflows.session import lock, open_engine
from msrctl.workflows.signals import signals_raise, signals_wait
from msrctl.workflows.swarm import choose_node, init_swarm, leave_unused, made_by_msrctl, swarm_state

if TYPE_CHECKING:
    from msrctl.backup.check import Backup
    from msrctl.backup.judge import Judge
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import RestoreRequest
    from msrctl.plan.planner import Observed
    from msrctl.workflows.preflight import Image
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.swarm import Node

LISTED = 20
"""Tags that are named one by one on the way; the result has all."""


@signals_raise()
def restore(request: RestoreRequest, report: Reporter) -> RestoreResult:
    """Makes the registry of a backup again, with one replica.

    Raises:
        MsrctlError: the backup is not whole or cannot be opened; nothing was touched.
        WrongState: something is installed already, or a failed run has left something.
        PreflightFailed: a check failed.
        VerifyFailed: RESTORE-MISSING: the store lacks what tags need.
        RolledBack, Interrupted: a step failed or a signal came; nothing is left of it.
    """
    with at_hand(request.file, request.keys) as file:
        with report.step("backup", request.file) as progress:
            with file.plain() as source:
                found = check.read(source)
            content = found.content()
            progress.detail(f"whole, of {content.created}: {content.tags:,} tags of {content.url}")
        engine = open_engine(request.common)
        inactive = swarm_state(engine) == "inactive"
        if inactive and request.dry_run:
            raise WrongState(
                "the engine is in no swarm, so nothing can be tried on it without making one",
                code="DRY-RUN-NO-SWARM",
                state=preflight.NOTHING,
                hint="docker swarm init makes one. Without --dry-run it is made, and taken back on failure.",
            )
        if not inactive and not request.dry_run:
            recover.undo_interrupted_install(engine, request.common, report)
        refuse_if_installed(engine)
        reference = request.image or f"msrctl/msr:{__version__}"
        image = preflight.find_image(engine, reference, default_version=__version__)
        if inactive:
            init_swarm(engine, request.advertise_addr)
            report.info(swarm_words(engine))
        try:
            return _Restoring(engine, request, report, file, found, made_swarm=inactive).run(image)
        except BaseException:
            with signals_wait(), contextlib.suppress(MsrctlError):
                if not request.dry_run and leave_unused(engine):
                    report.info(LEAVES)
            raise


class _Restoring:
    """One restore, from a backup that is known to be whole."""

    def __init__(
        self,
        engine: DockerEngine,
        request: RestoreRequest,
        report: Reporter,
        file: Opened,
        found: Backup,
        *,
        made_swarm: bool,
    ) -> None:
        self._engine = engine
        self._request = request
        self._report = report
        self._found = found
        self._made_swarm = made_swarm
        self._store = StoreWork(engine, report, file, found)

    def run(self, image: Image) -> RestoreResult:
        """Checks, then makes it."""
        engine, request, report = self._engine, self._request, self._report
        node = choose_node(engine, request.node)
        material = Material(self._found.cluster.id, __version__)
        cluster, warnings = self._document(image, node, material)
        replica = cluster.replicas[0]
        for warning in warnings:
            report.warn(warning)
        report.info(f"Storage: {backend(cluster.storage).words(replica.id)}")
        fresh_volume = storage.missing_volume(engine, cluster.storage, cluster.replicas[0])
        with storage.volume_removed_unless_kept(engine, replica, cluster.storage, keep=not request.dry_run):
            sweep_oneshots(engine)
            cluster = storage.prepare_install(engine, report, cluster, material, adopt=request.adopt_storage)
            check_node(engine, request.common, report, image, node, cluster)
            judge = self._store.compare(cluster, material, allow_missing=request.allow_missing)
            self._tell(judge)
            observed = observe(engine, cluster.id, desired(cluster))
            steps = self._plan(cluster, node, observed, material, judge, fresh_volume=fresh_volume)
            report.plan(steps)
            if not request.dry_run:
                self._apply(cluster, steps, observed, material)
        return self._result(cluster, node, steps, judge, warnings)

    def _document(self, image: Image, node: Node, material: Material) -> tuple[Cluster, tuple[str, ...]]:
        request = self._request
        store = wanted_store(self._found, request, material)
        asked = request.registry_image or self._found.cluster.replicas[0].registry_image
        return document(
            self._found,
            request,
            image,
            node,
            material,
            registry=registry_image.find(self._engine, asked, node, store),
            store=store,
            swarm_is_ours=self._made_swarm or made_by_msrctl(self._engine),
        )

    def _tell(self, judge: Judge) -> None:
        """What will be other than before, before anything is done."""
        verdict = judge.verdict
        for words, tags in (
            ("not restored", verdict.broken),
            ("not in the backup, taken out; its image becomes garbage", verdict.dropped),
            ("names another image in the store now; set back to the backup's", verdict.moved),
        ):
            for tag, detail in sorted(tags.items())[:LISTED]:
                self._report.warn(f"{tag}: {words} ({detail})")
            if len(tags) > LISTED:
                self._report.warn(f"... and {len(tags) - LISTED:,} more tags: {words}")

    def _plan(
        self,
        cluster: Cluster,
        node: Node,
        observed: Observed,
        material: Material,
        judge: Judge,
        *,
        fresh_volume: str | None,
    ) -> Plan:
        replica = cluster.replicas[0]
        title = f"restore replica {replica.id} on {node.name}"
        words = f"generation {cluster.generation}, from the backup"
        made = plan(title, desired(cluster), observed, material.words, words)
        steps = [_with_undo(step, cluster, fresh_volume=fresh_volume) for step in made]
        verdict = judge.verdict
        if verdict.layers:
            detail = f"{len(verdict.layers):,} layers"
            steps.append(Step("copy", "layers", "from the backup", detail, "the store lacks them"))
        if verdict.manifests or verdict.links or verdict.dropped:
            detail = (
                f"{len(verdict.manifests):,} manifests, {verdict.links:,} links, "
                f"{len(verdict.dropped):,} tags out"
            )
            steps.append(Step("write", "tags", "as in the backup", detail, "the store differs from it"))
        steps += storage.marking_steps(cluster)
        if cluster.read_only:
            steps.append(Step("close", "gate", "pushes", "answered with 405", "the backup says read-only"))
        return Plan(title, tuple(steps))

    def _apply(self, cluster: Cluster, steps: Plan, observed: Observed, material: Material) -> None:
        engine, request = self._engine, self._request
        auth = (PROBE_USER, self._found.secrets["probe"])
        with lock(engine, request.common, self._report) as held:
            refuse_if_installed(engine)  # somebody may have been faster
            apply(
                engine,
                self._report,
                held,
                request.common,
                Transition(
                    operation="restore",
                    cluster=cluster,
                    plan=steps,
                    observed=observed,
                    secrets=material.secrets,
                    probe=probe.prober(engine, cluster, auth),
                    actions={
                        ("copy", "layers"): lambda _: self._store.put_layers(cluster),
                        ("write", "tags"): lambda _: self._store.write_back(cluster),
                        ("write", "marker"): lambda _: storage.mark(engine, cluster),
                        ("close", "gate"): lambda _: gates.set_gates(engine, cluster, set=[gates.READ_ONLY]),
                    },
                ),
            )

    def _result(
        self, cluster: Cluster, node: Node, steps: Plan, judge: Judge, warnings: tuple[str, ...]
    ) -> RestoreResult:
        verdict, replica = judge.verdict, cluster.replicas[0]
        return RestoreResult(
            steps,
            self._found.content(),
            dry_run=self._request.dry_run,
            replica_id=replica.id,
            cluster_id=cluster.id,
            node=node.name,
            url=cluster.url(),
            storage=backend(cluster.storage).words(replica.id),
            restored=self._found.inventory.tags - len(verdict.broken),
            missing=verdict.broken,
            moved=verdict.moved,
            dropped=verdict.dropped,
            written=self._store.written,
            layers=len(verdict.layers),
            warnings=warnings,
        )


def _with_undo(step: Step, cluster: Cluster, *, fresh_volume: str | None) -> Step:
    """A service's step with an undo that takes away the volumes that it makes, and never one with images."""
    if (step.action, step.kind) != ("create", "service"):
        return step
    replica = cluster.replicas[0]
    ours = {names.gate_volume(replica.id), *([fresh_volume] if fresh_volume else [])}
    volumes = volumes_undo(step, {replica.node_id: replica.image}, only=ours)
    return replace(step, undo=({"op": "remove", "kind": "services", "name": step.name}, *volumes))
