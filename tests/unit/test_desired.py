"""Bodies for the engine from the cluster document: always the same, and only what reads a setting changes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_support import CERTIFICATE, NGINX, REGISTRY, a_cluster, with_settings

from msrctl.model import names
from msrctl.model.cluster import Cluster, Storage
from msrctl.plan.desired import Desired, desired, next_registry

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = ["debug", "info", "warn", "error", "fatal"]
OTHER = CERTIFICATE.replace("bm90", "YW5k")


def _text(wanted: Desired) -> str:
    """Everything, in its order."""
    return json.dumps([wanted.networks, wanted.configs, sorted(wanted.secrets), wanted.services])


def _changed(before: Cluster, after: Cluster) -> tuple[set[str], set[str]]:
    """New configs, by what they are, and services with another spec."""
    one, two = desired(before), desired(after)
    assert one.services.keys() == two.services.keys()
    configs = {
        name.rsplit("-", 1)[0].removeprefix("dtr-") for name in two.configs.keys() - one.configs.keys()
    }
    return configs, {name for name in one.services if one.services[name] != two.services[name]}


def _port(cluster: Cluster, **ports: int) -> Cluster:
    return replace(cluster, replicas=(replace(cluster.replicas[0], **ports),))  # type: ignore[arg-type]


@given(
    st.sampled_from(LEVELS),
    st.integers(1, 65535),
    st.booleans(),
    st.none() | st.just("http://proxy:3128"),
    st.sampled_from([Storage(), Storage("bind", {"path": "/srv"}), Storage(parameters={"volume": "images"})]),
)
def test_the_same_document_gives_the_same_bodies_byte_for_byte(
    level: str, port: int, pprof: bool, proxy: str | None, storage: Storage
) -> None:
    cluster = with_settings(a_cluster(), log_level=level, enable_pprof=pprof, http_proxy=proxy)
    cluster = replace(_port(cluster, https_port=port), storage=storage)
    again = Cluster.from_json(json.loads(json.dumps(cluster.to_json(), sort_keys=True)))
    assert _text(desired(cluster)) == _text(desired(again))


def test_the_generation_alone_changes_nothing_that_runs() -> None:
    assert _text(desired(a_cluster())) == _text(desired(a_cluster().next_generation()))


@pytest.mark.parametrize("level", ["debug", "warn", "error", "fatal"])
def test_a_changed_log_level_changes_only_what_reads_it(level: str) -> None:
    configs, services = _changed(a_cluster(), with_settings(a_cluster(), log_level=level))
    assert configs == {"registry-config-yml", "nginx-nginx-conf"}
    assert services == {REGISTRY, NGINX}


def test_a_level_that_means_the_same_to_the_registry_does_not_touch_it() -> None:
    before, after = (with_settings(a_cluster(), log_level=level) for level in ("error", "fatal"))
    assert _changed(before, after) == ({"nginx-nginx-conf"}, {NGINX})


@pytest.mark.parametrize(
    ("change", "configs", "services"),
    [
        (lambda c: with_settings(c, enable_pprof=True), {"nginx-nginx-conf"}, {NGINX}),
        (lambda c: with_settings(c, http_proxy="http://p:1"), set(), {REGISTRY}),
        (lambda c: with_settings(c, no_proxy="a"), set(), {REGISTRY}),
        (lambda c: with_settings(c, custom_ca_cert_bundle=OTHER), {"registry-custom-ca-pem"}, {REGISTRY}),
        (lambda c: _port(c, http_port=8080), set(), {NGINX}),
        (lambda c: replace(c, tls=replace(c.tls, certificate=OTHER)), {"nginx-tls-crt"}, {NGINX}),
        (lambda c: replace(c, tls=replace(c.tls, key_secret="k2")), set(), {NGINX}),
        (lambda c: replace(c, tls=replace(c.tls, ca_key_secret="k2")), set(), set()),
        (lambda c: replace(c, accounts=replace(c.accounts, htpasswd_secret="h2")), set(), {REGISTRY}),
        (lambda c: replace(c, accounts=replace(c.accounts, probe_secret="p2")), set(), set()),
        (lambda c: replace(c, http_secret="s2"), set(), {REGISTRY}),
        (lambda c: replace(c, storage=Storage(parameters={"volume": "v"})), set(), {REGISTRY}),
        (lambda c: with_settings(c, external_url="https://a.example.org"), set(), set()),
        (lambda c: with_settings(c, log_protocol="udp", log_host="h:514"), set(), {REGISTRY, NGINX}),
        (
            lambda c: with_settings(c, enable_client_cert_auth=True, client_cert_auth_ca=OTHER),
            {"nginx-nginx-conf", "nginx-client-ca-crt"},
            {NGINX},
        ),
        (lambda c: with_settings(c, client_cert_auth_ca=OTHER), set(), set()),
    ],
)
def test_each_setting_changes_only_what_reads_it(
    change: Callable[[Cluster], Cluster], configs: set[str], services: set[str]
) -> None:
    assert _changed(a_cluster(), change(a_cluster())) == (configs, services)


def test_every_service_uses_only_what_is_made_for_it() -> None:
    wanted = desired(a_cluster())
    for spec in wanted.services.values():
        container = spec["TaskTemplate"]["ContainerSpec"]
        assert {c["ConfigName"] for c in container["Configs"]} <= wanted.configs.keys()
        assert {s["SecretName"] for s in container["Secrets"]} <= wanted.secrets
        assert spec["TaskTemplate"]["Networks"] == [{"Target": names.NETWORK}]
        assert spec["TaskTemplate"]["Placement"]["Constraints"] == ["node.id==node-id-1"]


def test_every_object_carries_the_labels_of_its_cluster() -> None:
    cluster = a_cluster()
    wanted = desired(cluster)
    for body in [*wanted.networks.values(), *wanted.configs.values(), *wanted.services.values()]:
        assert body["Labels"][names.LABEL_CLUSTER] == cluster.id
    for spec in wanted.services.values():
        for mount in spec["TaskTemplate"]["ContainerSpec"]["Mounts"]:
            if mount["Type"] == "volume":
                assert mount["VolumeOptions"]["Labels"][names.LABEL_CLUSTER] == cluster.id


def test_services_have_no_powers_and_no_writable_root() -> None:
    for name, spec in desired(a_cluster()).services.items():
        container = spec["TaskTemplate"]["ContainerSpec"]
        assert container["CapabilityDrop"] == ["ALL"]
        assert container["ReadOnly"]
        assert container.get("CapabilityAdd", []) == (["CAP_DAC_OVERRIDE"] if name == REGISTRY else [])
        assert all(s["File"]["Mode"] == 0o400 for s in container["Secrets"])


def test_only_the_proxy_listens_on_the_host_and_leaves_its_ports_before_a_new_one_starts() -> None:
    services = desired(_port(a_cluster(), http_port=8080, https_port=8443)).services
    assert "Ports" not in services[REGISTRY]["EndpointSpec"]
    ports = services[NGINX]["EndpointSpec"]["Ports"]
    assert [(p["TargetPort"], p["PublishedPort"], p["PublishMode"]) for p in ports] == [
        (8080, 8080, "host"),
        (8443, 8443, "host"),
    ]
    assert services[NGINX]["UpdateConfig"]["Order"] == "stop-first"
    assert services[REGISTRY]["UpdateConfig"]["Order"] == "start-first"


@pytest.mark.parametrize("subnet", [None, "10.9.0.0/24"])
def test_the_overlay_has_a_subnet_only_if_one_is_asked_for(subnet: str | None) -> None:
    body = desired(with_settings(a_cluster(), overlay_subnet=subnet)).networks[names.NETWORK]
    assert body.get("IPAM", {}).get("Config") == ([{"Subnet": subnet}] if subnet else None)


def test_the_environment_holds_only_the_proxies() -> None:
    cluster = with_settings(a_cluster(), http_proxy="http://p:1", https_proxy="http://q:2", no_proxy="a,b")
    for name, spec in desired(cluster).services.items():
        env = spec["TaskTemplate"]["ContainerSpec"].get("Env", [])
        wanted = ["HTTP_PROXY=http://p:1", "HTTPS_PROXY=http://q:2", "NO_PROXY=a,b"]
        assert env == (wanted if name == REGISTRY else [])


def test_a_config_is_named_by_its_content() -> None:
    for name, body in desired(a_cluster()).configs.items():
        assert len(name) <= 64
        assert body["Name"] == name
        assert name.rsplit("-", 1)[1] == names.digest_of(base64.b64decode(body["Data"]))


def test_the_hash_is_of_everything_else_in_the_spec() -> None:
    for spec in desired(a_cluster()).services.values():
        labels: dict[str, Any] = dict(spec["Labels"])
        recorded = labels.pop(names.LABEL_HASH)
        assert recorded == names.digest_of({**spec, "Labels": labels})


def test_another_registry_image_runs_by_its_own_name_for_itself() -> None:
    other = "sha256:" + "b" * 64
    cluster = replace(a_cluster(), replicas=(replace(a_cluster().replicas[0], registry_image=other),))
    services = desired(cluster).services
    container = services[REGISTRY]["TaskTemplate"]["ContainerSpec"]
    assert (container["Image"], container["Command"]) == (other, ["registry"])
    assert container["Healthcheck"]["Test"][1] == "wget"
    assert services[NGINX] == desired(a_cluster()).services[NGINX]


S3 = Storage(
    "s3",
    {"region": "eu-west-1", "bucket": "images"},
    secrets={"accesskey": "dtr-store-accesskey-1", "secretkey": "dtr-store-secretkey-1"},
    root_ca=OTHER,
)


def test_an_object_store_gets_its_secrets_as_files_and_its_ca_into_the_trust() -> None:
    wanted = desired(replace(a_cluster(), storage=S3))
    container = wanted.services[REGISTRY]["TaskTemplate"]["ContainerSpec"]
    assert {
        s["File"]["Name"]: s["SecretName"] for s in container["Secrets"] if "store" in s["SecretName"]
    } == {
        "store.accesskey": "dtr-store-accesskey-1",
        "store.secretkey": "dtr-store-secretkey-1",
    }
    assert {"dtr-store-accesskey-1", "dtr-store-secretkey-1"} <= wanted.secrets
    assert "/etc/msrctl/ca/store-ca.pem" in [c["File"]["Name"] for c in container["Configs"]]
    assert container["Env"] == ["SSL_CERT_DIR=/etc/ssl/certs:/etc/msrctl/ca"]
    assert [m["Type"] for m in container["Mounts"]] == ["tmpfs"]


def test_the_registry_that_stands_in_runs_what_the_own_one_will_run() -> None:
    cluster = replace(a_cluster(), storage=S3)
    own = desired(cluster).services[REGISTRY]
    name, spec = next_registry(cluster, cluster.replicas[0])
    assert name == spec["Name"] == f"{REGISTRY}-next"
    one, two = (s["TaskTemplate"]["ContainerSpec"] for s in (own, spec))
    assert {k: v for k, v in one.items() if k != "Labels"} == {k: v for k, v in two.items() if k != "Labels"}
    assert spec["Labels"][names.LABEL_COMPONENT] == "registry-next"
    assert spec["TaskTemplate"]["Placement"] == own["TaskTemplate"]["Placement"]


@pytest.mark.parametrize("kind", ["s3", "azure", "swift", "gcs"])
def test_the_order_in_which_a_configuration_was_written_changes_nothing(kind: str) -> None:
    # The document is kept with its keys sorted, so what is read back has another order than what was given.
    given = {"zone": "z", "bucket": "b", "container": "c", "accountname": "a", "authurl": "https://k/v3"}
    parameters = given | {"username": "u", "region": "eu-west-1", "chunksize": 5242880}
    cluster = replace(a_cluster(), storage=Storage(kind, parameters, {"secretkey": "s1", "accesskey": "s2"}))
    again = Cluster.from_json(json.loads(json.dumps(cluster.to_json(), sort_keys=True)))
    assert _text(desired(cluster)) == _text(desired(again))
