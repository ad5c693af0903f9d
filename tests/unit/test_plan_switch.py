"""The plan of a switch: its text for each policy, and what can be taken back from where."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plan_support import REGISTRY, REPLICA, a_cluster, an_engine, put

from msrctl.engine.observe import observe
from msrctl.model.cluster import Cluster, Storage
from msrctl.plan.desired import desired, next_registry
from msrctl.plan.planner import Observed
from msrctl.plan.step import Plan
from msrctl.plan.switch import Policy, Switch, policy_line, switch_plan

BIND = Storage("bind", {"path": "/srv/images"}, store_id="0123456789ab")
GATES = {(REPLICA, name): {"op": "gate", "name": name} for name in ("frozen", "next")}


def planned(policy: Policy, *, served: bool = False) -> tuple[Plan, Switch]:
    engine, before = an_engine()
    put(engine, before)
    after = before.next_generation(storage=BIND, previous_storage=before.storage)
    wanted = desired(after)
    switch = Switch(before, after, policy, GATES, served)
    document = "" if served else "generation 2"
    return switch_plan("move", wanted, observe(engine, after.id, wanted), {}, document, switch), switch


COPY = f"""move
  > store directory /srv/images                    from volume dtr-registry-{REPLICA}
  + service dtr-registry-{REPLICA}-next         bind /srv/images
  ? service dtr-registry-{REPLICA}-next         an upload opens
  | gate pushes                                    answered with 503 for a moment
  ? store directory /srv/images                    copy the rest, an exact copy
  = document cluster                               generation 2
  % proxy dtr-registry-{REPLICA}-next           serves directory /srv/images
  o gate pushes                                    they go to the new store
  ~ service dtr-registry-{REPLICA}              bind /srv/images"""


def test_a_copy_fills_proves_holds_compares_turns_and_only_then_moves_the_own_registry() -> None:
    plan, _ = planned(Policy.COPY)
    assert str(plan).startswith(COPY)
    tail = [step.title for step in plan][-4:]
    assert tail == [
        f"update service {REGISTRY}",
        f"check service {REGISTRY}",
        f"switch proxy {REGISTRY}",
        f"remove service {REGISTRY}-next",
    ]


@pytest.mark.parametrize(
    ("policy", "first", "verified"),
    [
        (Policy.EXACT, "create service", "an exact copy"),
        (Policy.MIGRATED, "create service", "marked as this cluster's"),
        (Policy.EMPTY, "remove tags directory /srv/images", "marked as this cluster's"),
    ],
)
def test_each_policy_does_to_the_new_store_only_what_it_says(
    policy: Policy, first: str, verified: str
) -> None:
    plan, switch = planned(policy)
    assert plan.steps[0].title.startswith(first)
    assert next(s.detail for s in plan if s.kind == "store") == verified
    assert ("remove" in {s.action for s in plan if s.kind == "tags"}) == (policy is Policy.EMPTY)
    assert ("ERASED" in policy_line(switch)) == (policy is Policy.EMPTY)


@pytest.mark.parametrize("policy", list(Policy))
def test_nothing_can_be_taken_back_once_pushes_go_to_the_new_store_and_everything_before(
    policy: Policy,
) -> None:
    plan, _ = planned(policy)
    titles = [step.title for step in plan]
    thaw = titles.index("open gate pushes")
    freeze = titles.index("close gate pushes")
    assert plan.steps[thaw].undo == ({"op": "commit", "name": "pushes go to the new store"},)
    assert [u["name"] for u in plan.steps[freeze].undo] == ["frozen"]
    assert all(u["op"] != "commit" for step in plan.steps[:thaw] for u in step.undo)
    # What serves is touched last, and the document says what is served before anybody is served it.
    assert titles.index("write document cluster") < titles.index(f"switch proxy {REGISTRY}-next") < thaw
    assert thaw < titles.index(f"update service {REGISTRY}")


def test_a_switch_that_serves_already_is_only_tidied_up() -> None:
    # The gate too: the run may have been killed between the note that it opens and the opening.
    plan, _ = planned(Policy.COPY, served=True)
    assert [s.title for s in plan] == [
        "open gate pushes",
        f"update service {REGISTRY}",
        f"check service {REGISTRY}",
        f"switch proxy {REGISTRY}",
    ]


def test_no_proxy_goes_back_to_a_registry_before_it_is_seen_to_have_the_new_store() -> None:
    """Seen: a run was killed right after the update; the proxy of the next one went back to the old task,
    and what had been pushed since was not found."""
    engine, before = an_engine()
    after = before.next_generation(storage=BIND, previous_storage=before.storage)
    put(engine, after)
    wanted = desired(after)
    switch = Switch(before, after, Policy.COPY, GATES, served=True)
    plan = switch_plan("finish", wanted, observe(engine, after.id, wanted), {}, "", switch)
    assert [s.title for s in plan] == [
        "open gate pushes",
        f"check service {REGISTRY}",
        f"switch proxy {REGISTRY}",
    ]


def test_the_registries_that_stand_in_start_all_at_once_and_each_is_seen_before_pushes_are_held() -> None:
    one = a_cluster()
    second = replace(one.replicas[0], id="b" * 12, node_id="other", node_name="node2")
    before = replace(one, replicas=(*one.replicas, second))
    after = before.next_generation(storage=BIND, previous_storage=before.storage)
    gates = {
        (r.id, name): {"op": "gate", "name": name} for r in after.replicas for name in ("frozen", "next")
    }
    wanted = desired(after)
    observed = Observed(services={n: {"ID": n, "Spec": s} for n, s in desired(before).services.items()})
    plan = switch_plan("move", wanted, observed, {}, "x", Switch(before, after, Policy.COPY, gates))
    titles = [s.title for s in plan]
    first, freeze = titles.index(f"create service {REGISTRY}-next"), titles.index("close gate pushes")
    other = f"dtr-registry-{'b' * 12}-next"
    assert titles[first:freeze] == [
        f"create service {REGISTRY}-next",
        f"create service {other}",
        f"check service {REGISTRY}-next",
        f"check service {other}",
    ]


def test_a_registry_that_stands_in_already_is_brought_up_to_date_and_removed_in_the_end() -> None:
    before = a_cluster()
    after: Cluster = before.next_generation(storage=BIND)
    wanted = desired(after)
    name, spec = next_registry(after, after.replicas[0])
    services = {n: {"ID": n, "Spec": s} for n, s in {**desired(before).services, name: spec}.items()}
    observed = Observed(
        networks={n: {} for n in wanted.networks}, configs={**wanted.configs}, services=services
    )
    switch = Switch(before, replace(after), Policy.EXACT, GATES)
    titles = [s.title for s in switch_plan("move", wanted, observed, {}, "x", switch)]
    assert f"create service {name}" not in titles
    assert titles[-1] == f"remove service {name}"
