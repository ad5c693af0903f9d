"""Another registry than msrctl's own: which versions are run, and what is rendered for each."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
import yaml
from plan_support import REGISTRY, a_cluster

from msrctl.errors import PreflightFailed, UsageFault
from msrctl.model.cluster import Cluster, Storage
from msrctl.plan.desired import desired
from msrctl.registry import version

OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("registry github.com/docker/distribution v2.8.3", "2.8.3"),
        ("registry github.com/docker/distribution 2.8.3+ds1", "2.8.3"),
        ("registry github.com/docker/distribution v2.8.3+unknown\n", "2.8.3"),
        ("registry github.com/distribution/distribution/v3 v3.1.1", "3.1.1"),
        ("registry github.com/distribution/distribution/v3 3.1.1-rc.1", "3.1.1"),
        ("registry github.com/distribution/distribution/v3 edge", None),
        ("registry", None),
        ("", None),
    ],
)
def test_the_version_is_the_last_word_of_what_the_program_says(text: str, found: str | None) -> None:
    assert version.from_output(text) == found


@pytest.mark.parametrize("found", ["2.8.3", "2.8.4", "3.1.1", "3.1.2"])
def test_versions_that_are_known_to_work_are_run(found: str) -> None:
    assert version.require_supported(found, "registry:x") == found


@pytest.mark.parametrize("found", ["2.7.1", "2.8.2", "3.0.0", "3.1.0", "3.2.0", "4.0.0", None])
def test_any_other_version_is_refused_with_those_that_are_run(found: str | None) -> None:
    with pytest.raises(PreflightFailed, match="registry:x") as error:
        version.require_supported(found, "registry:x")
    assert error.value.code == "PRE-REGISTRY-VERSION"
    assert (found or "no version") in error.value.message
    assert "2.8.3" in (error.value.hint or "")
    assert "3.1.1" in (error.value.hint or "")


def _with(registry_version: str, **changes: Any) -> Cluster:
    replica = replace(a_cluster().replicas[0], registry_image=OTHER, registry_version=registry_version)
    return a_cluster(replicas=(replica,), **changes)


def _registry(cluster: Cluster) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The container, the path of its configuration, and that."""
    wanted = desired(cluster)
    container = wanted.services[REGISTRY]["TaskTemplate"]["ContainerSpec"]
    path = container["Args"][-1]
    name = next(c["ConfigName"] for c in container["Configs"] if c["File"]["Name"] == path)
    text = base64.b64decode(wanted.configs[name]["Data"]).decode()
    for_yaml = text.replace('{{ printf "%q" (secret "', "secret-").replace('") }}', "")
    return container, path, yaml.safe_load(for_yaml)


@pytest.mark.parametrize(
    ("found", "path", "env"),
    [
        ("2.8.3", "/etc/docker/registry/config.yml", []),
        ("3.1.1", "/etc/distribution/config.yml", ["OTEL_TRACES_EXPORTER=none"]),
    ],
)
def test_each_version_gets_its_configuration_where_it_looks_for_it(
    found: str, path: str, env: list[str]
) -> None:
    container, where, config = _registry(_with(found))
    assert (container["Image"], container["Command"]) == (OTHER, ["registry"])
    assert (where, container["Args"], container["Env"]) == (path, ["serve", path], env)
    assert container["Healthcheck"]["Test"][1] == "wget"
    assert config["storage"]["filesystem"] == {"rootdirectory": "/storage", "maxthreads": 100}
    assert config["storage"]["delete"] == {"enabled": True}
    assert config["auth"] == {"htpasswd": {"realm": "msrctl", "path": "/run/secrets/htpasswd"}}
    assert config["health"]["storagedriver"]["enabled"] is True
    assert config["http"]["secret"] == "secret-http.secret"


def test_the_driver_of_a_store_is_rendered_in_the_version_s_words() -> None:
    s3 = Storage("s3", {"region": "eu-west-1", "bucket": "b", "regionendpoint": "https://s3.example.com"})
    assert "forcepathstyle" not in _registry(_with("2.8.3", storage=s3))[2]["storage"]["s3"]
    assert _registry(_with("3.1.1", storage=s3))[2]["storage"]["s3"]["forcepathstyle"] is True


def test_a_store_that_registry_3_has_no_driver_for_is_refused() -> None:
    swift = Storage("swift", {"authurl": "https://k.example.com/v3", "container": "images"})
    assert _registry(_with("2.8.3", storage=swift))[2]["storage"]["swift"]
    with pytest.raises(UsageFault, match="registry 3 has no swift driver"):
        desired(_with("3.1.1", storage=swift))
