"""The executor: undo before act, last in first out, and which error a failure becomes."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from plan_support import CLUSTER, NGINX, REGISTRY, Recorder, an_engine, put, with_settings

from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.observe import observe
from msrctl.engine.protocol import ApiError
from msrctl.engine.state import StateStore, document_name
from msrctl.errors import Interrupted, Locked, MsrctlError, Partial, RolledBack, Unreachable, VerifyFailed
from msrctl.model import names
from msrctl.plan.desired import desired
from msrctl.plan.planner import plan, unchecked
from msrctl.plan.step import Plan, Step
from msrctl.secret import Secret
from msrctl.workflows.execute import Execution, secret_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.engine import FakeEngine
    from msrctl.model.cluster import Cluster

VOLUME = REGISTRY  # the default volume has the name of the service


class Held:
    """A lock that can be lost."""

    lost = False

    def check(self) -> None:
        if self.lost:
            raise Locked("the lock was lost", code="LOCK-LOST")


class Run:
    """One change from what the swarm holds to a document, ready to be carried out."""

    def __init__(self, engine: FakeEngine, cluster: Cluster, *, fresh: bool = False) -> None:
        self.engine, self.cluster, self.report, self.lock = engine, cluster, Recorder(), Held()
        self.wanted = desired(cluster)
        self.observed = observe(engine, cluster.id, self.wanted)
        missing = {n: "a secret" for n in sorted(self.wanted.secrets) if n not in self.observed.secrets}
        document = f"generation {cluster.generation}"
        self.plan = plan("a change", self.wanted, self.observed, missing, document)
        self.calls: list[tuple[str, str, str]] = []
        self.probe: Callable[[str], str] = lambda _: "ok"
        self.actions: dict[tuple[str, str], Callable[[Step], None]] = {}
        self.fresh = fresh
        self.journal = Journal.open(engine) or Journal.create(
            engine, JournalHeader("reconfigure", "msrctl", "me@here", cluster.id)
        )

    def go(self, steps: Plan | None = None) -> None:
        data = self.cluster.to_json()
        store = StateStore(self.engine)
        labels = names.labels(self.cluster.id, "0.1.0", component="secret")
        Execution(
            self.engine,
            self.report,
            self.journal,
            self.observed,
            secrets={n: (Secret("s3cret"), labels) for n in self.wanted.secrets},
            write_document=lambda: store.write(data, self.cluster.generation, cluster=self.cluster.id).name,
            document_name=document_name(data, self.cluster.generation),
            probe=self.probe,
            images={r.node_id: r.image for r in self.cluster.replicas},
            max_wait=2.0,
            lock=self.lock,  # type: ignore[arg-type]
            actions=self.actions,
            fresh=self.fresh,
        ).run(steps or self.plan)

    def fail_at(self, verb: str, kind: str, name: str, error: BaseException | None = None) -> None:
        """Records all changes, and makes one of them fail once."""
        pending: list[BaseException] = [error or ApiError(500, "the disk is full", f"{verb} {name}")]

        def before(*call: str) -> None:
            if call == (verb, kind, name) and pending:
                raise pending.pop()
            self.calls.append(call)  # type: ignore[arg-type]

        self.engine.swarm.before = before


def left(engine: FakeEngine) -> dict[str, list[str]]:
    """Names of everything in the swarm."""
    kinds: Any = ("networks", "configs", "secrets", "services", "volumes")
    return {k: sorted(o.get("Name") or o["Spec"]["Name"] for o in engine.list(k)) for k in kinds}


def no_answer(name: str) -> str:
    """A probe that fails."""
    raise VerifyFailed(f"{name} does not answer")


def an_install() -> Run:
    engine, cluster = an_engine()
    return Run(engine, cluster, fresh=True)


def a_change(**settings: Any) -> tuple[Run, dict[str, Any]]:
    """A deployment that runs, and a change of its settings; also what the swarm holds before."""
    engine, cluster = an_engine()
    put(engine, cluster)
    StateStore(engine).write(cluster.to_json(), 1, cluster=cluster.id)
    before = left(engine)
    wanted = with_settings(cluster, **(settings or {"log_level": "debug"}))
    return Run(engine, wanted.next_generation()), before


def test_all_steps_done_leave_nothing_to_do() -> None:
    run = an_install()
    run.go()
    again = observe(run.engine, CLUSTER, run.wanted)
    assert not plan("again", run.wanted, again, {}, "")
    assert StateStore(run.engine).read() is not None


def test_undo_is_recorded_before_a_step_acts() -> None:
    run = an_install()
    seen: dict[str, list[Any]] = {}

    def before(verb: str, kind: str, name: str) -> None:
        if verb == "create":
            seen[name] = [r for entry in run.journal.begun() for r in entry.undo]

    run.engine.swarm.before = before
    run.go()
    made = {*run.wanted.networks, *run.wanted.configs, *run.wanted.secrets, *run.wanted.services}
    assert made < seen.keys()
    for name, records in seen.items():
        assert name in {r["name"] for r in records if r["op"] == "remove"}, name


def test_failing_step_undoes_last_in_first_out_and_the_journal_is_closed() -> None:
    run = an_install()
    run.fail_at("create", "services", NGINX)
    with pytest.raises(RolledBack, match="the disk is full") as error:
        run.go()
    assert error.value.state == "Everything that had been begun was undone; what ran before still runs."
    assert not any(left(run.engine).values())
    assert Journal.open(run.engine) is None
    created = [n for verb, _, n in run.calls if verb == "create"]
    assert created[0] == names.NETWORK
    assert created[-1] == REGISTRY
    kinds = [kind for verb, kind, _ in run.calls if verb == "remove"]
    assert list(dict.fromkeys(kinds)) == ["services", "volumes", "configs", "secrets", "networks"]


@pytest.mark.parametrize(
    ("operation", "remedy"),
    [
        ("reconfigure", "msrctl reconfigure --resume"),
        ("join", "msrctl join, which then begins anew"),
        ("install", "msrctl install"),
    ],
)
def test_an_engine_that_goes_away_in_the_middle_is_told_with_the_way_on(
    operation: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: "no engine answers", and not a word of the change that had been begun."""
    run, _ = a_change(log_level="debug")
    run.journal.header = replace(run.journal.header, operation=operation)
    gone = Unreachable("no engine answers", code="NO-ENGINE", hint="Start it.")

    def away(*_: Any, **__: Any) -> Any:
        raise gone

    def before(*_: str) -> None:
        monkeypatch.setattr(run.engine, "list", away)
        raise gone

    run.engine.swarm.before = before
    with pytest.raises(Unreachable) as told:
        run.go()
    assert told.value.code == "NO-ENGINE"
    assert "could not be taken back" in str(told.value.state)
    assert remedy in str(told.value.hint)
    assert "Start it." in str(told.value.hint)


