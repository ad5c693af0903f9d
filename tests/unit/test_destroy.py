"""Destroy goes forward only: services first, the document last; a run that was killed is run again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from plan_support import REPLICA, Recorder, an_engine, put, with_settings

from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.protocol import ApiError
from msrctl.engine.state import StateStore
from msrctl.errors import UsageFault, WrongState
from msrctl.model import names
from msrctl.model.cluster import Cluster
from msrctl.model.requests import CommonRequest, DestroyRequest
from msrctl.workflows import destroy as destroying

if TYPE_CHECKING:
    from fakes.engine import FakeEngine
    from msrctl.model.results import DestroyResult

IMAGES = names.default_volume(REPLICA)
GATE = names.gate_volume(REPLICA)
YES = DestroyRequest(CommonRequest(), yes=True)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A deployment with a journal of an interrupted reconfigure."""
    made, cluster = an_engine()
    put(made, cluster)
    StateStore(made).write(cluster.to_json(), 1, cluster=cluster.id)
    Journal.create(made, JournalHeader("reconfigure", "msrctl reconfigure", "me@here", cluster.id))
    monkeypatch.setattr(destroying, "open_engine", lambda _: made)
    return made


def _destroy(request: DestroyRequest = YES) -> DestroyResult:
    return destroying.destroy(request, Recorder())


def _left(engine: FakeEngine) -> list[str]:
    kinds = ("services", "configs", "secrets", "networks")
    return [o.get("Name") or o["Spec"]["Name"] for k in kinds for o in engine.list(k)]  # type: ignore[arg-type]


def test_nothing_is_left_but_the_images(engine: FakeEngine) -> None:
    result = _destroy()
    assert _left(engine) == []
    assert [v["Name"] for v in engine.list("volumes")] == [IMAGES]
    assert result.kept_volumes == (IMAGES,)


def test_images_go_only_if_told_so(engine: FakeEngine) -> None:
    result = _destroy(DestroyRequest(CommonRequest(), yes=True, remove_data=True))
    assert engine.list("volumes") == []
    assert result.kept_volumes == ()


def test_the_document_goes_last_and_services_first(engine: FakeEngine) -> None:
    steps = [(s.kind, s.name) for s in _destroy(DestroyRequest(CommonRequest(), dry_run=True)).plan]
    kinds = [kind for kind, _ in steps]
    assert list(dict.fromkeys(kinds)) == ["service", "volume", "secret", "network", "config"]
    assert kinds == sorted(kinds, key=["service", "volume", "secret", "network", "config"].index)
    documents = [name for _, name in steps if name.startswith("msrctl-state-")]
    assert documents == [steps[-1][1]]


def test_the_plan_is_made_under_the_lock(engine: FakeEngine) -> None:
    """Whoever had the lock until now may have written a document, and begun services."""
    made: list[str] = []

    def reconfigured(verb: str, kind: str, name: str) -> None:
        if name == names.LOCK and not made:
            made.append(name)
            cluster = with_settings(an_engine()[1], log_level="debug").next_generation()
            StateStore(engine).write(cluster.to_json(), 2, cluster=cluster.id)
            labels = names.labels(cluster.id, "0.1.0", component="secret")
            engine.create("secrets", {"Name": "made-meanwhile", "Data": "eA==", "Labels": labels})

    engine.swarm.before = reconfigured
    result = _destroy()
    assert made
    assert _left(engine) == []
    assert "secret made-meanwhile" in result.removed


def test_what_somebody_else_destroyed_meanwhile_is_said_to_be_gone(engine: FakeEngine) -> None:
    def destroyed(verb: str, kind: str, name: str) -> None:
        if verb == "create" and name == names.LOCK:
            engine.swarm.before = lambda *_: None
            for one in ("services", "configs", "secrets", "networks"):
                engine.swarm.objects[one].clear()

    engine.swarm.before = destroyed
    with pytest.raises(WrongState) as error:
        _destroy()
    assert error.value.code == "NOT-INSTALLED"
    assert _left(engine) == []


def test_a_document_that_cannot_be_read_is_told_once(engine: FakeEngine) -> None:
    name = next(n for n in _left(engine) if n.startswith("msrctl-state-"))
    found = engine.find("configs", name)
    assert found is not None
    engine.swarm.objects["configs"][found["ID"]]["Spec"]["Data"] = "eA=="
    report = Recorder()
    destroying.destroy(YES, report)
    assert [w for w in report.warnings if name in w] == report.warnings
    assert len(report.warnings) == 1
    assert _left(engine) == []


