"""The planner: order, causes, an empty plan when nothing differs, refusal of names that are not ours."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_support import CLUSTER, NGINX, REGISTRY, REPLICA, a_cluster, an_engine, put, with_settings

from fakes.engine import FakeEngine
from msrctl.engine.observe import clusters, observe
from msrctl.errors import WrongState
from msrctl.model import names
from msrctl.model.cluster import Cluster
from msrctl.plan.desired import desired
from msrctl.plan.planner import Observed, drain_step, drift, finishing, plan, unchecked, undrained
from msrctl.plan.step import Change, Plan, Step
from msrctl.workflows import material as making

ORDER = ["network", "secret", "config", "document", "service"]


def _to(engine: FakeEngine, cluster: Cluster, document: str = "") -> Plan:
    wanted = desired(cluster)
    return plan("a change", wanted, observe(engine, cluster.id, wanted), {}, document)


def test_an_empty_swarm_needs_everything_in_the_order_in_which_it_is_used() -> None:
    wanted = desired(a_cluster())
    secrets = dict.fromkeys(sorted(wanted.secrets), "a secret")
    steps = plan("install", wanted, Observed(), secrets, "generation 1").steps
    kinds = [step.kind for step in steps]
    assert list(dict.fromkeys(kinds)) == ORDER
    assert kinds == sorted(kinds, key=ORDER.index)
    created = {s.name for s in steps if s.action == "create"}
    assert created == {*wanted.networks, *wanted.secrets, *wanted.configs, *wanted.services}
    assert all(step.cause for step in steps)


def test_new_services_start_side_by_side_before_they_are_checked() -> None:
    steps = plan("install", desired(a_cluster()), Observed(), {}, "").steps
    services = [(s.action, s.name) for s in steps if s.kind == "service"]
    assert services == [("create", REGISTRY), ("create", NGINX), ("check", REGISTRY), ("check", NGINX)]


def test_existing_services_change_one_after_another_each_checked_before_the_next() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    steps = _to(engine, with_settings(cluster, log_level="debug"), "generation 2").steps
    services = [(s.action, s.name) for s in steps if s.kind == "service"]
    assert services == [("update", REGISTRY), ("check", REGISTRY), ("update", NGINX), ("check", NGINX)]


def test_what_a_killed_run_has_updated_is_checked_by_the_one_that_finishes_it() -> None:
    """Seen: it said "resumed" while the swarm had yet to replace the proxy."""
    engine, cluster = an_engine()
    put(engine, cluster)
    wanted = desired(cluster)
    rest = plan("finish", wanted, observe(engine, cluster.id, wanted), {}, "")
    assert not rest
    assert [(s.action, s.name) for s in unchecked(wanted, rest)] == [("check", REGISTRY), ("check", NGINX)]
    both = _to(engine, with_settings(cluster, log_level="debug"), "generation 2")
    assert unchecked(wanted, both) == []


def test_whom_a_killed_run_sent_balancers_away_from_they_are_sent_back_to() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    wanted = desired(cluster)
    ((replica, gate),) = wanted.gates.items()
    undo = drain_step(replica, gate).undo
    (back,) = undrained(wanted, (), undo)
    assert (back.action, back.kind, back.name, back.spec) == ("open", "health", replica, {"gate": gate})
    assert undrained(wanted, (back,), undo) == []
    assert undrained(wanted, (), ({"op": "remove", "kind": "configs", "name": "a"},)) == []


def test_the_document_is_written_after_secrets_and_configs_and_before_services() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    wanted = desired(with_settings(cluster, log_level="debug"))
    steps = plan("x", wanted, observe(engine, cluster.id, wanted), {"dtr-new": "a key"}, "generation 2").steps
    at = [step.kind for step in steps].index("document")
    assert {s.kind for s in steps[:at]} == {"secret", "config"}
    assert {s.kind for s in steps[at + 1 :]} == {"service"}


def test_the_plan_is_empty_when_nothing_differs() -> None:
    """The engine's own additions (ids of networks, configs and secrets) do not count."""
    engine, cluster = an_engine()
    put(engine, cluster)
    stored = engine.find("services", NGINX)
    assert stored is not None
    assert stored["Spec"]["TaskTemplate"]["Networks"][0]["Target"] != names.NETWORK
    nothing = _to(engine, cluster)
    assert not nothing
    assert len(nothing) == 0
    assert drift(desired(cluster), observe(engine, cluster.id)) == {}


