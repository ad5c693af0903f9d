"""What the tests of plans share: a cluster document, a swarm that has it, a recording reporter."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fakes.engine import FakeEngine
from fakes.swarm import IMAGE_ID
from msrctl.engine.state import StateStore
from msrctl.model import names
from msrctl.model.cluster import Accounts, Cluster, Replica, Tls
from msrctl.plan.desired import Desired, desired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.plan.step import Plan

CLUSTER = "c0ffee000001"
REPLICA = "5f0c2a9be417"
REGISTRY = names.service("registry", REPLICA)
NGINX = names.service("nginx", REPLICA)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90IGEgcmVhbCBvbmU=\n-----END CERTIFICATE-----\n"


def a_cluster(node: str = "node-id-1", **changes: Any) -> Cluster:
    """A document of one replica."""
    replica = Replica(
        id=REPLICA,
        node_id=node,
        node_name="node-1",
        image=IMAGE_ID,
        image_reference="msrctl/msr:0.1.0",
        version="0.1.0",
    )
    made = Cluster(
        id=CLUSTER,
        generation=1,
        created="2026-01-02T03:04:05+00:00",
        version="0.1.0",
        tls=Tls("generated", CERTIFICATE, CERTIFICATE, "dtr-tls-key-1", "dtr-ca-key-1"),
        accounts=Accounts("admin", "dtr-htpasswd-1", "dtr-probe-1"),
        http_secret="dtr-http-secret-1",
        replicas=(replica,),
    )
    return replace(made, **changes)


def with_settings(cluster: Cluster, **changes: Any) -> Cluster:
    """The same cluster with other settings."""
    return replace(cluster, settings=replace(cluster.settings, **changes))


def an_engine() -> tuple[FakeEngine, Cluster]:
    """An empty swarm, and a document for its one node."""
    engine = FakeEngine()
    return engine, a_cluster(engine.nodes()[0]["ID"])


def two_replicas(ident: str) -> tuple[FakeEngine, Cluster]:
    """A swarm that has a cluster of two replicas on two nodes, and its document.

    Arguments:
        ident: id of the second one.
    """
    engine, cluster = an_engine()
    node = engine.swarm.add_node("node-2")
    second = replace(cluster.replicas[0], id=ident, node_id=node, node_name="node-2")
    cluster = replace(cluster, replicas=(*cluster.replicas, second))
    put(engine, cluster)
    StateStore(engine).write(cluster.to_json(), 1, cluster=cluster.id)
    return engine, cluster


def put(engine: FakeEngine, cluster: Cluster) -> Desired:
    """Makes everything that the document asks for, as an install would."""
    wanted = desired(cluster)
    for spec in wanted.networks.values():
        engine.create("networks", spec)
    for name in sorted(wanted.secrets):
        labels = names.labels(cluster.id, cluster.version, component="secret")
        engine.create("secrets", {"Name": name, "Data": "eA==", "Labels": labels})
    for spec in wanted.configs.values():
        engine.create("configs", spec)
    for spec in wanted.services.values():
        engine.create("services", spec)
    return wanted


class Recorder:
    """A reporter that only remembers."""

    interactive = False

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def plan(self, plan: Plan) -> None:
        self.lines.append(str(plan))

    @contextmanager
    def step(self, title: str, detail: str = "") -> Iterator[Recorder]:
        self.lines.append(f"{title} {detail}".rstrip())
        yield self

    def detail(self, text: str) -> None:
        self.lines.append(text)

    def confirm(self, question: str) -> bool:
        raise AssertionError(question)