def test_failing_update_restores_what_ran_before() -> None:
    run, before = a_change()
    specs = {s["Spec"]["Name"]: s["Spec"] for s in run.engine.list("services")}

    def probe(name: str) -> str:
        raise VerifyFailed("it answers 500", code="PROBE", hint="look at the log", details=("log: x",))

    run.probe = probe
    with pytest.raises(RolledBack) as error:
        run.go()
    assert {s["Spec"]["Name"]: s["Spec"] for s in run.engine.list("services")} == specs
    assert left(run.engine) == before
    assert (error.value.code, error.value.hint, error.value.details) == (
        "PROBE",
        "look at the log",
        ("log: x",),
    )
    assert run.report.warnings == ["Going back: what was begun is being undone."]


def test_only_tasks_since_the_update_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = a_change()
    ids = {s["Spec"]["Name"]: s["ID"] for s in run.engine.list("services")}
    known = {name: {t["ID"] for t in run.engine.tasks(ident)} for name, ident in ids.items()}
    waited: dict[str, set[str]] = {}

    def wait(engine: Any, name: str, timeout: float, *, before: Any, going_back: bool) -> None:
        assert not going_back
        waited[name] = set(before)

    monkeypatch.setattr("msrctl.workflows.execute.wait_running", wait)
    run.go()
    updated = [step.name for step in run.plan if step.action == "update"]
    assert waited == {name: known[name] for name in updated}
    assert all(waited.values())


@pytest.mark.parametrize("defect", [TypeError("s3cret"), AssertionError("s3cret"), KeyError("s3cret")])
def test_defect_in_a_step_is_rolled_back_and_told_as_one(defect: Exception) -> None:
    run, before = a_change()
    specs = {s["Spec"]["Name"]: s["Spec"] for s in run.engine.list("services")}
    run.fail_at("update", "services", NGINX, defect)
    with pytest.raises(
        RolledBack, match=f"internal error: {type(defect).__name__} in test_execute.py:"
    ) as error:
        run.go()
    assert (error.value.code, error.value.exit_code) == ("INTERNAL", 8)
    assert "was undone" in (error.value.state or "")
    assert "--debug" in (error.value.hint or "")
    assert "s3cret" not in f"{error.value} {error.value.details}"
    assert error.value.__cause__ is defect
    assert left(run.engine) == before
    assert {s["Spec"]["Name"]: s["Spec"] for s in run.engine.list("services")} == specs
    assert Journal.open(run.engine) is None