def test_a_secret_that_exists_is_not_made_again() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    wanted = desired(cluster)
    assert not plan("x", wanted, observe(engine, cluster.id), dict.fromkeys(wanted.secrets, "a secret"), "")


@pytest.mark.parametrize("kind", ["networks", "configs", "secrets", "services"])
def test_a_name_of_somebody_else_is_refused_before_anything(kind: str) -> None:
    engine, cluster = an_engine()
    wanted = desired(cluster)
    name = min(getattr(wanted, kind))
    spec = {"Name": name, "Labels": {"owner": "somebody"}}
    match kind:
        case "services":
            put(engine, cluster)
            mine = engine.find("services", name)
            assert mine is not None
            spec = {**mine["Spec"], "Labels": {"owner": "somebody"}}
            engine.remove("services", name)
            engine.create("services", spec)
        case "networks":
            engine.create("networks", {**spec, "Driver": "overlay"})
        case "configs" | "secrets":
            engine.create(kind, {**spec, "Data": "eA=="})  # type: ignore[arg-type]
    with pytest.raises(WrongState, match=f"{kind[:-1]} {name}") as error:
        plan("install", wanted, observe(engine, cluster.id, wanted), {}, "generation 1")
    assert error.value.code == "PRE-NAME-CLASH"
    assert error.value.state == "Nothing was changed."
    assert error.value.hint


def test_objects_of_another_cluster_are_somebody_elses() -> None:
    engine, cluster = an_engine()
    put(engine, replace(cluster, id="c0ffee000002"))
    wanted = desired(cluster)
    assert ("network", names.NETWORK) in observe(engine, cluster.id, wanted).foreign
    assert set(clusters(engine)) == {"c0ffee000002"}


def test_a_nodes_own_network_of_the_same_name_does_not_matter() -> None:
    engine, cluster = an_engine()
    engine.create("networks", {"Name": names.NETWORK, "Driver": "bridge"})
    assert observe(engine, cluster.id, desired(cluster)).foreign == frozenset()


def test_one_shots_are_not_leftovers_of_a_cluster() -> None:
    engine, cluster = an_engine()
    labels = names.labels(cluster.id, "0.1.0", component="oneshot")
    engine.create("configs", {"Name": "left", "Data": "eA==", "Labels": labels})
    assert clusters(engine) == {}


def test_no_secret_stands_in_any_plan_its_text_or_json() -> None:
    material = making.Material(CLUSTER, "0.1.0")
    tls = making.generated_tls(material, ["node-1"])
    accounts, password = making.new_accounts(material, "admin", None)
    http_secret = making.new_http_secret(material)
    assert password is not None
    cluster = replace(a_cluster(), tls=tls, accounts=accounts, http_secret=http_secret)
    made = plan("install", desired(cluster), Observed(), material.words, "generation 1")
    files = [base64.b64decode(s.spec["Data"]).decode() for s in made if s.kind == "config" and s.spec]
    bodies = json.dumps([[s.spec, s.undo] for s in made])
    everything = [str(made), repr(made), json.dumps([s.to_json() for s in made]), bodies, *files]
    values = [secret.reveal_text() for secret, _ in material.secrets.values()]
    assert len(values) == len(cluster.secrets())
    for value in (password.reveal_text(), *values):
        lines = [line for line in value.splitlines() if len(line) > 8 and not line.startswith("-----")]
        assert lines
        assert not [line for line in lines for text in everything if line in text]
    assert not [s for s in made if s.kind == "secret" and s.spec]


@given(
    st.sampled_from(["debug", "info", "warn", "error", "fatal"]),
    st.integers(1024, 40000),
    st.booleans(),
    st.one_of(st.none(), st.just("https://images.example.org")),
)
def test_the_same_document_and_swarm_give_the_same_plan(
    level: str, port: int, pprof: bool, url: str | None
) -> None:
    def once() -> str:
        cluster = with_settings(a_cluster(), log_level=level, enable_pprof=pprof, external_url=url)
        replicas = (replace(cluster.replicas[0], https_port=port),)
        wanted = desired(replace(cluster, replicas=replicas))
        made = plan("x", wanted, Observed(), dict.fromkeys(sorted(wanted.secrets), "w"), "generation 1")
        return json.dumps([[s.to_json(), s.spec] for s in made])

    assert once() == once()


