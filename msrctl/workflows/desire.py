"""What a reconfigure asks for, as the next cluster document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msrctl.errors import UsageFault
from msrctl.storage import backend
from msrctl.workflows import certificates
from msrctl.workflows import material as making
from msrctl.workflows.session import require_replica
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Cluster, Replica, Settings, Storage, Tls
    from msrctl.model.requests import ReconfigureRequest, SettingsRequest

SHARED = (
    "external_url",
    "log_level",
    "log_protocol",
    "log_host",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "enable_pprof",
    "enable_client_cert_auth",
    "client_cert_auth_ca",
    "custom_ca_cert_bundle",
)
"""Settings with the same name in the request and in the document; the empty string takes one away."""


def next_document(
    engine: DockerEngine,
    before: Cluster,
    request: ReconfigureRequest,
    material: making.Material,
    storage: Storage | None = None,
) -> tuple[Cluster, list[str], tuple[str, ...]]:
    """The document that the request asks for, why it differs in words, and warnings.

    Arguments:
        engine: a manager; the CA's key is used there if a certificate must be issued anew.
        before: the document in force.
        request: what is asked for.
        material: takes new secrets.
        storage: the store that is wanted, tried already (workflows/storage.py); None: the one in force.

    Raises:
        UsageFault: settings that do not fit together, or TLS files that cannot be used.
        WrongState: no such replica.
    """
    why: list[str] = []
    if storage and storage != before.storage:
        first = before.replicas[0].id
        if backend(storage).identity(first) == backend(before.storage).identity(first):
            why.append("options of the storage")
        else:
            why.append(f"storage {backend(storage).words(first)}")
    settings = merged(before.settings, request.settings, why)
    replicas = _replicas(before, request, why)
    tls, warnings = _tls(engine, before, settings, request.settings, material)
    if tls != before.tls:
        why.append("certificate")
    accounts = before.accounts
    if request.admin_password:
        name = request.admin_username or before.accounts.admin
        accounts, _ = making.new_accounts(material, name, request.admin_password)
        why.append(f"password of {name}")
    elif request.admin_username and request.admin_username != before.accounts.admin:
        raise UsageFault(
            "another administrator needs a password too",
            code="ADMIN-PASSWORD",
            hint="Give it with --admin-password-file or MSRCTL_ADMIN_PASSWORD.",
        )
    if not why:
        return before, why, warnings
    after = before.next_generation(
        settings=settings,
        replicas=replicas,
        tls=tls,
        accounts=accounts,
        storage=storage or before.storage,
    )
    return after, why, warnings


def merged(before: Settings, asked: SettingsRequest, why: list[str]) -> Settings:
    """The settings before with those that were given.

    Arguments:
        before: in force.
        asked: what was given; the empty string takes one away.
        why: takes the names of those that change.

    Raises:
        UsageFault: they do not fit together.
    """
    given: dict[str, Any] = {
        name: getattr(asked, name) for name in SHARED if getattr(asked, name) is not None
    }
    changed: dict[str, Any] = {k: (v if v != "" else None) for k, v in given.items()}
    if changed.get("log_protocol") == "internal":
        changed["log_host"] = None
    after = replace(before, **changed)
    if after.enable_client_cert_auth and not after.client_cert_auth_ca:
        raise UsageFault(
            "--enable-client-cert-auth needs a CA to check the clients' certificates with",
            code="CLIENT-CA",
            state="Nothing was changed.",
            hint="Give it with --client-cert-auth-ca.",
        )
    if after.log_protocol != "internal" and not after.log_host:
        raise UsageFault(
            f"logging by {after.log_protocol} needs a syslog server",
            code="LOG-HOST",
            state="Nothing was changed.",
            hint="Give it with --log-protocol and --log-host, or use --log-protocol internal.",
        )
    why += [name.replace("_", " ") for name in SHARED if getattr(after, name) != getattr(before, name)]
    return after


def _replicas(before: Cluster, request: ReconfigureRequest, why: list[str]) -> tuple[Replica, ...]:
    """The replicas with their new ports: of the one that is named, else of all."""
    asked = request.settings
    named = request.existing_replica_id
    if named:
        require_replica(before, named)
    after = tuple(
        replace(r, http_port=asked.http_port or r.http_port, https_port=asked.https_port or r.https_port)
        if named in {None, r.id}
        else r
        for r in before.replicas
    )
    same = [r.id for r in after if r.http_port == r.https_port]
    if same:
        raise UsageFault(
            f"replica {same[0]} would use one port for HTTP and HTTPS",
            code="PORTS",
            state="Nothing was changed.",
            hint="Give both --replica-http-port and --replica-https-port.",
        )
    if after != before.replicas:
        why.append("ports")
    return after


def _tls(
    engine: DockerEngine,
    before: Cluster,
    settings: Settings,
    asked: SettingsRequest,
    material: making.Material,
) -> tuple[Tls, tuple[str, ...]]:
    """The certificate: the operator's new one, our own issued anew for a new name, or the one in force."""
    host = urlsplit(settings.external_url).hostname if settings.external_url else None
    known = nodes(engine)
    hosts = certificates.hosts(
        settings.external_url, *(known[r.node_id] for r in before.replicas if r.node_id in known)
    )
    if asked.certificate:
        if certificates.same(before.tls, asked):
            return before.tls, ()
        return making.provided_tls(material, asked, host)
    if asked.certificate == "" and before.tls.source == "provided":
        return making.generated_tls(material, hosts), ()
    if settings.external_url == before.settings.external_url:
        return before.tls, ()
    if before.tls.source == "generated":
        return certificates.reissue(engine, before, material, hosts), ()
    return before.tls, certificates.uncovered(before.tls, host)