def test_what_the_system_refuses_is_rolled_back_in_its_own_words() -> None:
    run, before = a_change()
    run.fail_at("update", "services", NGINX, OSError(28, "No space left on device"))
    with pytest.raises(RolledBack, match="No space left on device") as error:
        run.go()
    assert error.value.code == "ROLLED-BACK"
    assert left(run.engine) == before


def test_failed_check_before_anything_serves_keeps_its_own_error() -> None:
    run, before = a_change()

    def check(step: Step) -> None:
        raise VerifyFailed("the store is not a copy", code="NOT-A-COPY")

    run.actions = {("check", "store"): check}
    with pytest.raises(VerifyFailed, match="not a copy"):
        run.go(Plan("x", (*run.plan.steps[:1], Step("check", "store", "new"))))
    assert left(run.engine) == before


def test_failed_check_after_something_serves_is_a_rollback() -> None:
    run, before = a_change()

    def check(step: Step) -> None:
        raise VerifyFailed("the store is not a copy", code="NOT-A-COPY")

    run.actions = {("check", "store"): check}
    with pytest.raises(RolledBack, match="not a copy"):
        run.go(Plan("x", (*run.plan.steps, Step("check", "store", "new"))))
    assert left(run.engine) == before


def test_after_a_commit_record_nothing_is_undone_and_partial_says_to_resume() -> None:
    run, _ = a_change()
    commit = Step("switch", "gate", "open", undo=({"op": "commit", "name": "new store"},))
    run.actions = {("switch", "gate"): lambda _: None}
    run.journal.begin(0, commit.undo)
    run.fail_at("update", "services", NGINX)
    with pytest.raises(Partial, match="the disk is full") as error:
        run.go()
    assert "msrctl reconfigure --resume" in (error.value.hint or "")
    assert Journal.open(run.engine) is not None
    assert not [call for call in run.calls if call[0] == "remove"]
    document = StateStore(run.engine).read()
    assert document is not None
    assert document.generation == 2


def test_undo_of_a_step_that_only_a_workflow_knows_is_recorded_before_it_acts() -> None:
    run, _ = a_change()
    commit = ({"op": "commit", "name": "new store"},)

    def switch(step: Step) -> None:
        assert run.journal.begun()[0].undo == list(commit)
        raise ApiError(500, "gone", "switch")

    run.actions = {("switch", "gate"): switch}
    with pytest.raises(Partial):
        run.go(Plan("x", (Step("switch", "gate", "open", undo=commit),)))


def test_reconfigure_that_makes_a_lost_service_anew_never_removes_its_volume() -> None:
    engine, cluster = an_engine()
    put(engine, cluster)
    engine.remove("services", REGISTRY)  # drift: somebody removed it, the images are still there
    run = Run(engine, with_settings(cluster, log_level="debug").next_generation())
    run.fail_at("update", "services", NGINX)
    with pytest.raises(RolledBack):
        run.go()
    assert {VOLUME, names.gate_volume(cluster.replicas[0].id)} <= set(left(engine)["volumes"])


def test_install_removes_the_volumes_that_it_made() -> None:
    run = an_install()
    run.probe = no_answer
    with pytest.raises(RolledBack):
        run.go()
    assert left(run.engine)["volumes"] == []


def test_the_undo_on_another_node_runs_from_the_image_that_is_there() -> None:
    engine, cluster = an_engine()
    other = "sha256:" + "b" * 64
    engine.swarm.images[other] = {"Id": other, "RepoTags": []}
    node = engine.swarm.add_node("node-2")
    second = replace(cluster.replicas[0], id="b" * 12, node_id=node, image=other)
    run = Run(engine, replace(cluster, replicas=(*cluster.replicas, second)), fresh=True)
    run.probe = no_answer
    seen: dict[str, str] = {}

    def before(verb: str, kind: str, name: str) -> None:
        records = [r for entry in run.journal.begun() for r in entry.undo]
        seen.update({r["node"]: r["image"] for r in records if r["op"] == "remove-volume"})

    engine.swarm.before = before
    with pytest.raises(RolledBack):
        run.go()
    assert seen == {cluster.replicas[0].node_id: cluster.replicas[0].image, node: other}


