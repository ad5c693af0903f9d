"""The store that the options ask for, tried from every replica's node before anything is changed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msrctl.engine.removal import IN_USE_SECONDS
from msrctl.engine.volumes import remove_volume
from msrctl.errors import MsrctlError, UsageFault, VerifyFailed, WrongState
from msrctl.model import names
from msrctl.model.cluster import Storage
from msrctl.plan.desired import registry_labels
from msrctl.plan.step import Step
from msrctl.plan.switch import Policy, Switch
from msrctl.storage import backend, from_nfs_options, from_volume_option
from msrctl.storage.nfs import NfsBackend, parse_url
from msrctl.workflows import gates, preflight
from msrctl.workflows.nfs_servers import nfs_probed, old_server_gone, option_warnings
from msrctl.workflows.owners import is_in_use, owner_options, refuse_foreign_owner
from msrctl.workflows.stores import CHECK_SECONDS, Side, on_stores, trial_secrets
from msrctl.workflows.swarm import nodes
from msrctl.workflows.switch import Switching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.engine.protocol import JSON, Engine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.model.requests import ReconfigureRequest, SettingsRequest
    from msrctl.workflows.material import Material
    from msrctl.workflows.reporter import Reporter

MOUNT_SECONDS = 8.0
"""How long the container of a trial may take to let go of an export."""


@dataclass(frozen=True)
class Prepared:
    """A store that was tried.

    Arguments:
        storage: as it will stand in the document.
        policy: what becomes of the tags in a switch; None: it is the store in force, with other options.
        warnings: what the operator should know.
    """

    storage: Storage
    policy: Policy | None = None
    warnings: tuple[str, ...] = ()


def asked(before: Storage, settings: SettingsRequest, material: Material) -> Storage:
    """The store that the options name; `before` if they name none.

    Arguments:
        before: the store in force, or the default one.
        settings: what is asked for.
        material: takes the secrets of an object store.

    Raises:
        UsageFault: options that have no effect.
    """
    config = settings.storage_config
    if config:
        held = {
            parameter: material.add(f"store-{parameter}", value, f"{parameter} of the {config.kind} store")
            for parameter, value in sorted(config.secrets.items())
        }
        return Storage(config.kind, dict(config.parameters), held, config.root_ca, config.redirect)
    if settings.nfs_storage_url:
        return _nfs(before, settings)
    if settings.nfs_storage_url == "" and before.kind == "nfs":
        return from_volume_option(settings.storage_volume)
    if settings.storage_volume is not None:
        wanted = from_volume_option(settings.storage_volume)
        same = (wanted.kind, wanted.parameters) == (before.kind, before.parameters)
        return before if same else wanted
    return before


def _nfs(before: Storage, settings: SettingsRequest) -> Storage:
    """An export; the one in force keeps the options that are not given again."""
    assert settings.nfs_storage_url
    fresh = from_nfs_options(
        settings.nfs_storage_url, settings.nfs_options or None, asynchronous=bool(settings.async_nfs)
    )
    if before.kind != "nfs":
        return fresh
    in_force = NfsBackend.from_parameters(before.parameters)
    address = parse_url(settings.nfs_storage_url)
    wanted = NfsBackend(
        address.host,
        address.export,
        in_force.options if settings.nfs_options is None else settings.nfs_options or None,
        in_force.asynchronous if settings.async_nfs is None else settings.async_nfs,
        in_force.version,
    )
    if wanted.identity("") != in_force.identity(""):
        return fresh
    if wanted.options and wanted.options == in_force.options and wanted.asynchronous != in_force.asynchronous:
        raise UsageFault(
            f"--async-nfs has no effect: the mount options in force are taken as they are ({wanted.options})",
            code="NFS-OPTIONS",
            state=preflight.NOTHING,
            hint="Say sync or async in --nfs-options.",
        )
    return replace(before, parameters=wanted.parameters())


def previous(cluster: Cluster) -> Storage:
    """The store that was left by the last switch.

    Raises:
        WrongState: there is none, or it was finalized (NO-PREVIOUS-STORE).
    """
    if cluster.previous_storage is None:
        raise WrongState(
            "there is no store to go back to: none was left by a switch, or it was finalized",
            code="NO-PREVIOUS-STORE",
            state=preflight.NOTHING,
            hint="msrctl storage show tells the store in use; a switch to any store is msrctl reconfigure.",
        )
    return cluster.previous_storage


def kept(before: Cluster, request: ReconfigureRequest) -> Prepared:
    """The store in force, if the options name no other: the same command again has nothing to do.

    Arguments:
        before: the document in force.
        request: the options.

    Raises:
        UsageFault: flags about another store, and none is named (STORAGE-FLAGS).
        WrongState: it was to be erased (STORE-IN-USE).
    """
    asked = request.settings
    named = asked.storage_config or asked.nfs_storage_url is not None or asked.storage_volume is not None
    flags = ("migrate_storage", "storage_migrated", "reinitialize_storage")
    given = [f"--{flag.replace('_', '-')}" for flag in flags if getattr(request, flag)]
    if given and not (named or request.revert_storage):
        raise UsageFault(
            f"{given[0]} says what becomes of the tags in another store, and none is named",
            code="STORAGE-FLAGS",
            state=preflight.NOTHING,
            hint="Name the new store with --dtr-storage-volume, --nfs-storage-url or --storage-config.",
        )
    _refuse_to_erase(before, before.storage, request)
    return Prepared(before.storage)


def policy_of(request: ReconfigureRequest) -> Policy:
    """What the flags say about the tags."""
    if request.migrate_storage:
        return Policy.COPY
    if request.storage_migrated:
        return Policy.MIGRATED
    return Policy.EMPTY if request.reinitialize_storage else Policy.EXACT


def prepare(
    engine: Engine,
    report: Reporter,
    before: Cluster,
    wanted: Storage,
    material: Material,
    request: ReconfigureRequest,
) -> Prepared:
    """Tries a store from every replica's node and, if it is another one, whether the tags are safe there.

    Arguments:
        engine: a manager.
        report: where progress goes.
        before: the document in force.
        wanted: from `asked`.
        material: secrets of the store; those that are in force already are taken out again.
        request: the flags.

    Raises:
        PreflightFailed: a check failed on a node.
        WrongState: it is another cluster's (STORE-OWNED), or the one in force and was to be erased.
        VerifyFailed: it is not what the policy wants.
    """
    _refuse_node_local(before, wanted)
    policy = policy_of(request)
    old_gone = old_server_gone(engine, before, wanted, policy)
    wanted = nfs_probed(engine, report, before.replicas, wanted)
    with (
        volume_removed_unless_kept(engine, before.replicas[0], wanted, keep=not request.dry_run),
        trial_secrets(engine, before.id, wanted, material.secrets) as trial,
    ):
        owner, same_secrets = check_everywhere(engine, report, before, trial, in_force=before.storage)
        refuse_foreign_owner(owner, before, _words(wanted, before), adopt=request.adopt_storage)
        erasing = request.reinitialize_storage
        if is_in_use(engine, before, trial, owner, erasing=erasing, reachable=not old_gone):
            return _reconfigured(before, wanted, same_secrets, material, request)
        # A copy made by hand has the marker of its original: two stores must not have one id.
        another = owner is not None and owner["store"] != before.storage.store_id
        found_id = owner["store"] if owner and another else names.new_id()
        storage = replace(wanted, store_id=found_id)
        switch = Switch(before, replace(before, storage=storage), policy, {})
        asks = not (request.yes or request.dry_run)
        checking = Switching(
            engine,
            report,
            switch,
            max_wait=request.common.max_wait,
            reverting=request.revert_storage,
            asks=asks,
            old_gone=old_gone,
        )
        ours = owner is not None and owner["cluster"] == before.id
        warnings = checking.check(replace(trial, store_id=found_id), ours=ours)
    return Prepared(storage, policy, (*option_warnings(wanted), *warnings))


def prepare_install(
    engine: Engine, report: Reporter, cluster: Cluster, material: Material, *, adopt: bool
) -> Cluster:
    """Tries the store of a new deployment; returns the document with the store as it was found.

    A volume of the engine's own is tried with everything else on the node, and carries no marker: no other
    cluster can reach it.

    Arguments:
        engine: a manager.
        report: where progress goes.
        cluster: the first document.
        material: secrets of the store.
        adopt: whether a store that is marked as another cluster's is taken over.

    Raises:
        PreflightFailed: a check failed.
        WrongState: it is another cluster's (STORE-OWNED).
    """
    if cluster.storage.kind == "volume":
        return cluster
    wanted = nfs_probed(engine, report, cluster.replicas, cluster.storage)
    # What is tried here goes again at once: whatever may fail between this and the first step leaves nothing.
    with (
        volume_removed_unless_kept(engine, cluster.replicas[0], wanted, keep=False),
        trial_secrets(engine, cluster.id, wanted, material.secrets) as trial,
    ):
        owner, _ = check_everywhere(engine, report, cluster, trial, in_force=None)
    refuse_foreign_owner(owner, cluster, _words(wanted, cluster), adopt=adopt)
    return replace(cluster, storage=replace(wanted, store_id=owner["store"] if owner else names.new_id()))


def marking_steps(cluster: Cluster) -> tuple[Step, ...]:
    """The last step of an install: nobody else may take the store from then on."""
    if not cluster.storage.store_id:
        return ()
    return (
        Step("write", "marker", _words(cluster.storage, cluster), "", "it is this cluster's from now on"),
    )


def mark(engine: Engine, cluster: Cluster) -> None:
    """Writes the owner marker into the cluster's store.

    Raises:
        MsrctlError: the store did not take it.
    """
    answer = on_stores(
        engine,
        cluster.replicas[0],
        cluster,
        "mark",
        new=Side(cluster.storage, writable=True),
        options=owner_options(cluster),
        timeout=CHECK_SECONDS,
    )
    answer.require("the store cannot be marked as this cluster's")


def check_everywhere(
    engine: Engine, report: Reporter, cluster: Cluster, trial: Storage, *, in_force: Storage | None
) -> tuple[JSON | None, list[str]]:
    """Writes, reads and deletes in a store from the node of every replica.

    Arguments:
        engine: a manager.
        report: where progress goes.
        cluster: the document; its replicas try the store.
        trial: the store, with secrets that exist.
        in_force: the store whose secrets are compared with the new ones.

    Returns:
        What the owner marker says (None: no marker), and which secrets are those in force.

    Raises:
        PreflightFailed: with every check that failed.
    """
    checks: list[preflight.Check] = []
    owner: JSON | None = None
    same: list[str] = []
    known = nodes(engine)
    words = _words(trial, cluster)
    with report.step("store", words) as progress:
        for replica in cluster.replicas:
            node = known[replica.node_id]
            image = preflight.image_of(replica)
            try:
                answer = on_stores(
                    engine,
                    replica,
                    cluster,
                    "check",
                    new=Side(trial, writable=True, labels=registry_labels(cluster, replica)),
                    held=in_force.secrets if in_force and in_force.kind == trial.kind else {},
                    timeout=CHECK_SECONDS,
                )
            except MsrctlError as error:
                raise preflight.explain(error, node, image, backend(trial), replica.id) from error
            checks += [preflight.store_check(line, node, words) for line in answer.of("check")]
            if not answer.ok and not answer.of("check"):
                checks.append(preflight.failed_store(answer.result, node, words))
            owner = owner or answer.result.get("owner")
            same = answer.result.get("same_secrets", [])
        passed = preflight.require(checks)
        progress.detail(f"{words}: {', '.join(c.detail for c in passed[-1:])}")
    return owner, same


def _reconfigured(
    before: Cluster,
    wanted: Storage,
    same_secrets: list[str],
    material: Material,
    request: ReconfigureRequest,
) -> Prepared:
    """The store in force with other options: its tags are not touched, whatever the flags say."""
    _refuse_to_erase(before, wanted, request)
    secrets = dict(before.storage.secrets)
    for parameter, name in wanted.secrets.items():
        if parameter in same_secrets:
            material.secrets.pop(name, None)
            material.words.pop(name, None)
        else:
            secrets[parameter] = name
    same = replace(wanted, secrets=secrets, store_id=before.storage.store_id)
    return Prepared(same, warnings=option_warnings(wanted))


def _refuse_to_erase(before: Cluster, wanted: Storage, request: ReconfigureRequest) -> None:
    if request.reinitialize_storage:
        raise WrongState(
            f"{_words(wanted, before)} is the store in use: --reinitialize-storage would erase its tags",
            code="STORE-IN-USE",
            state=preflight.NOTHING,
            hint="Leave --reinitialize-storage away to change options of the store, or name another store.",
        )


def _refuse_node_local(before: Cluster, wanted: Storage) -> None:
    if len(before.replicas) > 1 and backend(wanted).node_local():
        raise WrongState(
            f"{_words(wanted, before)} is one node's own, and there are {len(before.replicas)} replicas",
            code="STORE-NODE-LOCAL",
            state=preflight.NOTHING,
            hint="Take NFS or an object store: all replicas must see the same images.",
        )


@contextlib.contextmanager
def volume_removed_unless_kept(
    engine: Engine, replica: Replica, wanted: Storage, *, keep: bool
) -> Iterator[None]:
    """Takes away a volume that only exists because it was tried, if the block fails or nothing follows."""
    fresh = missing_volume(engine, wanted, replica)
    done = False
    try:
        yield
        done = True
    finally:
        if fresh and not (done and keep):
            with contextlib.suppress(MsrctlError):
                # A mount that hangs keeps its container, and nobody shall wait for that.
                seconds = MOUNT_SECONDS if wanted.kind == "nfs" else IN_USE_SECONDS
                labels = {names.LABEL_REPLICA: replica.id}
                remove_volume(engine, fresh, replica.node_id, labels, seconds=seconds)


def missing_volume(engine: Engine, storage: Storage, replica: Replica) -> str | None:
    """The name of the volume for a store if it is surely not there yet: only then it may be taken away.

    Arguments:
        engine: a manager; only its own node's volumes can be seen.
        storage: the store in question.
        replica: whose volume.
    """
    mount = backend(storage).mount(replica.id, {})
    if mount is None or mount["Type"] != "volume" or engine.info()["Swarm"]["NodeID"] != replica.node_id:
        return None
    name = str(mount["Source"])
    return None if engine.find("volumes", name) else name


def _words(storage: Storage, cluster: Cluster) -> str:
    return backend(storage).words(cluster.replicas[0].id)


def require_same_store(engine: Engine, report: Reporter, cluster: Cluster, replica: Replica) -> Cluster:
    """Proves from the node of a replica to be that it sees the very store that the others use.

    The owner marker tells: it was written from one node and is read from the other.

    Arguments:
        engine: a manager.
        report: where progress goes.
        cluster: the document in force.
        replica: the replica to be.

    Returns:
        The document, with an id of the store if it had none.

    Raises:
        PreflightFailed: the node cannot use the store.
        VerifyFailed: it sees another store (STORE-OTHER).
    """
    if cluster.storage.store_id is None:
        cluster = replace(cluster, storage=replace(cluster.storage, store_id=names.new_id()))
        mark(engine, cluster)
    alone = gates.only(cluster, replica)
    owner, _ = check_everywhere(engine, report, alone, cluster.storage, in_force=None)
    if owner is None or owner["store"] != cluster.storage.store_id:
        seen = f"one that is marked as {owner['url']}'s" if owner else "one without this cluster's marker"
        raise VerifyFailed(
            f"{_words(cluster.storage, cluster)} on node {replica.node_name} is another store: {seen}",
            code="STORE-OTHER",
            state=preflight.NOTHING,
            hint=f"Mount the same storage there as on {cluster.replicas[0].node_name}, then run this again.",
        )
    return cluster
