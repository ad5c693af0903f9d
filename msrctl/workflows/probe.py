"""Probes a replica over HTTP: directly where this machine reaches it, else by a one-shot on its node."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msrctl.engine.oneshot import config_at, run_oneshot, secret_at
from msrctl.errors import MsrctlError, Unreachable, VerifyFailed
from msrctl.model import names
from msrctl.registry.client import Registry
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.engine.protocol import JSON, Engine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.secret import Secret
    from msrctl.workflows.swarm import Node

DIRECT_SECONDS = 3.0
ONESHOT_SECONDS = 60.0
SETTLE_SECONDS = 5.0
"""How long a service that has just come up may fail: seen on a busy machine while the proxy did not know the
registry's address yet."""
LOG_LINES = 10


@dataclass(frozen=True)
class Seen:
    """What a probe saw of one component."""

    component: str
    ok: bool
    detail: str


def host_of(cluster: Cluster, replica: Replica) -> str:
    """The host name that the certificate is for, as clients use it."""
    return urlsplit(cluster.url()).hostname or replica.node_name


def trust_of(cluster: Cluster) -> str:
    """What a probe trusts: the CA if there is one, else exactly the certificate that we serve."""
    return cluster.tls.ca or cluster.tls.certificate


def health(engine: Engine, cluster: Cluster, replica: Replica, node: Node) -> tuple[Seen, ...]:
    """Health of a replica's proxy and registry, without credentials where it is reached directly.

    Arguments:
        engine: a manager, for the one-shot.
        cluster: the document.
        replica: which one.
        node: where it is.
    """
    try:
        healthy, text = client(cluster, replica, node.address).health()
    except Unreachable:
        return through_node(engine, cluster, replica, proxy=True, upload=False)
    proxy = Seen("nginx", ok=True, detail=f"answers at {node.address}:{replica.https_port}")
    return Seen("registry", ok=healthy, detail="healthy, its store too" if healthy else text), proxy


def upload(cluster: Cluster, replica: Replica, node: Node, auth: tuple[str, Secret]) -> str:
    """Opens and cancels an upload through the proxy, directly; returns a few words about what it saw.

    Where the proxy asks for a client's certificate only its health is asked: msrctl has no such certificate.

    Raises:
        Unreachable: this machine does not reach the replica; use `through_node`.
        VerifyFailed: it answers, but an upload does not open.
    """
    one = client(cluster, replica, node.address, auth)
    healthy, text = one.health(ready=True)
    if not healthy:
        raise VerifyFailed(f"replica {replica.id} is not healthy: {text}", code="PROBE")
    if cluster.settings.enable_client_cert_auth:
        return f"{cluster.url(replica)} answers"
    one.probe_upload()
    return f"{cluster.url(replica)} answers, an upload opens"


def lets_in(cluster: Cluster, replica: Replica, node: Node, auth: tuple[str, Secret]) -> bool:
    """Whether a replica lets a user in; False also if it cannot be asked."""
    try:
        return client(cluster, replica, node.address, auth).ping() == 200
    except MsrctlError:
        return False


def prober(engine: Engine, cluster: Cluster, auth: tuple[str, Secret] | None = None) -> Callable[[str], str]:
    """The check of a service after it was made or changed, for an execution.

    Arguments:
        engine: a manager.
        cluster: the document that is wanted.
        auth: if given (install knows the password), the proxy is asked directly, and the registry through it.
    """
    known = nodes(engine)
    of_service = {names.service(c, r.id): (c, r) for r in cluster.replicas for c in ("registry", "nginx")}

    # Behind a proxy that asks for certificates the registry can only be asked over the overlay network.
    direct = None if cluster.settings.enable_client_cert_auth else auth

    def look(component: str, replica: Replica) -> str:
        if direct and component == "registry":
            return "healthy"  # an upload is opened through the proxy, in a moment
        if auth and component == "nginx":
            with contextlib.suppress(Unreachable):
                return upload(cluster, replica, known[replica.node_id], auth)
        return require_all(through_node(engine, cluster, replica, proxy=component == "nginx"), replica)

    def check(service: str) -> str:
        component, replica = of_service[service]
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return look(component, replica)
            except VerifyFailed as error:
                if time.monotonic() > end:
                    raise _with_log(engine, cluster, replica, error) from error
            time.sleep(0.5)

    return check


