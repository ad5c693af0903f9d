"""The cluster document: everything that makes a deployment what it is, without a single secret.

It lives in swarm configs (msrctl/engine/state.py), one per generation; secrets are named here and kept in
swarm secrets. The shape is schemas/cluster.json.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from msrctl.errors import WrongState
from msrctl.model.schema import problems

FORMAT = 1
PROBE_USER = "msrctl-probe"
"""The registry's second account: passwords cannot be read back from a swarm, so msrctl has one of its own."""


@dataclass(frozen=True)
class Settings:
    """What all replicas share; None or "" means: not set."""

    external_url: str | None = None
    log_level: str = "info"
    log_protocol: str = "internal"
    log_host: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    enable_pprof: bool = False
    enable_client_cert_auth: bool = False
    client_cert_auth_ca: str | None = None
    custom_ca_cert_bundle: str | None = None
    overlay_subnet: str | None = None


@dataclass(frozen=True)
class Tls:
    """Certificate of the replicas (PEM) and the names of the secrets that hold the keys."""

    source: str
    """generated, or provided (by --dtr-cert)."""
    certificate: str
    ca: str | None
    key_secret: str
    ca_key_secret: str | None = None


@dataclass(frozen=True)
class Accounts:
    """Who may log in."""

    admin: str
    htpasswd_secret: str
    probe_secret: str
    """Password of the account that msrctl itself probes with (`PROBE_USER`)."""


@dataclass(frozen=True)
class Storage:
    """Where the images are: a kind of back end and its parameters; msrctl/storage has a module for each.

    Arguments:
        kind: volume, bind, nfs, s3, azure, swift or gcs.
        parameters: what the kind needs, without secrets; for object stores the registry's own driver keys.
        secrets: parameter names to the swarm secrets that hold their values.
        root_ca: CA that issued the store's certificate, PEM.
        redirect: whether clients are sent to the store for layers; None: the default of the kind.
        store_id: what the owner marker in the store says: two names of one store are one store.
    """

    kind: str = "volume"
    parameters: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    root_ca: str | None = None
    redirect: bool | None = None
    store_id: str | None = None


@dataclass(frozen=True)
class Replica:
    """One replica and the node it is pinned to."""

    id: str
    node_id: str
    node_name: str
    image: str
    """Image id, ``sha256:...``: never pulled, the same on every node that loaded it."""
    image_reference: str
    version: str
    http_port: int = 80
    https_port: int = 443
    registry_image: str | None = None
    """Image id of another registry (`--registry-image`), else the one in `image`."""
    registry_version: str | None = None
    """Version of that other registry, as its program says: 2.8.3, 3.1.1."""


@dataclass(frozen=True)
class Cluster:
    """A deployment."""

    id: str
    generation: int
    created: str
    version: str
    tls: Tls
    accounts: Accounts
    http_secret: str
    replicas: tuple[Replica, ...]
    settings: Settings = field(default_factory=Settings)
    storage: Storage = field(default_factory=Storage)
    previous_storage: Storage | None = None
    """The store that was left by the last switch; kept until it is finalized."""
    read_only: bool = False
    """Whether pushes are refused (`msrctl settings --read-only`)."""
    swarm_initialised: bool = False
    """Whether install made the swarm: then the last destroy may take the engine out of it again."""

    def replica(self, ident: str) -> Replica | None:
        """The replica of this id, or None."""
        return next((r for r in self.replicas if r.id == ident), None)

    def secrets(self) -> frozenset[str]:
        """Names of all swarm secrets that the cluster needs."""
        accounts = (self.accounts.htpasswd_secret, self.accounts.probe_secret)
        stores = [*self.storage.secrets.values()]
        stores += self.previous_storage.secrets.values() if self.previous_storage else []
        named = (self.tls.key_secret, self.tls.ca_key_secret, self.http_secret, *accounts, *stores)
        return frozenset(n for n in named if n)

    def url(self, replica: Replica | None = None) -> str:
        """The URL for people: the external one, or that of a replica (default: the first)."""
        if self.settings.external_url and replica is None:
            return self.settings.external_url
        one = replica or self.replicas[0]
        return f"https://{one.node_name}" + ("" if one.https_port == 443 else f":{one.https_port}")

    def next_generation(self, **changes: Any) -> Cluster:
        """A copy with changes and the next generation number."""
        return replace(self, generation=self.generation + 1, **changes)

    def to_json(self) -> dict[str, Any]:
        """The document as stored."""
        return {"format": FORMAT, **asdict(self), "replicas": [asdict(r) for r in self.replicas]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Cluster:
        """Reads a stored document.

        Raises:
            WrongState: it is of a newer format, or damaged (all problems are listed).
        """
        number = data.get("format") if isinstance(data, dict) else None
        if isinstance(number, int) and number > FORMAT:
            raise WrongState(
                f"the cluster document has format {number}, this msrctl knows {FORMAT}",
                code="STATE-NEWER",
                state="Nothing was changed.",
                hint=f"Use the msrctl that changed this deployment ({data.get('version')}) or a newer one.",
            )
        found = problems("cluster", data)
        if found:
            raise WrongState("the cluster document is damaged", code="STATE-DAMAGED", details=found)
        rest = {k: v for k, v in data.items() if k != "format"}
        return cls(
            **rest
            | {
                "tls": Tls(**data["tls"]),
                "accounts": Accounts(**data["accounts"]),
                "settings": Settings(**data["settings"]),
                "storage": Storage(**data["storage"]),
                "previous_storage": Storage(**data["previous_storage"]) if data["previous_storage"] else None,
                "replicas": tuple(Replica(**r) for r in data["replicas"]),
            }
        )
