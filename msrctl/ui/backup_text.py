"""Results about backups as text for people."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from msrctl.model import results as r
from msrctl.ui import words

MOST = 40
"""Repositories that are listed for people; JSON has all."""


def lines(result: object) -> list[str]:
    """A result about a backup; the last line of a backup tells that it is whole."""
    match result:
        case r.BackupResult():
            return _backup(result)
        case r.BackupVerifyResult():
            return [
                *words.table(_rows(result.content)),
                f"{result.file} is whole{', and encrypted' if result.encrypted else ''}.",
            ]
        case r.BackupShowResult():
            return _show(result)
        case r.BackupDrillResult():
            return _drill(result)
        case r.RestoreResult():
            return _restore(result)
    return str(result).splitlines()


def _restore(result: r.RestoreResult) -> list[str]:
    if result.dry_run:
        return str(result.plan).splitlines()
    rows = [
        ("Tags", f"{result.restored:,} can be pulled as they were"),
        ("Storage", result.storage),
        ("Written back", f"{result.written:,} manifests and links, {result.layers:,} layers"),
    ]
    rows += [("Not restored", f"{len(result.missing):,} tags")] if result.missing else []
    rows += [("Set back", f"{len(result.moved):,} tags")] if result.moved else []
    rows += (
        [("Taken out", f"{len(result.dropped):,} tags that are not in the backup")] if result.dropped else []
    )
    return [
        *words.table(rows),
        f"Restored from the backup of {result.content.created}: {result.url}",
        f"Replica ID is set to: {result.replica_id}",
        f"You can use flag '--existing-replica-id {result.replica_id}' when joining other replicas.",
    ]


def _drill(result: r.BackupDrillResult) -> list[str]:
    good = [pull for pull in result.pulled if not pull.error]
    took = result.seconds
    size = words.size(sum(pull.bytes for pull in good))
    rows = [
        ("Backup", f"{result.content.created}, {result.content.tags:,} tags of {result.content.url}"),
        ("Drilled on", result.node),
        ("Layers from", result.layers_from),
        ("Restored", f"{result.restored:,} of {result.content.tags:,} tags, in {took['restore']:.1f} s"),
        ("Pulled", f"{len(good):,} of {len(result.pulled):,} tags, {size}, in {took['pull']:.1f} s"),
    ]
    rows += [("Missing", f"{tag}: {why}") for tag, why in sorted(result.missing.items())[:MOST]]
    if len(result.missing) > MOST:
        rows.append(("Missing", f"... and {len(result.missing) - MOST:,} more (--output json has all)"))
    rows += [("Not pulled", f"{p.tag}: {p.error}") for p in result.pulled if p.error]
    rows += [("Left", line) for line in result.left]
    verdict = "passed the drill" if result.passed else "DID NOT PASS the drill"
    gone = "the throw-away registry is gone" if not result.left else "something of the drill is left"
    return [*words.table(rows), f"{result.file} {verdict}; {gone}, {took['total']:.1f} s in all."]


def _backup(result: r.BackupResult) -> list[str]:
    place = "" if result.file == "-" else f" in {result.file}"
    found = result.content
    how = "encrypted" if result.encrypted else "not encrypted"
    what = f"{found.tags:,} tags of {found.repositories:,} repositories"
    return [f"Backup complete{place}: {what}, {words.size(result.bytes)}, {how}, {result.seconds:.1f} s"]


def _rows(found: r.BackupContent) -> list[tuple[str, str]]:
    rows = [
        ("Made", f"{found.created} by msrctl {found.version}{', pushes were held' if found.offline else ''}"),
        ("Cluster", f"{found.cluster_id}, generation {found.generation}, {found.url}"),
        ("Replicas", ", ".join(found.replicas)),
        ("Storage", found.storage),
        ("Tags", f"{found.tags:,} in {found.repositories:,} repositories"),
        ("Manifests", f"{found.manifests:,}"),
        ("Store held", f"{found.blobs:,} blobs, {words.size(found.blob_bytes)}"),
        ("Layers", f"{found.layers:,}, {words.size(found.layer_bytes)}" if found.layers else "not in it"),
    ]
    return rows + [("Broken", f"{tag} (not in it)") for tag in found.broken]


def _show(result: r.BackupShowResult) -> list[str]:
    rows = _rows(result.content)
    rows += [("Accounts", ", ".join(result.accounts)), ("Secrets", ", ".join(result.secrets))]
    rows += [(name, str(value).splitlines()[0]) for name, value in sorted(result.settings.items())]
    shown = sorted(result.tags.items())[:MOST]
    table = [("REPOSITORY", "TAGS"), *((name, f"{count:,}") for name, count in shown)]
    more = len(result.tags) - len(shown)
    return [
        *words.table(rows),
        "",
        *words.table(table, right=[1]),
        *([f"... and {more:,} more (--output json has all)"] if more else []),
    ]
