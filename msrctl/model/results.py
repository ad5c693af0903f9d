"""What commands return: frozen, and turned into text or JSON by one renderer (msrctl/ui/render.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msrctl.plan.step import Change, Plan
from msrctl.secret import Secret


@dataclass(frozen=True)
class InstallResult:
    """A new deployment (or, after a dry run, the plan for one)."""

    plan: Plan
    dry_run: bool = False
    replica_id: str = ""
    cluster_id: str = ""
    node: str = ""
    url: str = ""
    admin: str = ""
    password: Secret | None = field(default=None, repr=False)
    """Only if it was generated: shown once, to a person or in the JSON."""
    ca: str | None = field(default=None, repr=False)
    """The generated CA's certificate (PEM)."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReconfigureResult:
    """What a reconfigure changed (or would change)."""

    plan: Plan
    dry_run: bool = False
    changed: bool = False
    replicas: tuple[str, ...] = ()
    url: str = ""
    skipped: tuple[str, ...] = ()
    """Replicas that were passed over, as their nodes do not answer: they are behind."""
    outcome: str = "done"
    """done, nothing to do, resumed, undone."""
    kept_storage: str | None = None
    """After a switch: the store before, in words, which can be gone back to."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class JoinResult:
    """`msrctl join`."""

    plan: Plan
    dry_run: bool = False
    replica_id: str = ""
    node: str = ""
    url: str = ""
    replicas: tuple[str, ...] = ()
    """All replicas, the new one last."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoveResult:
    """`msrctl remove`."""

    plan: Plan
    dry_run: bool = False
    removed: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()
    """Those that remain."""
    kept_volumes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmergencyRepairResult:
    """`msrctl emergency-repair`."""

    plan: Plan
    dry_run: bool = False
    forced: bool = False
    """Whether the swarm had lost its quorum."""
    removed: tuple[str, ...] = ()
    """Replicas that were dropped."""
    replicas: tuple[str, ...] = ()
    """Those that serve."""
    nodes: tuple[str, ...] = ()
    """Nodes that were taken out of the swarm."""
    volumes: tuple[str, ...] = ()
    """Volumes that --prune removed."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class UpgradeResult:
    """`msrctl upgrade`."""

    plan: Plan
    dry_run: bool = False
    changed: bool = False
    version: str = ""
    before: str = ""
    replicas: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    """Replicas that were passed over, as their nodes do not answer: they are behind."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DestroyResult:
    """What a destroy took away and what it kept."""

    plan: Plan
    dry_run: bool = False
    removed: tuple[str, ...] = ()
    kept_volumes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComponentHealth:
    """One component of a replica as it answered over HTTP."""

    component: str
    healthy: bool
    detail: str
    task_state: str = ""


@dataclass(frozen=True)
class ReplicaStatus:
    """One replica as it was found."""

    replica_id: str
    node: str
    version: str
    url: str
    components: tuple[ComponentHealth, ...]
    drift: tuple[Change, ...] = ()
    behind: bool = False
    """Whether a service is still as an earlier document had it: a change passed this replica over."""

    @property
    def healthy(self) -> bool:
        """Whether every component answers and nothing drifted."""
        return all(c.healthy for c in self.components) and not self.drift


@dataclass(frozen=True)
class StatusResult:
    """The whole deployment as it was found."""

    installed: bool
    cluster_id: str = ""
    generation: int = 0
    version: str = ""
    url: str = ""
    storage: str = ""
    previous_storage: str | None = None
    """The store that was left by the last switch, until it is finalized."""
    read_only: bool = False
    replicas: tuple[ReplicaStatus, ...] = ()
    drift: tuple[Change, ...] = ()
    """Drift of objects that belong to no single replica."""
    lock: str | None = None
    """Who holds the lock, in words."""
    interrupted: str | None = None
    """An operation that was interrupted, in words, with what to do."""
    leftovers: tuple[str, ...] = ()
    lock_age: float | None = None
    """Seconds since the lock was taken."""
    certificate_expires: str | None = None
    """ISO 8601, UTC."""

    @property
    def healthy(self) -> bool:
        """What the exit code says."""
        return (
            self.installed
            and not self.drift
            and not self.interrupted
            and all(r.healthy for r in self.replicas)
        )


@dataclass(frozen=True)
class ReplicaUsage:
    """Use of the image store as one replica sees it (sizes in bytes)."""

    replica_id: str
    node: str
    store: str
    blobs: int
    blob_bytes: int
    repositories: int
    tags: int
    total_bytes: int
    free_bytes: int | None


@dataclass(frozen=True)
class UsageResult:
    """`msrctl storage usage`."""

    replicas: tuple[ReplicaUsage, ...]


@dataclass(frozen=True)
class StoreView:
    """A store as the cluster document has it; secrets are named, never shown."""

    kind: str
    store: str
    """In words."""
    parameters: dict[str, Any]
    secrets: tuple[str, ...] = ()
    """Names of the parameters that are kept as secrets."""
    root_ca: str | None = None
    redirect: bool = False
    store_id: str | None = None


@dataclass(frozen=True)
class ShowStorageResult:
    """`msrctl storage show`."""

    storage: StoreView
    previous: StoreView | None = None
    read_only: bool = False