def test_a_question_is_asked_under_the_lock_and_no_leaves_everything(engine: FakeEngine) -> None:
    before = _left(engine)
    locked: list[bool] = []

    class Asked(Recorder):
        interactive = True

        def confirm(self, question: str) -> bool:  # noqa: ARG002
            locked.append(engine.find("configs", names.LOCK) is not None)
            return False

    with pytest.raises(WrongState) as error:
        destroying.destroy(DestroyRequest(CommonRequest()), Asked())
    assert error.value.code == "NOT-CONFIRMED"
    assert locked == [True]
    assert _left(engine) == before


def test_a_dry_run_changes_nothing(engine: FakeEngine) -> None:
    before = _left(engine)
    _destroy(DestroyRequest(CommonRequest(), dry_run=True))
    assert _left(engine) == before


def test_killed_at_any_removal_it_is_simply_run_again(engine: FakeEngine) -> None:
    """Each run gets one removal further; the last one leaves nothing at all."""
    for _ in range(60):
        done: list[str] = []

        def kill(verb: str, kind: str, name: str, done: list[str] = done) -> None:
            ours = engine.find("configs", names.LOCK)
            if verb == "remove" and not (ours and ours["ID"] == name):
                if done:
                    raise ApiError(500, "killed", "remove")
                done.append(name)

        engine.swarm.before = kill
        try:
            _destroy()
            break
        except ApiError:
            engine.swarm.before = lambda *_: None
            held = engine.find("configs", names.LOCK)
            if held:
                engine.remove("configs", held["ID"])
    assert _left(engine) == []


def test_a_journal_that_is_all_that_is_left_is_taken_away(engine: FakeEngine) -> None:
    journal = Journal.open(engine)
    assert journal is not None
    header = journal.header
    _destroy()
    Journal.create(engine, header)
    _destroy()
    assert _left(engine) == []


def test_a_journal_that_cannot_be_read_does_not_stop_it(engine: FakeEngine) -> None:
    journal = Journal.open(engine)
    assert journal is not None
    journal.close()
    cluster = StateStore(engine).read()
    assert cluster is not None
    labels = {names.LABEL_COMPONENT: "journal", names.LABEL_CLUSTER: cluster.cluster}
    engine.create("configs", {"Name": names.JOURNAL, "Data": "eA==", "Labels": labels})
    _destroy()
    assert _left(engine) == []


def test_nothing_of_somebody_else_is_touched(engine: FakeEngine) -> None:
    engine.create("configs", {"Name": "theirs", "Data": "eA==", "Labels": {}})
    engine.create("volumes", {"Name": "theirs", "Labels": {}})
    _destroy(DestroyRequest(CommonRequest(), yes=True, remove_data=True))
    assert _left(engine) == ["theirs"]
    assert [v["Name"] for v in engine.list("volumes")] == ["theirs"]


def test_where_nothing_is_installed_it_says_so(engine: FakeEngine) -> None:
    _destroy()
    with pytest.raises(WrongState) as error:
        _destroy()
    assert error.value.code == "NOT-INSTALLED"


@pytest.mark.parametrize(
    "request_",
    [DestroyRequest(CommonRequest()), DestroyRequest(CommonRequest(), replica_id=REPLICA, remove_data=True)],
)
def test_without_a_confirmation_and_a_terminal_it_does_nothing(
    engine: FakeEngine, request_: DestroyRequest
) -> None:
    before = _left(engine)
    with pytest.raises(UsageFault) as error:
        _destroy(request_)
    assert error.value.code == "CONFIRM"
    assert _left(engine) == before


def test_naming_one_of_several_replicas_does_not_destroy_them_all(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = StateStore(engine).read()
    assert document is not None
    cluster = Cluster.from_json(document.document)
    second = replace(cluster.replicas[0], id="b" * 12)
    after = cluster.next_generation(replicas=(*cluster.replicas, second))
    StateStore(engine).write(after.to_json(), 2, cluster=cluster.id)
    before = _left(engine)
    with pytest.raises(WrongState, match="is one of 2") as caught:
        _destroy(DestroyRequest(CommonRequest(), replica_id=REPLICA))
    assert caught.value.hint is not None
    assert f"msrctl remove --replica-ids {REPLICA}" in caught.value.hint
    assert _left(engine) == before
