"""What a task on stores is given: the proxies and the authorities that the registry has."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from plan_support import an_engine, with_settings

from fakes.swarm import OneShot
from msrctl.model.cluster import Storage
from msrctl.plan.desired import desired
from msrctl.workflows.stores import Side, on_stores

if TYPE_CHECKING:
    from msrctl.model.cluster import Cluster

OWN, OTHER = "-----BEGIN CERTIFICATE-----\nown\n", "-----BEGIN CERTIFICATE-----\nother\n"
S3 = {"region": "us-east-1", "bucket": "images"}
PROXIES = {"http_proxy": "http://p:1", "https_proxy": "http://p:2", "no_proxy": "nas"}


def asked(storage: Storage, **settings: Any) -> tuple[Cluster, dict[str, Any], dict[str, Any]]:
    """The document, the container of a check, and the description that it reads."""
    engine, plain = an_engine()
    cluster = with_settings(plain, **settings)
    seen: list[tuple[dict[str, Any], str]] = []

    def answer(spec: dict[str, Any]) -> OneShot:
        (described,) = engine.swarm.objects["configs"].values()
        seen.append((spec["TaskTemplate"]["ContainerSpec"], described["Spec"]["Data"]))
        return OneShot(lines=('{"type": "result", "ok": true}',))

    engine.swarm.oneshot = answer
    on_stores(engine, cluster.replicas[0], cluster, "check", new=Side(storage), timeout=5)
    ((container, text),) = seen
    return cluster, container, json.loads(base64.b64decode(text))


def test_it_reaches_a_store_through_the_proxies_of_the_registry() -> None:
    cluster, container, _ = asked(Storage("s3", S3), **PROXIES)
    registry = desired(cluster).services[f"dtr-registry-{cluster.replicas[0].id}"]
    assert container["Env"] == ["HTTP_PROXY=http://p:1", "HTTPS_PROXY=http://p:2", "NO_PROXY=nas"]
    assert set(container["Env"]) <= set(registry["TaskTemplate"]["ContainerSpec"]["Env"])


@pytest.mark.parametrize(
    ("root_ca", "bundle", "trusted"),
    [(None, None, []), (OWN, None, [OWN]), (None, OTHER, [OTHER]), (OWN, OTHER, [OWN, OTHER])],
)
def test_it_trusts_the_store_s_authority_and_those_of_the_settings(
    root_ca: str | None, bundle: str | None, trusted: list[str]
) -> None:
    _, _, described = asked(Storage("s3", S3, root_ca=root_ca), custom_ca_cert_bundle=bundle)
    assert all(pem in (described["root_ca"] or "") for pem in trusted)
    assert (described["root_ca"] or "").count("BEGIN") == len(trusted)
