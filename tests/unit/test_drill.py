"""A drill has nothing in common with a deployment, and goes by its own label alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from backup_support import content, read, sha
from cli_support import run
from plan_support import Recorder, a_cluster, an_engine, put

from msrctl.engine.lock import Lock
from msrctl.engine.observe import KINDS, clusters
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import WrongState
from msrctl.model import names
from msrctl.model import results as r
from msrctl.model.requests import CommonRequest, DestroyRequest
from msrctl.plan.desired import desired
from msrctl.plan.throwaway import throwaway
from msrctl.ui import render
from msrctl.ui.reporter import make_reporter
from msrctl.workflows import destroy as destroying
from msrctl.workflows import drill_layers
from msrctl.workflows.drill_cleanup import Ledger, sweep, take_away, thrown_away

if TYPE_CHECKING:
    from fakes.engine import FakeEngine

DRILL = "drill-0123456789ab"
REPLICA = "dddddddddddd"


def a_drill() -> Any:
    """What a drill of the backup of `a_cluster` makes."""
    cluster = a_cluster()
    replica = replace(cluster.replicas[0], id=REPLICA, http_port=18080, https_port=18443)
    return throwaway(desired(replace(cluster, id=DRILL, replicas=(replica,))), DRILL)


def make(engine: FakeEngine) -> None:
    """Everything that a drill makes, as it does."""
    wanted = a_drill()
    for body in wanted.networks.values():
        engine.create("networks", body)
    labels = names.labels(DRILL, "1", component="secret")
    for name in wanted.secrets:
        engine.create("secrets", {"Name": f"{name}-drill", "Data": "eA==", "Labels": labels})
    for body in wanted.configs.values():
        engine.create("configs", body)
    for name, body in wanted.services.items():
        for reference in body["TaskTemplate"]["ContainerSpec"]["Secrets"]:
            reference["SecretName"] += "-drill"
        engine.create("services", {**body, "Name": name})


def ledger(engine: FakeEngine) -> Ledger:
    return Ledger(DRILL, REPLICA, engine.info()["Swarm"]["NodeID"], "sha256:1")


def held(engine: FakeEngine) -> dict[str, list[str]]:
    return {kind: sorted(str(o.get("ID") or o.get("Id")) for o in engine.list(kind)) for kind in KINDS}


def test_nothing_of_a_drill_has_a_name_of_the_deployment_that_it_is_a_copy_of() -> None:
    live, drill = desired(a_cluster()), a_drill()
    for kind in ("networks", "configs", "services"):
        assert not getattr(live, kind).keys() & getattr(drill, kind).keys()
    for body in drill.services.values():
        template = body["TaskTemplate"]
        assert [n["Target"] for n in template["Networks"]] == [f"dtr-{DRILL}"]
        assert {c["ConfigName"] for c in template["ContainerSpec"]["Configs"]} <= drill.configs.keys()
        volumes = {m["Source"] for m in template["ContainerSpec"]["Mounts"] if m["Type"] == "volume"}
        assert volumes <= set(Ledger(DRILL, REPLICA, "n", "i").volumes)
    for bodies in (drill.networks, drill.configs, drill.services):
        for name, body in bodies.items():
            assert len(name) <= 64
            assert body["Name"] == name
            assert body["Labels"][names.LABEL_CLUSTER] == DRILL


def test_what_a_drill_makes_goes_and_what_else_is_there_stays() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    before = held(engine)
    with thrown_away(engine, Recorder(), ledger(engine)) as down:
        make(engine)
        assert held(engine) != before
    assert down.left == ()
    assert held(engine) == before


def test_the_next_drill_takes_away_what_a_killed_one_left() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    before = held(engine)
    make(engine)  # killed: nobody took it away
    told = Recorder()
    sweep(engine, told)
    assert held(engine) == before
    assert any("cut short" in line for line in told.warnings)


def test_a_destroy_takes_away_what_killed_drills_left(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = an_engine()
    monkeypatch.setattr(destroying, "open_engine", lambda _: engine)
    before = held(engine)
    make(engine)
    told = Recorder()
    found = destroying.destroy(DestroyRequest(CommonRequest(), yes=True), told)
    assert held(engine) == before
    assert found.removed == (f"drill {DRILL}",)
    assert any("cut short" in line for line in told.warnings)


def test_a_destroy_leaves_a_drill_alone_that_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = an_engine()
    monkeypatch.setattr(destroying, "open_engine", lambda _: engine)
    make(engine)
    before = held(engine)
    told = Recorder()
    with Lock(engine.clone(), "msrctl backup drill", name=names.DRILL_LOCK), pytest.raises(WrongState) as no:
        destroying.destroy(DestroyRequest(CommonRequest(), yes=True), told)
    assert no.value.code == "NOT-INSTALLED"
    assert held(engine) == before
    assert any("left alone" in line for line in told.warnings)


def test_what_cannot_be_taken_away_is_told_and_the_rest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = an_engine()
    make(engine)
    original = engine.remove

    def remove(kind: Any, ident: str) -> bool:
        if kind == "secrets":
            from msrctl.errors import Unreachable

            raise Unreachable("the engine does not answer")
        return original(kind, ident)

    monkeypatch.setattr(engine, "remove", remove)
    left = take_away(engine, DRILL)
    assert left
    assert all("the engine does not answer" in line for line in left)
    assert engine.list("services") == []
    assert engine.list("configs") == []


def test_a_drill_is_no_leftover_of_a_deployment() -> None:
    engine, _ = an_engine()
    make(engine)
    assert clusters(engine) == {}


def test_a_change_of_the_deployment_does_not_sweep_a_drills_one_shot() -> None:
    engine, _ = an_engine()
    spec = {
        "Name": "msrctl-run-1",
        "Labels": {names.LABEL_CLUSTER: DRILL, names.LABEL_COMPONENT: "oneshot"},
        "TaskTemplate": {"ContainerSpec": {"Image": "x"}},
    }
    engine.create("services", spec)
    assert sweep_oneshots(engine, older_than=0) == []


def test_a_drill_and_a_change_do_not_wait_for_each_other() -> None:
    engine, _ = an_engine()
    with Lock(engine, "a drill", name=names.DRILL_LOCK), Lock(engine, "a change"):
        pass


def test_a_sample_has_all_that_a_pull_needs_and_leaves_out_what_is_broken() -> None:
    found = read(content().write())
    tags = drill_layers.sample(found, None, {"team/app:2": "lost"})
    assert [tag.name for tag in tags] == ["base:latest", "team/app:1"]
    assert tags[0].parts == {sha(b"shared"): 6, sha(b"{}"): 2}
    assert len(drill_layers.sample(found, 1, {})) == 1
    assert len(drill_layers.sample(found, 99, {})) == 3


def test_all_manifests_and_links_are_restored_and_layers_of_the_sample_alone() -> None:
    found = read(content(with_layers=True).write())
    layers = drill_layers.Layers(found, "the backup")
    tags = [tag for tag in drill_layers.sample(found, None, {}) if tag.name == "base:latest"]
    verdict = layers.judged(tags).verdict
    assert verdict.broken == {}
    assert verdict.manifests == set(found.known)
    assert len(verdict.set) == 3
    assert verdict.layers.keys() == {sha(b"shared"), sha(b"{}")}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"missing": {"a:1": "layer lost"}}, 7),
        ({"pulled": (r.DrillPull("a:1", "d", 1, 1, 0.1, error="no"),)}, 7),
        ({"left": ("volume v: in use",)}, 9),
    ],
)
def test_the_exit_code_tells_what_came_of_it(
    changes: dict[str, Any], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(content().write()).content()
    took = dict.fromkeys(("restore", "pull", "teardown", "total"), 1.0)
    result = replace(r.BackupDrillResult("f", False, found, "n", "s", 3, {}, (), took), **changes)
    assert render.show(result, command="backup drill", reporter=make_reporter(nocolor=True)) == code
    shown = capsys.readouterr().out
    assert ("passed the drill" in shown) == (code != 7)


def test_options_that_make_no_sense_are_usage_errors() -> None:
    assert run("backup", "drill").exit_code == 2
    assert run("backup", "drill", "f", "--sample", "few").exit_code == 2
    assert run("backup", "drill", "f", "--replica-http-port", "18443").exit_code == 2