def test_install_does_not_remove_a_volume_with_other_labels() -> None:
    run = an_install()
    run.engine.create("volumes", {"Name": VOLUME, "Labels": {"owner": "somebody"}})
    run.probe = no_answer
    with pytest.raises(RolledBack):
        run.go()
    assert left(run.engine)["volumes"] == [VOLUME]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_in_a_step_undoes_everything(number: signal.Signals) -> None:
    run, before = a_change()
    run.probe = lambda _: os.kill(os.getpid(), number) or "not reached"  # type: ignore[func-returns-value]
    with pytest.raises(Interrupted, match="interrupted") as error:
        run.go()
    assert error.value.exit_code == 130
    assert left(run.engine) == before
    assert Journal.open(run.engine) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_during_the_undo_does_not_end_it(number: signal.Signals) -> None:
    run, before = a_change()
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    failing = False

    def hook(verb: str, kind: str, name: str) -> None:
        if failing:
            os.kill(os.getpid(), number)

    def probe(name: str) -> str:
        nonlocal failing
        failing = True
        raise VerifyFailed("no answer")

    run.engine.swarm.before = hook
    run.probe = probe
    with pytest.raises(RolledBack):
        run.go()
    assert left(run.engine) == before
    assert {n: signal.getsignal(n) for n in handlers} == handlers


def test_signal_while_the_journal_is_read_for_the_undo_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, before = a_change()
    original = run.journal.begun
    reads = 0

    def begun() -> Any:
        nonlocal reads
        reads += 1
        if reads == 2:  # the first is for the numbering of a resumed run
            os.kill(os.getpid(), signal.SIGINT)
        return original()

    monkeypatch.setattr(run.journal, "begun", begun)
    run.fail_at("update", "services", NGINX)
    with pytest.raises(RolledBack):
        run.go()
    assert left(run.engine) == before


def test_incomplete_undo_keeps_the_journal_and_names_what_is_left() -> None:
    run = an_install()

    def before(verb: str, kind: str, name: str) -> None:
        if verb == "create" and name == NGINX:
            raise ApiError(500, "the disk is full", "create")
        if verb == "remove" and kind == "networks":
            raise ApiError(500, "raft is gone", "remove network")

    run.engine.swarm.before = before
    with pytest.raises(MsrctlError) as error:
        run.go()
    assert error.value.code == "UNDO-INCOMPLETE"
    assert error.value.details[0].startswith(f"remove {names.NETWORK}: ")
    assert Journal.open(run.engine) is not None
    rest = left(run.engine)
    assert (rest["services"], rest["secrets"], rest["volumes"]) == ([], [], [])
    assert rest["networks"] == [names.NETWORK]


def test_defect_in_one_undo_leaves_none_of_the_others_out() -> None:
    run = an_install()

    def before(verb: str, kind: str, name: str) -> None:
        if verb == "create" and name == NGINX:
            raise ApiError(500, "the disk is full", "create")
        if verb == "remove" and kind == "volumes":
            raise ZeroDivisionError

    run.engine.swarm.before = before
    with pytest.raises(MsrctlError) as error:
        run.go()
    assert error.value.code == "UNDO-INCOMPLETE"
    assert "internal error: ZeroDivisionError" in error.value.details[0]
    rest = left(run.engine)
    assert (rest["services"], rest["secrets"], rest["networks"]) == ([], [], [])


def test_resumed_operation_goes_on_counting() -> None:
    run, _ = a_change()
    run.journal.begin(7, [{"op": "remove", "kind": "configs", "name": "an-older-thing"}])
    run.fail_at("update", "services", NGINX)
    numbers: list[int] = []
    begin = run.journal.begin
    run.journal.begin = lambda step, undo=(): (numbers.append(step), begin(step, undo))[1]  # type: ignore[method-assign]
    with pytest.raises(RolledBack):
        run.go()
    assert numbers == list(range(8, 8 + len(numbers)))


def test_a_roll_back_from_before_this_run_says_nothing_of_a_service_that_it_only_checks() -> None:
    """Seen: a change failed at one replica; a later one that was resumed took that for its own failure."""
    engine, cluster = an_engine()
    put(engine, cluster)
    run = Run(engine, cluster)
    for service in engine.swarm.objects["services"].values():
        service["UpdateStatus"] = {"State": "rollback_completed"}
    run.plan = Plan("finish", tuple(unchecked(run.wanted, ())))
    run.go()


