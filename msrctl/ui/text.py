"""Results as text for people."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from functools import singledispatch
from typing import Any

from msrctl.model import results as r
from msrctl.plan.step import Change, Plan
from msrctl.ui import words

Marks = tuple[str, str]


def of(result: Any, *, marks: Marks = ("✓", "✗")) -> str:
    """A result as text.

    Arguments:
        marks: the signs for good and bad that the stream can show.
    """
    lines = _status(result, marks) if isinstance(result, r.StatusResult) else _lines(result)
    return words.clean("\n".join(lines))


def closing_lines(result: Any) -> list[str]:
    """What the original's `install` ends with, word for word; scripts take the replica's id from it."""
    joined = isinstance(result, r.InstallResult | r.JoinResult)
    if not joined or result.dry_run or not result.replica_id:
        return []
    return [
        f"Replica ID is set to: {result.replica_id}",
        f"You can use flag '--existing-replica-id {result.replica_id}' when joining other replicas.",
    ]


@singledispatch
def _lines(result: Any) -> list[str]:
    if type(result).__module__.startswith("msrctl.images."):
        from msrctl.ui import image_text

        return image_text.lines(result)
    if type(result).__name__.startswith(("Backup", "Restore")):
        from msrctl.ui import backup_text

        return backup_text.lines(result)
    return str(result).splitlines()


@_lines.register
def _install(result: r.InstallResult) -> list[str]:
    if result.dry_run and result.plan:
        return _dry_run(result.plan)
    if not result.replica_id:
        # Only --undo ends without a replica; its plan's title says what is so now.
        return [f"{result.plan.title[:1].upper()}{result.plan.title[1:]}."]
    password = f"{result.password.reveal_text()} (shown once)" if result.password else "as you gave it"
    address = result.url.removeprefix("https://")
    return [
        *closing_lines(result),
        f"Admin user: {result.admin}   password: {password}",
        f"Next: docker login {address}   |   msrctl status   |   msrctl storage usage",
    ]


@_lines.register
def _reconfigure(result: r.ReconfigureResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    if result.outcome == "undone":
        return ["The interrupted reconfigure was taken back; everything is as it was before."]
    if result.outcome == "resumed":
        return ["The interrupted reconfigure was finished.", *_serves(result), *_kept(result)]
    if not result.changed:
        return ["Nothing to do: everything is as it is wanted."]
    return ["Reconfigured.", *_serves(result), *_behind(result.skipped), *_kept(result)]


def _behind(skipped: tuple[str, ...]) -> list[str]:
    if not skipped:
        return []
    return [f"Behind: {', '.join(skipped)}. When its node has returned: msrctl reconfigure"]


def _kept(result: r.ReconfigureResult) -> list[str]:
    if not result.kept_storage:
        return []
    return [
        f"The store before ({result.kept_storage}) is kept as it was.",
        "msrctl storage revert goes back to it; msrctl storage finalize forgets it.",
    ]


@_lines.register
def _join(result: r.JoinResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    return [
        f"Replica {result.replica_id} on {result.node} serves at {result.url}.",
        *closing_lines(result),
        f"The cluster has {len(result.replicas)} replicas: {', '.join(result.replicas)}",
    ]


@_lines.register
def _remove(result: r.RemoveResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    lines = [f"Removed: {', '.join(result.removed)}. It goes on with {', '.join(result.replicas)}."]
    if result.kept_volumes:
        lines.append(f"Kept on its node: {', '.join(result.kept_volumes)}")
    return lines


@_lines.register
def _emergency_repair(result: r.EmergencyRepairResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    lines = [f"It serves with {', '.join(result.replicas)}."]
    if result.removed:
        lines.append(f"Dropped: {', '.join(result.removed)}")
    if result.nodes:
        lines.append(f"Taken out of the swarm: {', '.join(result.nodes)}")
        lines.append("Before such a node joins again, on it: docker swarm leave --force")
    if result.volumes:
        lines.append(f"Deleted: {', '.join(result.volumes)}")
    return lines


@_lines.register
def _upgrade(result: r.UpgradeResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    if not result.changed:
        return [f"Nothing to do: every replica runs {result.version}."]
    done = f"Upgraded from {result.before} to {result.version}: {', '.join(result.replicas)}"
    return [done, *_behind(result.skipped)]


@_lines.register
def _show_storage(result: r.ShowStorageResult) -> list[str]:
    lines = _store(result.storage)
    if result.previous:
        lines += ["", "Left by the last switch (msrctl storage revert goes back, finalize forgets it):"]
        lines += [f"  {line}" for line in _store(result.previous)]
    if result.read_only:
        lines += ["", "Pushes are refused: read-only (msrctl settings --read-only off)."]
    return lines


def _store(view: r.StoreView) -> list[str]:
    rows = [("Store", view.store), ("Kind", view.kind)]
    rows += [(name, str(value)) for name, value in sorted(view.parameters.items())]
    rows += [(name, "****") for name in view.secrets]
    if view.root_ca:
        rows.append(("root CA", "given"))
    if view.kind in {"s3", "azure", "swift", "gcs"}:
        rows.append(
            ("layers", "clients get them from the store" if view.redirect else "the registry serves them")
        )
    if view.store_id:
        rows.append(("marked as", view.store_id))
    return words.table(rows)


@_lines.register
def _finalize(result: r.FinalizeResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    return [f"{result.forgotten} is forgotten. Its data are still there: remove them when you are sure."]


@_lines.register
def _settings(result: r.SettingsResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    state = "read-only: pushes are refused, pulls go on" if result.read_only else "open for pushes"
    return [f"The registry is {state}." if result.changed else f"Nothing to do: the registry is {state}."]


def _serves(result: r.ReconfigureResult) -> list[str]:
    return (
        [f"{result.url} is served by {', '.join(result.replicas)}"] if result.url and result.replicas else []
    )


@_lines.register
def _destroy(result: r.DestroyResult) -> list[str]:
    if result.dry_run:
        return _dry_run(result.plan)
    lines = ["Replica removed." if result.removed else "There was nothing to remove."]
    lines += [f"  - {name}" for name in result.removed]
    if result.kept_volumes:
        lines += [
            "Kept, with the images in it:" if len(result.kept_volumes) == 1 else "Kept, with the images:"
        ]
        lines += [f"  {name}" for name in result.kept_volumes]
        lines += [f"To delete for good: docker volume rm {' '.join(result.kept_volumes)}"]
    return lines


def _dry_run(plan: Plan) -> list[str]:
    if not plan:
        return [f"Plan: {plan.title}", "  nothing to do"]
    return [*f"Plan: {plan}".splitlines(), "Nothing was changed (--dry-run)."]


def _status(result: r.StatusResult, marks: Marks) -> list[str]:
    head = [("Lock", f"held by {result.lock}" if result.lock else "free")]
    if result.installed:
        head = [
            ("Cluster", f"{result.cluster_id}, version {result.version}, generation {result.generation}"),
            ("URL", result.url),
            ("Storage", result.storage),
            *(
                [("Before", f"{result.previous_storage} (storage revert, storage finalize)")]
                if result.previous_storage
                else []
            ),
            *([("Pushes", "refused: read-only")] if result.read_only else []),
            *head,
        ]
    lines = [] if result.installed else ["msrctl is not installed on this swarm."]
    lines += words.table(head)
    if result.interrupted:
        lines += [
            f"! {line}" if not n else f"  {line}" for n, line in enumerate(result.interrupted.splitlines())
        ]
    if result.leftovers:
        lines += ["Left over:", *(f"  {name}" for name in result.leftovers)]
    for replica in result.replicas:
        lines += ["", *_replica(replica, marks)]
    if result.drift:
        lines += ["", "Drift", *_drift(result.drift, "  ")]
    if result.installed and not result.healthy:
        lines += ["", "Not healthy."]
    return lines


def _replica(replica: r.ReplicaStatus, marks: Marks) -> list[str]:
    lines = [
        f"Replica {replica.replica_id} on {replica.node}   version {replica.version}   {replica.url}".rstrip()
    ]
    rows = [
        (marks[0] if c.healthy else marks[1], c.component, c.detail, c.task_state) for c in replica.components
    ]
    lines += words.table(rows, indent="  ")
    if replica.behind:
        lines += ["  behind: it runs as before the last change; msrctl reconfigure brings it on"]
    if replica.drift:
        lines += ["  drift", *_drift(replica.drift, "    ")]
    return lines


def _drift(changes: tuple[Change, ...], indent: str) -> list[str]:
    rows = [("NAME", "WANTED", "FOUND")]
    rows += [(words.clean(c.name), words.value(c.wanted), words.value(c.found)) for c in changes]
    return words.table(rows, indent=indent)


@_lines.register
def _logs(result: r.LogsResult) -> list[str]:
    from msrctl.ui import loglines

    return [loglines.text(line) for line in result.lines]


@_lines.register
def _bundle(result: r.SupportBundleResult) -> list[str]:
    lines = [f"{result.path or 'The bundle on stdout'}   {words.size(result.size)}"]
    if missing := [part.name for part in result.parts if not part.complete]:
        lines.append(f"Not in it: {', '.join(missing)}; index.json says why.")
    return [*lines, "Secrets are masked. Look through it before you give it to anybody."]


@_lines.register
def _usage(result: r.UsageResult) -> list[str]:
    if not result.replicas:
        return ["There are no replicas."]
    rows = [("REPLICA", "NODE", "STORE", "REPOSITORIES", "TAGS", "BLOBS", "BLOB SIZE", "ALL FILES", "FREE")]
    rows += [
        (
            u.replica_id,
            u.node,
            u.store,
            f"{u.repositories:,}",
            f"{u.tags:,}",
            f"{u.blobs:,}",
            words.size(u.blob_bytes),
            words.size(u.total_bytes),
            "unlimited" if u.free_bytes is None else words.size(u.free_bytes),
        )
        for u in result.replicas
    ]
    return words.table(rows, right=range(3, 9))


@_lines.register
def _validate(result: r.ValidateResult) -> list[str]:
    rows = [("Store", result.store)]
    rows += [(key, str(value)) for key, value in result.parameters.items()]
    rows += [(key, "kept as a secret") for key in result.secrets]
    rows += [("rootca", "trusted by the registry")] if result.root_ca else []
    rows.append(("Layers", "clients fetch from the store" if result.redirect else "go through the registry"))
    return [f"Nothing is wrong with it, for registry {result.registry_version}.", *words.table(rows)]


@_lines.register
def _sample(result: r.SampleResult) -> list[str]:
    return result.text.splitlines()


@_lines.register
def _lock(result: r.LockResult) -> list[str]:
    if result.released:
        return [f"The lock of {result.holder or 'nobody in particular'} was released."]
    if not result.held:
        return ["The lock is free."]
    lines = words.table(
        [
            ("Held by", result.holder),
            ("Command", result.command),
            ("Since", result.since),
            ("Last heartbeat", result.last_heartbeat),
        ]
    )
    if result.stale:
        lines += ["Its holder gives no sign of life any more: msrctl lock release"]
    return lines
