"""The cluster document of a restore: that of the backup on another node, with what the options change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msrctl import __version__
from msrctl.backup.check import STORAGE
from msrctl.errors import UsageFault
from msrctl.model.cluster import Accounts, Cluster, Replica, Storage, Tls
from msrctl.workflows import certificates, desire, storage
from msrctl.workflows import material as making

if TYPE_CHECKING:
    from msrctl.backup.check import Backup
    from msrctl.model.requests import RestoreRequest
    from msrctl.workflows import preflight, registry_image
    from msrctl.workflows.swarm import Node


def wanted_store(found: Backup, request: RestoreRequest, material: making.Material) -> Storage:
    """The store that the options name, or the one that the backup recorded.

    Arguments:
        found: the backup.
        request: the options.
        material: takes the secrets of an object store.
    """
    if not request.default_storage:
        return storage.asked(Storage(), request.settings, material)
    return recorded_store(found, material)


def recorded_store(found: Backup, material: making.Material) -> Storage:
    """The store that the backup recorded.

    Arguments:
        found: the backup.
        material: takes the secrets of an object store, under new names.
    """
    recorded = found.cluster.storage
    held = {
        parameter: material.add(
            f"store-{parameter}",
            found.secrets[STORAGE + parameter],
            f"{parameter} of the {recorded.kind} store",
        )
        for parameter in sorted(recorded.secrets)
    }
    return replace(recorded, secrets=held, store_id=None)


def document(
    found: Backup,
    request: RestoreRequest,
    image: preflight.Image,
    node: Node,
    material: making.Material,
    *,
    registry: registry_image.RegistryImage,
    store: Storage,
    swarm_is_ours: bool,
) -> tuple[Cluster, tuple[str, ...]]:
    """The document that is wanted, and warnings.

    Arguments:
        found: the backup.
        request: the options.
        image: what to run.
        node: where.
        material: takes the secrets, under new names.
        registry: the registry's image.
        store: from `wanted_store`.
        swarm_is_ours: whether msrctl made the swarm.

    Raises:
        UsageFault: settings that do not fit together, or TLS files that cannot be used.
    """
    before, asked = found.cluster, request.settings
    was = before.replicas[0]
    replica = Replica(
        id=request.replica_id or was.id,
        node_id=node.id,
        node_name=node.name,
        image=image.id,
        image_reference=image.reference,
        version=image.version,
        http_port=asked.http_port or was.http_port,
        https_port=asked.https_port or was.https_port,
        registry_image=registry.id,
        registry_version=registry.version,
    )
    if replica.http_port == replica.https_port:
        raise UsageFault(
            f"both ports would be {replica.http_port}",
            code="PORTS",
            state="Nothing was changed.",
            hint="Give both --replica-http-port and --replica-https-port.",
        )
    settings = desire.merged(before.settings, asked, [])
    if request.overlay_subnet:
        settings = replace(settings, overlay_subnet=request.overlay_subnet)
    # A plain URL of a node that is gone would be nobody's.
    cluster = replace(before, settings=settings, replicas=(replica,))
    tls, warnings = _tls(found, request, cluster, node, material)
    accounts = Accounts(
        admin=before.accounts.admin,
        htpasswd_secret=material.add("htpasswd", found.secrets["htpasswd"], "accounts, as in the backup"),
        probe_secret=material.add("probe", found.secrets["probe"], "msrctl's own password, to probe with"),
    )
    http_secret = material.add("http-secret", found.secrets["http.secret"], "signs upload states")
    made = before.next_generation(
        version=__version__,
        tls=tls,
        accounts=accounts,
        http_secret=http_secret,
        replicas=(replica,),
        settings=settings,
        storage=store,
        previous_storage=None,
        swarm_initialised=swarm_is_ours,
    )
    return made, warnings


def _tls(
    found: Backup, request: RestoreRequest, cluster: Cluster, node: Node, material: making.Material
) -> tuple[Tls, tuple[str, ...]]:
    """The operator's new files; else the same CA, with a new certificate if the old one lacks a name."""
    asked, before = request.settings, found.cluster.tls
    host = urlsplit(cluster.settings.external_url).hostname if cluster.settings.external_url else None
    if asked.certificate:
        return making.provided_tls(material, asked, host)
    ca_key = found.secrets.get("ca.key")
    kept = {"ca_key_secret": material.add("ca-key", ca_key, "private key of msrctl's CA")} if ca_key else {}
    if before.source == "generated" and ca_key and before.ca:
        hosts = certificates.hosts(cluster.settings.external_url, node)
        if certificates.lacking(before, hosts):
            from msrctl.tls import authority

            key = authority.new_key()
            request_pem = authority.signing_request(key, hosts)
            signed = authority.sign(before.ca, ca_key, request_pem, days=certificates.VALID_DAYS)
            name = material.add("tls-key", key, "private key for " + ", ".join(hosts[:3]))
            return replace(before, certificate=signed, key_secret=name, **kept), ()
    name = material.add("tls-key", found.secrets["tls.key"], "private key of the certificate")
    warnings = certificates.uncovered(before, host) if before.source == "provided" else ()
    return replace(before, key_secret=name, **kept), warnings