def test_run_that_lost_its_lock_stops_before_the_next_step() -> None:
    run, before = a_change()
    run.lock.lost = True
    with pytest.raises(Locked) as error:
        run.go()
    assert error.value.code == "LOCK-LOST"
    assert left(run.engine) == before
    assert Journal.open(run.engine) is None


def test_run_that_loses_its_lock_undoes_nothing_and_leaves_its_journal() -> None:
    run, _ = a_change()
    begin = run.journal.begin

    def lose(step: int, undo: Any = ()) -> None:
        begin(step, undo)
        run.lock.lost = step == 2

    run.journal.begin = lose  # type: ignore[method-assign]
    with pytest.raises(Locked) as error:
        run.go()
    assert "undid nothing" in (error.value.state or "")
    kept = Journal.open(run.engine)
    assert kept is not None
    assert [entry.step for entry in kept.begun()] == [2, 1]


def test_no_secret_stands_in_the_journal() -> None:
    run = an_install()
    texts: list[str] = []
    run.engine.swarm.before = lambda *_: texts.append(str(run.engine.find("configs", names.JOURNAL)))
    run.go()
    assert texts
    assert not [t for t in texts if "s3cret" in t or "czNjcmV0" in t]


def touch(engine: FakeEngine, service: str, **changes: Any) -> None:
    """Another version of a service: the engine writes down how an update went, or somebody changes it."""
    found = engine.find("services", service)
    assert found is not None
    template = {**found["Spec"]["TaskTemplate"], **changes}
    engine.update(
        "services", found["ID"], found["Version"]["Index"], {**found["Spec"], "TaskTemplate": template}
    )


def test_a_version_that_the_engine_itself_counted_on_is_no_obstacle() -> None:
    # It does so when it has watched an earlier update for long enough, in the middle of this one.
    run, _ = a_change()
    touch(run.engine, NGINX)
    run.go()
    assert not plan("again", run.wanted, observe(run.engine, CLUSTER, run.wanted), {}, "")


def test_a_service_that_somebody_changed_since_the_plan_was_made_is_left_alone() -> None:
    run, _ = a_change()
    touch(run.engine, NGINX, ForceUpdate=7)
    with pytest.raises(RolledBack, match="changed by somebody else") as caught:
        run.go()
    assert caught.value.hint
    found = run.engine.find("services", NGINX)
    assert found is not None
    assert found["Spec"]["TaskTemplate"]["ForceUpdate"] == 7


@pytest.mark.parametrize("value", [b"", b"x" * 500_000])
def test_a_secret_of_a_size_that_the_swarm_refuses_is_refused_in_words(value: bytes) -> None:
    with pytest.raises(MsrctlError, match="499,999 bytes") as caught:
        secret_body("msrctl-tls", Secret(value), {})
    assert "xxx" not in str(caught.value)


def rolling() -> tuple[Run, str]:
    """A change of two replicas, and the id of the second."""
    engine, cluster = an_engine()
    second = replace(cluster.replicas[0], id="b" * 12)
    cluster = replace(cluster, replicas=(*cluster.replicas, second))
    put(engine, cluster)
    StateStore(engine).write(cluster.to_json(), 1, cluster=cluster.id)
    run = Run(engine, with_settings(cluster, http_proxy="http://p:1").next_generation())
    return run, names.service("registry", second.id)


def test_a_rolling_change_that_fails_at_the_first_replica_is_taken_back_as_a_whole() -> None:
    run, _ = rolling()
    run.probe = no_answer
    with pytest.raises(RolledBack):
        run.go()
    document = StateStore(run.engine).read()
    assert document is not None
    assert document.generation == 1
    assert Journal.open(run.engine) is None


def test_a_rolling_change_that_fails_later_takes_that_replica_back_and_leaves_the_ones_before() -> None:
    run, second = rolling()
    run.probe = lambda name: no_answer(name) if name == second else "ok"
    before = run.engine.find("services", second)
    assert before is not None
    with pytest.raises(Partial, match="does not answer") as caught:
        run.go()
    assert caught.value.state is not None
    assert f"Changed and serving: {run.cluster.replicas[0].id}." in caught.value.state
    found = run.engine.find("services", second)
    assert found is not None
    assert found["Spec"] == before["Spec"]
    first = run.engine.find("services", REGISTRY)
    assert first is not None
    assert first["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["HTTP_PROXY=http://p:1"]
    # What is wanted stays written down, and the next run goes on from there.
    assert Journal.open(run.engine) is None
    rest = plan("again", run.wanted, observe(run.engine, CLUSTER, run.wanted), {}, "")
    assert {step.name for step in rest} == {second}
