"""The cluster document: it survives being stored; what cannot be read is refused, all problems listed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_support import a_cluster, with_settings

from msrctl.errors import WrongState
from msrctl.model.cluster import FORMAT, Accounts, Cluster, Replica, Settings, Storage, Tls
from msrctl.model.schema import problems

HEX = st.text("0123456789abcdef", min_size=12, max_size=12)
IMAGE = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)
SECRET = st.from_regex(r"[a-zA-Z0-9_.-]{1,64}", fullmatch=True)
TEXT = st.text(max_size=20)
MAYBE = st.none() | TEXT
PORT = st.integers(1, 65535)
LEVELS = st.sampled_from(["debug", "info", "warn", "error", "fatal"])
STORAGE = st.builds(
    Storage,
    kind=st.sampled_from(["volume", "bind", "nfs", "s3", "azure", "swift", "gcs"]),
    parameters=st.dictionaries(TEXT, MAYBE | st.integers() | st.booleans(), max_size=3),
    secrets=st.dictionaries(TEXT, SECRET, max_size=2),
    root_ca=MAYBE,
    redirect=st.none() | st.booleans(),
    store_id=MAYBE,
)
REPLICAS = st.builds(
    Replica,
    id=HEX,
    node_id=TEXT,
    node_name=TEXT,
    image=IMAGE,
    image_reference=TEXT,
    version=TEXT,
    http_port=PORT,
    https_port=PORT,
    registry_image=st.none() | IMAGE,
    registry_version=MAYBE,
)
SETTINGS = st.builds(
    Settings, log_level=LEVELS, log_protocol=st.sampled_from(["internal", "tcp", "udp"]), http_proxy=MAYBE
)
CLUSTERS = st.builds(
    Cluster,
    id=HEX,
    generation=st.integers(1, 1000),
    created=TEXT,
    version=TEXT,
    tls=st.builds(Tls, st.sampled_from(["generated", "provided"]), TEXT, MAYBE, SECRET, st.none() | SECRET),
    accounts=st.builds(Accounts, TEXT.filter(bool), SECRET, SECRET),
    http_secret=SECRET,
    replicas=st.lists(REPLICAS, min_size=1, max_size=3).map(tuple),
    settings=SETTINGS,
    storage=STORAGE,
    previous_storage=st.none() | STORAGE,
    read_only=st.booleans(),
    swarm_initialised=st.booleans(),
)


def _damaged(**changes: Any) -> dict[str, Any]:
    return {**a_cluster().to_json(), **changes}


@given(CLUSTERS)
def test_a_document_comes_back_as_it_was_written(cluster: Cluster) -> None:
    stored = json.dumps(cluster.to_json())
    assert Cluster.from_json(json.loads(stored)) == cluster


@given(CLUSTERS)
def test_every_document_is_of_its_schema(cluster: Cluster) -> None:
    assert problems("cluster", json.loads(json.dumps(cluster.to_json()))) == ()


def test_a_document_from_before_another_registry_had_a_version_is_read() -> None:
    data = json.loads(json.dumps(a_cluster().to_json()))
    del data["replicas"][0]["registry_version"]
    assert Cluster.from_json(data) == a_cluster()


def test_a_newer_format_is_refused_and_says_which_msrctl_to_use() -> None:
    with pytest.raises(WrongState, match=f"format {FORMAT + 1}, this msrctl knows {FORMAT}") as error:
        Cluster.from_json(_damaged(format=FORMAT + 1, version="9.9.9", something="new"))
    assert error.value.code == "STATE-NEWER"
    assert "9.9.9" in (error.value.hint or "")


def test_a_damaged_document_lists_all_its_problems() -> None:
    data = _damaged(id="no", generation=0, settings=None)
    del data["accounts"]
    data["replicas"][0]["http_port"] = 70000
    with pytest.raises(WrongState) as error:
        Cluster.from_json(data)
    assert error.value.code == "STATE-DAMAGED"
    listed = "\n".join(error.value.details)
    for path in ("id: ", "generation: ", "settings: ", "replicas.0.http_port: ", "'accounts' is a required"):
        assert path in listed


@pytest.mark.parametrize("number", ["1", "x", None, [], 1.5, 0, -1])
def test_a_format_that_is_no_number_is_damage(number: Any) -> None:
    with pytest.raises(WrongState) as error:
        Cluster.from_json(_damaged(format=number))
    assert error.value.code == "STATE-DAMAGED"
    assert error.value.details[0].startswith("format: ")


@pytest.mark.parametrize("data", [[], "text", None, 1])
def test_what_is_no_document_at_all_is_damage(data: Any) -> None:
    with pytest.raises(WrongState) as error:
        Cluster.from_json(data)
    assert error.value.code == "STATE-DAMAGED"


@pytest.mark.parametrize("name", sorted(a_cluster().to_json()))
def test_a_document_without_one_of_its_parts_is_damaged(name: str) -> None:
    data = a_cluster().to_json()
    del data[name]
    with pytest.raises(WrongState) as error:
        Cluster.from_json(data)
    assert error.value.code == "STATE-DAMAGED"
    assert any(name in line for line in error.value.details)


def test_an_unknown_part_is_damage_rather_than_dropped() -> None:
    with pytest.raises(WrongState) as error:
        Cluster.from_json(_damaged(password="x"))
    assert "password" in error.value.details[0]


def test_the_secrets_are_those_of_all_parts() -> None:
    cluster = replace(
        a_cluster(),
        storage=Storage("s3", secrets={"k": "a"}),
        previous_storage=Storage("s3", secrets={"k": "b"}),
    )
    assert cluster.secrets() == a_cluster().secrets() | {"a", "b"}
    assert len(a_cluster().secrets()) == 5


def test_the_next_generation_counts_up_and_leaves_the_old_one_alone() -> None:
    before = a_cluster()
    after = before.next_generation(read_only=True)
    assert (before.generation, before.read_only) == (1, False)
    assert (after.generation, after.read_only) == (2, True)


def test_the_url_for_people_is_the_external_one_or_the_first_replicas() -> None:
    cluster = a_cluster()
    assert cluster.url() == "https://node-1"
    other = replace(cluster, replicas=(replace(cluster.replicas[0], https_port=8443),))
    assert other.url() == "https://node-1:8443"
    external = with_settings(other, external_url="https://images.example.org")
    assert external.url() == "https://images.example.org"
    assert external.url(external.replicas[0]) == "https://node-1:8443"
    assert cluster.replica("0" * 12) is None
    assert cluster.replica(cluster.replicas[0].id) == cluster.replicas[0]