@dataclass(frozen=True)
class FinalizeResult:
    """`msrctl storage finalize`."""

    plan: Plan
    dry_run: bool = False
    changed: bool = False
    forgotten: str = ""
    """The store that can no longer be gone back to, in words; its data are still there."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettingsResult:
    """`msrctl settings`."""

    plan: Plan
    dry_run: bool = False
    changed: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class ValidateResult:
    """`msrctl storage validate`: a storage configuration without anything wrong."""

    kind: str
    store: str
    """The store in words."""
    registry_version: str
    parameters: dict[str, Any]
    """The driver's, without secrets, in the registry's spelling."""
    secrets: tuple[str, ...] = ()
    """Names of the parameters that are kept as secrets."""
    root_ca: bool = False
    redirect: bool = True
    """Whether clients will be sent to the store for layers."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SampleResult:
    """`msrctl storage sample`."""

    driver: str
    registry_version: str
    text: str


@dataclass(frozen=True)
class LockResult:
    """`msrctl lock status` and `msrctl lock release`."""

    held: bool
    holder: str = ""
    command: str = ""
    since: str = ""
    last_heartbeat: str = ""
    stale: bool = False
    released: bool = False


@dataclass(frozen=True)
class LogLine:
    """One line that a service of the cluster wrote."""

    time: str
    """When the engine took it: RFC 3339 in UTC with nanoseconds."""
    replica_id: str
    component: str
    node: str
    stream: str
    """stdout or stderr."""
    text: str


@dataclass(frozen=True)
class LogsResult:
    """`msrctl logs`, without --follow: lines of all services that were asked for, by time."""

    lines: tuple[LogLine, ...]
    warnings: tuple[str, ...] = ()
    """Whose log could not be had, and why."""


@dataclass(frozen=True)
class BundlePart:
    """One file in a support bundle."""

    name: str
    complete: bool
    note: str = ""
    """What is missing in it and why."""


@dataclass(frozen=True)
class SupportBundleResult:
    """`msrctl support-bundle`."""

    path: str | None
    """None: it went to stdout."""
    size: int
    """Bytes."""
    parts: tuple[BundlePart, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackupContent:
    """What a backup says that it holds."""

    format: int
    version: str
    """Of the msrctl that wrote it."""
    created: str
    cluster_id: str
    generation: int
    url: str
    replicas: tuple[str, ...]
    storage: str
    """The store, in words."""
    repositories: int
    tags: int
    manifests: int
    blobs: int
    blob_bytes: int
    """Of the store; in the backup only with `layers`."""
    layers: int
    """Layers that the backup holds itself (`--include-images`)."""
    layer_bytes: int
    offline: bool
    broken: tuple[str, ...]
    """Tags that could not be pulled when the backup was made; they are not in it."""


@dataclass(frozen=True)
class BackupResult:
    """`msrctl backup`: a whole backup was written."""

    content: BackupContent
    file: str
    """``-``: standard output."""
    bytes: int
    encrypted: bool
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackupVerifyResult:
    """`msrctl backup verify`: the file is whole and holds what it says."""

    file: str
    encrypted: bool
    content: BackupContent
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackupShowResult:
    """`msrctl backup show`."""

    file: str
    encrypted: bool
    content: BackupContent
    settings: dict[str, Any]
    accounts: tuple[str, ...]
    secrets: tuple[str, ...]
    """Names of what is secret in it; never the values."""
    tags: dict[str, int]
    """Repositories with their numbers of tags."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrillPull:
    """One tag that a drill pulled.

    Arguments:
        tag: ``repository:tag``.
        digest: of its manifest, as the backup has it.
        blobs: configuration and layers, all of which were pulled.
        bytes: of them.
        seconds: how long that took.
        error: why it could not be pulled whole; "" if it was.
    """

    tag: str
    digest: str
    blobs: int
    bytes: int
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class BackupDrillResult:
    """`msrctl backup drill`: what came of a restore into a throw-away registry."""

    file: str
    encrypted: bool
    content: BackupContent
    node: str
    layers_from: str
    """The backup, or the store in words."""
    restored: int
    """Tags with all that they need."""
    missing: dict[str, str]
    """Tags that a restore would be without, with the reason."""
    pulled: tuple[DrillPull, ...]
    seconds: dict[str, float]
    """restore, pull, teardown, total."""
    left: tuple[str, ...] = ()
    """What could not be taken away again, with the reason."""
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every tag is there, and every one of the sample was pulled."""
        return not self.missing and not any(pull.error for pull in self.pulled)


@dataclass(frozen=True)
class RestoreResult:
    """`msrctl restore`; tags are named ``repository:tag``."""

    plan: Plan
    content: BackupContent
    dry_run: bool = False
    replica_id: str = ""
    cluster_id: str = ""
    node: str = ""
    url: str = ""
    storage: str = ""
    restored: int = 0
    """Tags that can be pulled with the digests of the backup."""
    missing: dict[str, str] = field(default_factory=dict)
    """Tags that are not restored, with the reason (`--allow-missing`)."""
    moved: dict[str, str] = field(default_factory=dict)
    """Tags that were set back, with the digest that the store had."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Tags that only the store had, with their digests; their images are garbage now."""
    written: int = 0
    """Manifests and links that were written back into the store."""
    layers: int = 0
    """Layers that were put back."""
    warnings: tuple[str, ...] = ()
