"""Certificates of a deployment that exists: the names they are for, and issuing them anew.

A swarm secret cannot be read back, so the CA signs where its key can be read: in a one-shot that mounts the
secret, is handed a signing request and answers with a certificate. The new private key never leaves msrctl
except into its own secret.
"""

from __future__ import annotations

import base64
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msrctl.engine.oneshot import config_at, run_oneshot, secret_at
from msrctl.engine.protocol import Conflict
from msrctl.errors import MsrctlError
from msrctl.model import names
from msrctl.workflows.unreachable import reachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Tls
    from msrctl.model.requests import SettingsRequest
    from msrctl.workflows.material import Material
    from msrctl.workflows.swarm import Node

VALID_DAYS = 825
SIGN_SECONDS = 60.0


def hosts(external_url: str | None, *nodes: Node) -> list[str]:
    """The names of a generated certificate: the external one first, then the nodes' names and addresses."""
    external = urlsplit(external_url).hostname if external_url else None
    found = [external, *(part for n in nodes for part in (n.name, n.address)), "localhost", "127.0.0.1"]
    return list(dict.fromkeys(name for name in found if name))


def same(tls: Tls, asked: SettingsRequest) -> bool:
    """Whether the files that are given are those in force, by the certificate and its CA."""
    given_ca = asked.ca.strip() if asked.ca else None
    have_ca = tls.ca.strip() if tls.ca else None
    return (
        tls.source == "provided"
        and (asked.certificate or "").strip() == tls.certificate.strip()
        and given_ca == have_ca
    )


def lacking(tls: Tls, wanted: Iterable[str]) -> list[str]:
    """Those of the names that a certificate is not for."""
    from msrctl.tls.hosts import covers
    from msrctl.tls.judge import subject_names
    from msrctl.tls.pem import load_certificates

    has = subject_names(load_certificates(tls.certificate, "the certificate").certificates[0])
    return [host for host in wanted if not covers(has, host)]


def expires(tls: Tls) -> str | None:
    """When the certificate ends, ISO 8601 in UTC; None if it cannot be read."""
    from msrctl.tls.pem import load_certificates

    found = load_certificates(tls.certificate, "the certificate").certificates
    return found[0].not_valid_after_utc.isoformat() if found else None


def uncovered(tls: Tls, host: str | None) -> tuple[str, ...]:
    """A warning if the operator's certificate is not for a host name."""
    from msrctl.tls.hosts import covers
    from msrctl.tls.judge import subject_names
    from msrctl.tls.pem import load_certificates

    leaf = load_certificates(tls.certificate, "--dtr-cert").certificates[0]
    if host is None or covers(subject_names(leaf), host):
        return ()
    return (f"the certificate that was given with --dtr-cert is not for {host}: clients will refuse it",)


def reissue(engine: Engine, cluster: Cluster, material: Material, names_wanted: list[str]) -> Tls:
    """A new key and a certificate for it, signed by the cluster's own CA.

    Arguments:
        engine: a manager.
        cluster: the document in force; its CA signs.
        material: takes the new private key.
        names_wanted: host names and addresses.

    Raises:
        MsrctlError: the CA could not sign.
    """
    from msrctl.tls import authority

    assert cluster.tls.ca is not None
    assert cluster.tls.ca_key_secret is not None
    key = authority.new_key()
    request = authority.signing_request(key, names_wanted)
    ca_config = names.config("nginx", "/etc/nginx/ca.crt", cluster.tls.ca)
    csr_config = names.config("signing", "request.csr", request)
    body = {
        "Name": csr_config,
        "Data": base64.b64encode(request.encode()).decode(),
        "Labels": names.labels(cluster.id, cluster.version, component="config"),
    }
    with contextlib.suppress(Conflict):  # the same request: an earlier run was killed here
        engine.create("configs", body)
    replica = reachable(engine, cluster)
    try:
        result = run_oneshot(
            engine,
            image_id=replica.image,
            node_id=replica.node_id,
            args=["node", "sign", "--days", str(VALID_DAYS)],
            configs=[
                config_at(ca_config, "/run/msrctl/ca.crt"),
                config_at(csr_config, "/run/msrctl/request.csr"),
            ],
            secrets=[secret_at(cluster.tls.ca_key_secret, "ca.key")],
            labels={names.LABEL_CLUSTER: cluster.id},
            timeout=SIGN_SECONDS,
            user="0:0",
        )
    finally:
        engine.remove("configs", csr_config)
    if not result.lines:
        raise MsrctlError(
            f"the CA of this cluster could not sign a certificate: {result.why}",
            code="TLS-SIGN",
            state="Nothing was changed.",
        )
    key_secret = material.add("tls-key", key, "private key for " + ", ".join(names_wanted[:3]))
    return replace(cluster.tls, certificate=result.lines[-1]["certificate"], key_secret=key_secret)
