"""Replicas whose nodes do not answer: named at once, passed over only when told to, never for a switch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from plan_support import NGINX, REGISTRY, REPLICA, an_engine, put, with_settings

from msrctl.engine.observe import observe
from msrctl.errors import Unreachable
from msrctl.model import names
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan
from msrctl.workflows import unreachable
from msrctl.workflows.apply import Transition

if TYPE_CHECKING:
    from fakes.engine import FakeEngine
    from msrctl.model.cluster import Cluster

AWAY = "b" * 12


def two(state: str = "down", availability: str = "active") -> tuple[FakeEngine, Cluster]:
    """Two replicas that run; then the second one's node is as is said."""
    engine, cluster = an_engine()
    node = engine.swarm.add_node("node-2")
    second = replace(cluster.replicas[0], id=AWAY, node_id=node, node_name="node-2")
    cluster = replace(cluster, replicas=(*cluster.replicas, second))
    put(engine, cluster)
    engine.swarm.nodes[1]["Status"]["State"] = state
    engine.swarm.nodes[1]["Spec"]["Availability"] = availability
    return engine, cluster


def change_of(engine: FakeEngine, after: Cluster) -> Transition:
    wanted = desired(after)
    observed = observe(engine, after.id, wanted)
    steps = plan("a change", wanted, observed, {}, "generation 2")
    return Transition("reconfigure", after, steps, observed, {}, lambda _: "ok")


def a_change(engine: FakeEngine, cluster: Cluster) -> Transition:
    """One that every replica's registry and proxy take part in."""
    return change_of(engine, with_settings(cluster, log_level="debug").next_generation())


def test_a_replica_that_is_away_is_named_with_its_node_and_the_ways_out() -> None:
    engine, cluster = two()
    with pytest.raises(Unreachable, match=f"replica {AWAY} on node-2: its node is down") as caught:
        unreachable.passed_over(engine, a_change(engine, cluster), skip=False)
    assert caught.value.code == "NODE-DOWN"
    assert caught.value.state == "Nothing was changed."
    assert caught.value.hint is not None
    for way in ("--skip-unreachable", f"msrctl remove --force --replica-ids {AWAY}"):
        assert way in caught.value.hint


def test_a_node_that_is_drained_or_has_left_is_away_too() -> None:
    engine, cluster = two(state="ready", availability="drain")
    assert [one.why for one in unreachable.away(engine, cluster)] == ["its node is set to drain"]
    del engine.swarm.nodes[1]
    assert [one.why for one in unreachable.away(engine, cluster)] == ["its node is not in the swarm"]


def test_what_is_passed_over_is_written_down_for_all_and_done_at_the_others() -> None:
    engine, cluster = two()
    change, skipped, warnings = unreachable.passed_over(engine, a_change(engine, cluster), skip=True)
    assert [r.id for r in skipped] == [AWAY]
    assert AWAY in warnings[0]
    assert "msrctl reconfigure" in warnings[0]
    titles = [step.title for step in change.plan]
    assert not [title for title in titles if AWAY in title]
    assert "write document cluster" in titles
    assert {f"update service {name}" for name in (REGISTRY, NGINX)} <= set(titles)
    assert len(change.cluster.replicas) == 2


def test_a_change_that_does_not_concern_the_one_that_is_away_is_not_held_up() -> None:
    engine, cluster = two()
    first, second = cluster.replicas
    after = replace(cluster, replicas=(replace(first, http_port=8080), second)).next_generation()
    change = change_of(engine, after)
    assert names.service("nginx", AWAY) not in {step.name for step in change.plan}
    assert unreachable.passed_over(engine, change, skip=False) == (change, (), ())


def test_when_all_are_away_nothing_is_passed_over() -> None:
    engine, cluster = two()
    change = a_change(engine, cluster)
    engine.swarm.nodes[0]["Status"]["State"] = "down"
    with pytest.raises(Unreachable, match=REPLICA):
        unreachable.passed_over(engine, change, skip=True)


@pytest.mark.parametrize("skip", [False, True])
def test_a_change_of_the_storage_is_for_all_or_for_none_and_says_why(skip: bool) -> None:
    engine, cluster = two()
    with pytest.raises(Unreachable, match="node-2") as caught:
        unreachable.refuse_switch(engine, cluster, skip=skip)
    assert caught.value.code == "NODE-DOWN"
    assert caught.value.hint is not None
    assert "would take pushes into it" in caught.value.hint
    assert ("--skip-unreachable is not for" in caught.value.hint) == skip
    engine.swarm.nodes[1]["Status"]["State"] = "ready"
    unreachable.refuse_switch(engine, cluster, skip=skip)


def test_what_any_replica_can_do_is_done_by_one_that_answers() -> None:
    engine, cluster = two()
    there, gone = cluster.replicas
    assert unreachable.reachable(engine, replace(cluster, replicas=(gone, there))) == there