def _with_log(engine: Engine, cluster: Cluster, replica: Replica, error: VerifyFailed) -> VerifyFailed:
    """The error with the end of the registry's log, which goes away when the change is undone."""
    service = names.service("registry", replica.id)
    if cluster.settings.log_protocol == "internal":
        hint = "The end of the registry's log, above, says why."
        try:
            lines = tuple(f"log: {line}" for line in engine.logs(service, tail=LOG_LINES))
        except MsrctlError:
            lines = ()
    else:
        hint, lines = f"The registry's log at {cluster.settings.log_host} (tag {service}) says why.", ()
    return VerifyFailed(error.message, code=error.code, hint=error.hint or hint, details=lines)


def client(
    cluster: Cluster, replica: Replica, address: str, auth: tuple[str, Secret] | None = None
) -> Registry:
    """A client for one replica at its node's address, by the name that its certificate has."""
    return Registry(
        f"https://{host_of(cluster, replica)}",
        ca=trust_of(cluster),
        auth=auth,
        timeout=DIRECT_SECONDS,
        connect_to=(address, replica.https_port),
    )


def through_node(
    engine: Engine,
    cluster: Cluster,
    replica: Replica,
    *,
    proxy: bool,
    upload: bool = True,
    pull: bool = False,
    service: str | None = None,
) -> tuple[Seen, ...]:
    """Probes from the replica's node over the overlay network, with msrctl's own account.

    Arguments:
        engine: a manager.
        cluster: the document.
        replica: which one.
        proxy: whether to ask the proxy too, not only the registry.
        upload: whether to open an upload, which writes to the store. One that is cancelled leaves a small
            file behind (seen with 2.8), so this is for after a change, not for every look.
        pull: whether to pull a manifest too, if there is any.
        service: another registry than the replica's own, by the name of its service.
    """
    args = ["node", "probe", "--registry", service or names.service("registry", replica.id)]
    args += ["--upload"] if upload else []
    args += ["--pull"] if pull else []
    args += ["--client-certificates"] if cluster.settings.enable_client_cert_auth else []
    configs = []
    if proxy:
        args += ["--proxy", names.service("nginx", replica.id), "--host", host_of(cluster, replica)]
        configs.append(trust_config(cluster))
    result = run_oneshot(
        engine,
        image_id=replica.image,
        node_id=replica.node_id,
        args=args,
        configs=configs,
        secrets=[secret_at(cluster.accounts.probe_secret, "probe")],
        networks=[names.NETWORK],
        labels={names.LABEL_CLUSTER: cluster.id},
        timeout=ONESHOT_SECONDS,
        user="0:0",
        wait_gone=False,
    )
    if not result.lines:
        raise Unreachable(f"the probe on node {replica.node_name} gave no answer: {result.why}", code="PROBE")
    fine = "healthy, an upload opens" if upload else "healthy"
    return tuple(
        Seen(x["component"], x["ok"], x.get("error") or fine + (", a pull too" if x.get("pulled") else ""))
        for x in result.lines
    )


def trust_config(cluster: Cluster) -> JSON:
    """What a probe trusts, as a config for a one-shot at /run/msrctl/tls.crt."""
    name = names.config("nginx", "/etc/nginx/tls.crt", cluster.tls.certificate)
    if cluster.tls.ca:
        name = names.config("nginx", "/etc/nginx/ca.crt", cluster.tls.ca)
    return config_at(name, "/run/msrctl/tls.crt")


def require_all(seen: tuple[Seen, ...], replica: Replica) -> str:
    """What was seen, in words.

    Raises:
        VerifyFailed: a component does not answer as it should.
    """
    bad = [s for s in seen if not s.ok]
    if bad:
        raise VerifyFailed(
            f"replica {replica.id}: " + "; ".join(f"{s.component}: {s.detail}" for s in bad), code="PROBE"
        )
    return ", ".join(f"{s.component} {s.detail}" for s in seen[-1:])
