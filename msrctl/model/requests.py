"""What a command was asked to do: its options, already checked one by one and against each other.

Absent means None: `reconfigure` changes only what was given. An empty string is a value ("take it away").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from msrctl.errors import MsrctlError
from msrctl.secret import Secret


@dataclass(frozen=True)
class EndpointRequest:
    """Which engine to talk to; nothing set means DOCKER_HOST, the docker context or the local socket.

    Arguments:
        ucp_url: an MKE controller, ``https://host[:port]``.
        ucp_username: who logs in there.
        ucp_password: theirs.
        ucp_ca: the only authorities to trust there, PEM; None: those of the system.
        ucp_insecure_tls: do not verify the controller's certificate.
    """

    ucp_url: str | None = None
    ucp_username: str | None = None
    ucp_password: Secret | None = None
    ucp_ca: str | None = None
    ucp_insecure_tls: bool = False


@dataclass(frozen=True)
class CommonRequest:
    """Options that every command takes."""

    endpoint: EndpointRequest = field(default_factory=EndpointRequest)
    debug: bool = False
    max_wait: float = 600.0
    """Seconds to wait at most for one thing to happen."""
    lock_wait: float = 0.0
    """Seconds to wait for the lock."""
    command_line: str = "msrctl"
    """What was typed, without secrets, for the lock and the journal."""


@dataclass(frozen=True)
class StorageRequest:
    """A store as `--storage-config` describes it, validated: as model.cluster.Storage, with its secrets.

    Arguments:
        registry: ``2.8`` or ``3``: for which registry it was read.
        other: where the registry in use is not known yet: what it is for the other one, or why that would
            not take it.
    """

    kind: str
    parameters: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    root_ca: str | None = None
    redirect: bool | None = None
    warnings: tuple[str, ...] = ()
    registry: str = "2.8"
    other: StorageRequest | MsrctlError | None = None


@dataclass(frozen=True)
class SettingsRequest:
    """Settings of the cluster and of a replica, as install and reconfigure take them."""

    external_url: str | None = None
    ca: str | None = None
    """PEM text, `--dtr-ca`."""
    certificate: str | None = None
    key: Secret | None = None
    http_port: int | None = None
    https_port: int | None = None
    log_level: str | None = None
    log_protocol: str | None = None
    log_host: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    enable_pprof: bool | None = None
    enable_client_cert_auth: bool | None = None
    client_cert_auth_ca: str | None = None
    custom_ca_cert_bundle: str | None = None
    storage_volume: str | None = None
    """`--dtr-storage-volume`: a volume's name or an absolute path."""
    nfs_storage_url: str | None = None
    async_nfs: bool | None = None
    nfs_options: str | None = None
    storage_config: StorageRequest | None = None

    def given(self) -> tuple[str, ...]:
        """Names of the fields that were given."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is not None)


@dataclass(frozen=True)
class InstallRequest:
    """`msrctl install`."""

    common: CommonRequest
    settings: SettingsRequest
    node: str | None = None
    """Host name or id of the swarm node for the replica; None: the endpoint's own."""
    replica_id: str | None = None
    overlay_subnet: str | None = None
    advertise_addr: str | None = None
    """Address that a new single-node swarm advertises; None: the engine chooses."""
    admin_username: str = "admin"
    admin_password: Secret | None = None
    """None: generate one and show it once."""
    image: str | None = None
    """Image to run instead of msrctl/msr:<version>."""
    registry_image: str | None = None
    adopt_storage: bool = False
    """Take over a store that is marked as another cluster's."""
    dry_run: bool = False
    undo: bool = False
    """Only take away what an interrupted install left."""


@dataclass(frozen=True)
class JoinRequest:
    """`msrctl join`."""

    common: CommonRequest
    node: str | None = None
    """Host name or id of the swarm node; None: the only one that is free."""
    existing_replica_id: str | None = None
    replica_id: str | None = None
    http_port: int | None = None
    https_port: int | None = None
    skip_network_test: bool = False
    unsafe_join: bool = False
    """Join although replicas are not healthy."""
    shared_storage_path: bool = False
    """A volume or directory is shared storage, the same on every node."""
    node_engine: str | None = None
    """Address of the node's own engine, as DOCKER_HOST has it: an image that it lacks is sent there."""
    dry_run: bool = False