def test_drift_is_named_in_an_operators_words() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    found = engine.find("services", REGISTRY)
    assert found is not None
    spec = found["Spec"]
    spec["Mode"]["Replicated"]["Replicas"] = 0
    spec["TaskTemplate"]["ContainerSpec"]["User"] = "root"
    engine.update("services", found["ID"], found["Version"]["Index"], spec)
    engine.remove("services", NGINX)
    assert drift(desired(cluster), observe(engine, cluster.id)) == {
        REGISTRY: (Change("Mode.Replicated.Replicas", 1, 0), Change("User", "0:0", "root")),
        NGINX: (Change(NGINX, "a service", None),),
    }
    steps = [(s.action, s.name) for s in _to(engine, cluster)]
    assert ("update", REGISTRY) in steps
    assert ("create", NGINX) in steps


def test_a_plan_reads_as_one_line_per_step_with_what_changes() -> None:
    change = Change("Image", "new", "old")
    step = Step("update", "service", REGISTRY, "volume x", "why", {"secret": "no"}, (change,))
    made = Plan("reconfigure https://node-1", (step,))
    lines = str(made).splitlines()
    assert lines[0] == "reconfigure https://node-1"
    assert lines[1].split() == ["~", "service", REGISTRY, "volume", "x"]
    assert lines[2].strip() == "Image: old -> new"
    assert step.title == f"update service {REGISTRY}"
    assert step.to_json()["changes"] == [{"name": "Image", "wanted": "new", "found": "old"}]
    assert "spec" not in step.to_json()


def two_replicas() -> Cluster:
    """A cluster whose second replica is on another node."""
    one = a_cluster()
    other = replace(one.replicas[0], id="b" * 12, node_id="node-id-2", node_name="node-2")
    return replace(one, replicas=(*one.replicas, other))


def test_several_replicas_change_one_after_another_each_out_of_turn_while_its_proxy_is_replaced() -> None:
    before = two_replicas()
    after = with_settings(before, log_level="debug")
    old = desired(before)
    observed = Observed(
        networks={key: {} for key in old.networks},
        services={name: {"ID": name, "Spec": spec} for name, spec in old.services.items()},
    )
    steps = [s for s in plan("x", desired(after), observed, {}, "g") if s.kind in {"service", "health"}]
    assert [(s.action, s.kind, s.replica) for s in steps] == [
        (action, kind, ident)
        for ident in (REPLICA, "b" * 12)
        for action, kind in (
            ("close", "health"),
            ("update", "service"),
            ("check", "service"),
            ("update", "service"),
            ("check", "service"),
            ("open", "health"),
        )
    ]
    assert all(s.undo[0]["clear"] == ["draining"] for s in steps if s.action == "close")


def test_a_change_of_the_registry_alone_takes_no_replica_out_of_turn() -> None:
    before = two_replicas()
    after = with_settings(before, http_proxy="http://p:1")
    old = desired(before)
    observed = Observed(
        networks={key: {} for key in old.networks},
        services={name: {"ID": name, "Spec": spec} for name, spec in old.services.items()},
    )
    assert "health" not in {s.kind for s in plan("x", desired(after), observed, {}, "g")}


def test_a_replica_that_a_killed_run_had_updated_serves_again_before_the_next_one_is_touched() -> None:
    """The killed run had updated the first, perhaps the swarm not yet, and sent balancers away from it."""
    before = two_replicas()
    after = with_settings(before, log_level="debug")
    old, wanted = desired(before), desired(after)
    first = {name: wanted.services[name] for name in (REGISTRY, NGINX)}
    observed = Observed(
        networks={key: {} for key in old.networks},
        configs=dict(wanted.configs),
        services={name: {"ID": name, "Spec": spec} for name, spec in {**old.services, **first}.items()},
    )
    rest = plan("finish", wanted, observed, {}, "")
    steps = list(finishing(rest, wanted, drain_step(REPLICA, wanted.gates[REPLICA]).undo))
    assert [(s.action, s.name) for s in steps[:3]] == [
        ("check", REGISTRY),
        ("check", NGINX),
        ("open", REPLICA),
    ]
    assert steps[3:] == list(rest)
    assert steps[3].title == f"close health {'b' * 12}"


def test_a_proxy_whose_registry_is_still_to_be_updated_is_seen_after_it() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    wanted = desired(with_settings(cluster, http_proxy="http://p:1"))
    rest = plan("finish", wanted, observe(engine, cluster.id, wanted), {}, "")
    services = [(s.action, s.name) for s in finishing(rest, wanted, ()) if s.kind == "service"]
    assert services == [("update", REGISTRY), ("check", REGISTRY), ("check", NGINX)]
