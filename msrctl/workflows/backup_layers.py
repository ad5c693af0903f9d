"""The layers of a backup with --include-images: pulled through the registry, as clients pull them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from msrctl.errors import MsrctlError, Unreachable, WrongState
from msrctl.model.cluster import PROBE_USER
from msrctl.registry.client import Registry
from msrctl.workflows import probe
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.backup.writer import Writer
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.secret import Secret
    from msrctl.workflows.reporter import Reporter

SECONDS = 30.0
"""For a connection and for each piece of an answer."""


def registry(engine: Engine, cluster: Cluster, replica: Replica, password: Secret) -> Registry:
    """A client for one replica that also believes the store, to which it may be sent for layers.

    Arguments:
        engine: a manager, for the node's address.
        cluster: the document.
        replica: which one.
        password: of msrctl's own account.

    Raises:
        WrongState: the proxy asks for a client's certificate, which msrctl does not have.
    """
    if cluster.settings.enable_client_cert_auth:
        raise WrongState(
            "layers go through the registry, and it asks clients for a certificate, which msrctl has not",
            code="BACKUP-IMAGES",
            state="Nothing was changed.",
            hint="Copy the store's files with its own tools beside a backup without --include-images.",
        )
    system = ssl.get_default_verify_paths().cafile
    known = Path(system).read_text() if system and Path(system).exists() else ""
    trust = [probe.trust_of(cluster), cluster.storage.root_ca or "", known]
    return Registry(
        f"https://{probe.host_of(cluster, replica)}",
        ca="\n".join(part for part in trust if part),
        auth=(PROBE_USER, password),
        timeout=SECONDS,
        connect_to=(nodes(engine)[replica.node_id].address, replica.https_port),
    )


def write(
    engine: Engine,
    report: Reporter,
    cluster: Cluster,
    password: Secret,
    writer: Writer,
    *,
    where: Mapping[str, str],
    sizes: Mapping[str, int],
) -> dict[str, int]:
    """Pulls every layer and puts it into the backup; returns digest to size.

    Arguments:
        engine: a manager.
        report: where progress goes.
        cluster: the document; its first replica is asked.
        password: of msrctl's own account.
        writer: of the backup.
        where: digest to a repository that has it.
        sizes: digest to bytes.

    Raises:
        MsrctlError: a layer cannot be pulled whole: there is no backup then.
    """
    done: dict[str, int] = {}
    total = sum(sizes.values())
    with (
        report.step("layers", f"{len(where):,} layers, {total:,} bytes") as progress,
        registry(engine, cluster, cluster.replicas[0], password) as client,
    ):
        for digest in sorted(where):
            layer = writer.layer(digest, sizes[digest])
            try:
                client.pull_blob(where[digest], digest, layer.write)
                layer.close()
            except Unreachable as error:
                raise _explained(error) from error
            except ValueError as error:
                raise MsrctlError(f"the store has another layer than it lists: {error}") from error
            done[digest] = sizes[digest]
            progress.detail(f"{len(done):,} of {len(where):,} layers, {sum(done.values()):,} bytes")
    return done


def _explained(error: Unreachable) -> Unreachable:
    return Unreachable(
        f"layers are pulled through the registry, and it cannot be reached from here: {error.message}",
        code=error.code,
        state="There is no backup.",
        hint="Run --include-images on a machine that reaches the registry as docker pull does.",
        details=error.details,
    )