@dataclass(frozen=True)
class RemoveRequest:
    """`msrctl remove`."""

    common: CommonRequest
    replica_ids: tuple[str, ...] = ()
    existing_replica_id: str | None = None
    force: bool = False
    """Their nodes may be gone."""
    remove_data: bool = False
    """Their own image volumes go too."""
    yes: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class EmergencyRepairRequest:
    """`msrctl emergency-repair`."""

    common: CommonRequest
    existing_replica_id: str | None = None
    """The replica that must be on the endpoint's node; None: whichever is there."""
    prune: bool = False
    """Volumes that dropped replicas left on the endpoint's node go too."""
    yes: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class UpgradeRequest:
    """`msrctl upgrade`."""

    common: CommonRequest
    image: str | None = None
    """Image to move to; None: msrctl/msr:<version of this msrctl>."""
    existing_replica_id: str | None = None
    skip_unreachable: bool = False
    """Replicas whose nodes do not answer are passed over."""
    dry_run: bool = False


@dataclass(frozen=True)
class ReconfigureRequest:
    """`msrctl reconfigure`."""

    common: CommonRequest
    settings: SettingsRequest
    existing_replica_id: str | None = None
    registry_image: str | None = None
    """Image of another registry for all replicas; empty: the one in msrctl's own image again."""
    admin_username: str | None = None
    admin_password: Secret | None = None
    storage_migrated: bool = False
    migrate_storage: bool = False
    adopt_storage: bool = False
    """Likewise."""
    verify_digests: bool = False
    """Hash every blob in the new store, not only compare sizes."""
    reinitialize_storage: bool = False
    revert_storage: bool = False
    """Go back to the store that was left by the last switch (`msrctl storage revert`)."""
    skip_unreachable: bool = False
    """Replicas whose nodes do not answer are passed over."""
    dry_run: bool = False
    resume: bool = False
    undo: bool = False
    yes: bool = False
    """Questions are answered with yes."""


@dataclass(frozen=True)
class FinalizeRequest:
    """`msrctl storage finalize`."""

    common: CommonRequest
    yes: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class SettingsChangeRequest:
    """`msrctl settings`."""

    common: CommonRequest
    read_only: bool
    dry_run: bool = False


@dataclass(frozen=True)
class DestroyRequest:
    """`msrctl destroy`."""

    common: CommonRequest
    replica_id: str | None = None
    remove_data: bool = False
    yes: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class StatusRequest:
    """`msrctl status` and `msrctl storage usage`."""

    common: CommonRequest
    replica_id: str | None = None


@dataclass(frozen=True)
class LogsRequest:
    """`msrctl logs`."""

    common: CommonRequest
    replica_id: str | None = None
    component: str | None = None
    tail: int | None = None
    """The last so many lines of each service; None: all."""
    since: float | str | None = None
    """Not what is older: seconds before the engine's now, or a time (RFC 3339 in UTC, ending in Z)."""


@dataclass(frozen=True)
class SupportBundleRequest:
    """`msrctl support-bundle`."""

    common: CommonRequest
    output_file: str | None = None
    """None: a name of its own in the working directory; ``-``: stdout."""
    tail: int = 1000
    """Lines of each service's log."""


@dataclass(frozen=True)
class BackupKeys:
    """What opens an encrypted backup; all may be absent."""

    identity: Secret | None = None
    """Text of an identity file of age or ssh."""
    passphrase: Secret | None = None
    ask: Callable[[], Secret] | None = None
    """Asks for the passphrase on a terminal, if one is needed and there is one."""


@dataclass(frozen=True)
class BackupRequest:
    """`msrctl backup`."""

    common: CommonRequest
    output_file: str | None = None
    """None: standard output."""
    existing_replica_id: str | None = None
    include_images: bool = False
    offline: bool = False
    """Hold pushes while the inventory is taken."""
    passphrase: Secret | None = None
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackupFileRequest:
    """`msrctl backup verify` and `show`."""

    file: str
    """``-``: standard input."""
    keys: BackupKeys = field(default_factory=BackupKeys)


@dataclass(frozen=True)
class DrillRequest:
    """`msrctl backup drill`."""

    common: CommonRequest
    file: str
    """``-``: standard input."""
    keys: BackupKeys = field(default_factory=BackupKeys)
    sample: int | None = 10
    """How many tags are pulled; None: all."""
    http_port: int = 18080
    https_port: int = 18443
    node: str | None = None
    advertise_addr: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class RestoreRequest:
    """`msrctl restore`."""

    common: CommonRequest
    settings: SettingsRequest
    """What shall be other than in the backup, the store among it."""
    file: str = "-"
    keys: BackupKeys = field(default_factory=BackupKeys)
    default_storage: bool = False
    """The store that the backup recorded (`--dtr-use-default-storage`)."""
    node: str | None = None
    replica_id: str | None = None
    """None: that of the replica that the backup was taken from, so that its own volume is found again."""
    overlay_subnet: str | None = None
    advertise_addr: str | None = None
    image: str | None = None
    registry_image: str | None = None
    adopt_storage: bool = False
    allow_missing: bool = False
    """Go on although tags will be missing whose layers are nowhere."""
    dry_run: bool = False
