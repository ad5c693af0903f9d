"""Comparing what is wanted with what the engine holds: its additions do not count, its drift does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_support import NGINX, REGISTRY, a_cluster, with_settings

from msrctl.model import names
from msrctl.plan.compare import differences, service_changes
from msrctl.plan.desired import desired
from msrctl.plan.step import Change

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
NETWORKS = {"net123": names.NETWORK}


def _stored(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A wanted service, and how the engine lists it: with ids and defaults of its own."""
    wanted = desired(a_cluster()).services[name]
    spec = copy.deepcopy(wanted)
    template = spec["TaskTemplate"]
    template |= {"ForceUpdate": 0, "Runtime": "container", "Networks": [{"Target": "net123"}]}
    template["ContainerSpec"] |= {"Isolation": "default", "Init": False}
    for reference in template["ContainerSpec"]["Configs"]:
        reference["ConfigID"] = "an-id"
    spec["UpdateConfig"]["MaxFailureRatio"] = 0
    return wanted, {"ID": "x", "Spec": spec}


@given(JSON)
def test_nothing_differs_from_itself(data: Any) -> None:
    assert list(differences(data, copy.deepcopy(data))) == []


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.text(min_size=6), JSON)
def test_what_the_engine_adds_does_not_count(wanted: dict[str, Any], key: str, value: Any) -> None:
    assert list(differences(wanted, {**wanted, key: value})) == []


@pytest.mark.parametrize("wanted", [None, "", 0, False, [], {}])
@pytest.mark.parametrize("found", [{}, {"a": None}, {"a": ""}, {"a": 0}, {"a": []}, {"a": {}}])
def test_absent_and_empty_are_the_same_to_the_engine(wanted: Any, found: dict[str, Any]) -> None:
    assert list(differences({"a": wanted}, found)) == []


@pytest.mark.parametrize(
    ("wanted", "found", "change"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, Change("a.b", 1, 2)),
        ({"a": {"b": 1}}, {}, Change("a.b", 1, None)),
        ({"a": [1, 2]}, {"a": [1, 3]}, Change("a[1]", 2, 3)),
        ({"a": [1, 2]}, {"a": [1]}, Change("a", [1, 2], [1])),
        ({"a": []}, {"a": ["X=1"]}, Change("a", [], ["X=1"])),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2, "c": 3}]}, Change("a[0].b", 1, 2)),
        ({"a": False}, {"a": True}, Change("a", False, True)),
    ],
)
def test_what_differs_has_its_path_what_is_wanted_and_what_is_there(
    wanted: Any, found: Any, change: Change
) -> None:
    assert list(differences(wanted, found)) == [change]


@pytest.mark.parametrize("name", [NGINX, REGISTRY])
def test_the_engines_defaults_and_ids_are_no_drift(name: str) -> None:
    wanted, found = _stored(name)
    before = copy.deepcopy(found)
    assert service_changes(wanted, found, NETWORKS) == ()
    assert found == before


def test_a_change_is_named_without_the_engines_nesting() -> None:
    wanted, found = _stored(NGINX)
    found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = "nginx:latest"
    found["Spec"]["EndpointSpec"]["Ports"][1]["PublishedPort"] = 8443
    assert service_changes(wanted, found, NETWORKS) == (
        Change("Image", wanted["TaskTemplate"]["ContainerSpec"]["Image"], "nginx:latest"),
        Change("EndpointSpec.Ports[1].PublishedPort", 443, 8443),
    )


def test_another_network_is_a_change() -> None:
    wanted, found = _stored(NGINX)
    found["Spec"]["TaskTemplate"]["Networks"] = [{"Target": "other"}]
    assert service_changes(wanted, found, NETWORKS) == (Change("Networks[0].Target", names.NETWORK, "other"),)


def test_the_hash_shows_only_what_nothing_else_shows() -> None:
    """A setting that is not wanted any more is absent from the wanted spec: only the hash tells."""
    wanted = desired(a_cluster()).services[NGINX]
    with_syslog = with_settings(a_cluster(), log_protocol="udp", log_host="logs:514")
    found = {"ID": "x", "Spec": desired(with_syslog).services[NGINX]}
    changes = service_changes(wanted, found, {})
    assert [c.name for c in changes] == ["config-hash"]
    other = desired(with_settings(a_cluster(), log_level="debug")).services[NGINX]
    assert "config-hash" not in [c.name for c in service_changes(other, found, {})]
    assert not [c for c in service_changes(other, found, {}) if names.LABEL_HASH in c.name]


def test_a_service_without_labels_is_found_out() -> None:
    wanted, found = _stored(NGINX)
    del found["Spec"]["Labels"]
    changes = service_changes(wanted, found, NETWORKS)
    assert {c.name for c in changes} == {f"Labels.{k}" for k in wanted["Labels"] if k != names.LABEL_HASH}


@pytest.mark.parametrize("name", [NGINX, REGISTRY])
def test_the_order_of_what_has_none_is_no_drift(name: str) -> None:
    """`docker service update` writes mounts, references and variables in an order of its own."""
    cluster = with_settings(a_cluster(), http_proxy="http://p:1", https_proxy="http://p:1", no_proxy="a")
    wanted = desired(cluster).services[name]
    spec = copy.deepcopy(wanted)
    container = spec["TaskTemplate"]["ContainerSpec"]
    for key in ("Mounts", "Configs", "Secrets", "Env", "CapabilityAdd", "CapabilityDrop"):
        if key in container:
            container[key].reverse()
    spec["EndpointSpec"].get("Ports", []).reverse()
    assert len(container["Mounts"]) > 1
    assert service_changes(wanted, {"ID": "x", "Spec": spec}, {}) == ()


def test_a_change_in_a_reordered_list_is_named_by_what_it_is_about() -> None:
    wanted, found = _stored(NGINX)
    found["Spec"]["EndpointSpec"]["Ports"].reverse()
    found["Spec"]["EndpointSpec"]["Ports"][0]["PublishedPort"] = 8443
    assert service_changes(wanted, found, NETWORKS) == (
        Change("EndpointSpec.Ports[1].PublishedPort", 443, 8443),
    )


@pytest.mark.parametrize("key", ["Args", "Command"])
def test_the_order_of_arguments_counts(key: str) -> None:
    assert list(differences({key: ["a", "b"]}, {key: ["b", "a"]}))


def test_another_mount_in_the_place_of_one_is_a_change() -> None:
    wanted, found = (
        {"Mounts": [{"Target": "/a"}, {"Target": "/b"}]},
        {"Mounts": [{"Target": "/b"}, {"Target": "/c"}]},
    )
    assert list(differences(wanted, found)) == [Change("Mounts[0].Target", "/a", "/c")]
