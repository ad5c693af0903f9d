"""Logs of all services, from every node, by time; what cannot be had keeps nothing else away."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cli_support import run
from plan_support import NGINX, REGISTRY, REPLICA, Recorder, an_engine, put, with_settings

from msrctl.cli import values
from msrctl.engine.logstream import Record
from msrctl.engine.state import StateStore
from msrctl.errors import Unreachable, WrongState
from msrctl.model import names
from msrctl.model.requests import CommonRequest, LogsRequest
from msrctl.model.results import LogLine, LogsResult
from msrctl.workflows import logs as telling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.engine import FakeEngine
    from msrctl.model.cluster import Cluster

OTHER = "0123456789ab"


def record(second: int, text: str, *, stream: str = "stdout", task: str = "t1") -> Record:
    return Record(f"2026-01-01T00:00:{second:02d}.000000000Z", stream, task, text)


def log(engine: FakeEngine, service: str, *records: Record) -> None:
    found = engine.find("services", service)
    assert found is not None
    engine.swarm.logs[found["ID"]] = list(records)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Two replicas on two nodes."""
    made, cluster = an_engine()
    node = made.swarm.add_node("node-2")
    second = replace(cluster.replicas[0], id=OTHER, node_id=node, node_name="node-2")
    _write(made, replace(cluster, replicas=(*cluster.replicas, second)))
    monkeypatch.setattr(telling, "open_engine", lambda _: made)
    return made


def _write(engine: FakeEngine, cluster: Cluster) -> None:
    put(engine, cluster)
    StateStore(engine).write(cluster.to_json(), cluster.generation, cluster=cluster.id)


def ask(**more: Any) -> LogsResult:
    return telling.logs(LogsRequest(CommonRequest(), **more), Recorder())


def test_lines_of_all_services_come_by_time_and_say_whose_they_are(engine: FakeEngine) -> None:
    log(engine, NGINX, record(1, "first"), record(4, "last"))
    log(engine, REGISTRY, record(2, "second", stream="stderr"))
    log(engine, names.service("registry", OTHER), record(3, "third"))
    found = ask()
    assert [(line.text, line.replica_id, line.component, line.node) for line in found.lines] == [
        ("first", REPLICA, "nginx", "node-1"),
        ("second", REPLICA, "registry", "node-1"),
        ("third", OTHER, "registry", "node-2"),
        ("last", REPLICA, "nginx", "node-1"),
    ]
    assert found.lines[1].stream == "stderr"
    assert found.warnings == ()


def test_only_what_was_asked_for_is_read(engine: FakeEngine) -> None:
    for component, replica in itertools.product(("nginx", "registry"), (REPLICA, OTHER)):
        log(engine, names.service(component, replica), record(1, f"{component} {replica}"))
    assert [line.text for line in ask(component="nginx", replica_id=OTHER).lines] == [f"nginx {OTHER}"]
    assert len(ask(component="registry").lines) == 2
    with pytest.raises(WrongState) as caught:
        ask(replica_id="ffffffffffff")
    assert caught.value.code == "NO-REPLICA"


def test_the_tail_is_of_each_service_however_many_tasks_it_had(engine: FakeEngine) -> None:
    log(engine, NGINX, *(record(n, f"n{n}", task=f"t{n}") for n in range(5)))
    log(engine, REGISTRY, record(7, "r"))
    assert [line.text for line in ask(tail=2).lines] == ["n3", "n4", "r"]
    assert ask(tail=0).lines == ()


def test_since_counts_back_from_the_engines_own_clock(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    records = engine.__class__.records
    monkeypatch.setattr(
        engine.__class__, "records", lambda self, *a, **k: asked.append(k["since"]) or records(self, *a, **k)
    )
    engine.swarm.advance(3600)
    ask(since=600.0)
    ahead = datetime.fromisoformat(asked[0]).timestamp() - datetime.now(UTC).timestamp()
    assert 2900 < ahead < 3100, asked
    ask(since="2026-01-01T00:00:00.000000000Z")
    assert asked[-1] == "2026-01-01T00:00:00.000000000Z"


def test_a_node_that_is_down_keeps_no_other_log_away_and_is_not_waited_for(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(engine, REGISTRY, record(1, "here"))
    engine.swarm.nodes[1]["Status"]["State"] = "down"
    records = engine.__class__.records

    def refuse(self: FakeEngine, service: str, **more: Any) -> Iterator[Record]:
        assert OTHER not in service, "a dead node was asked"
        return records(self, service, **more)

    monkeypatch.setattr(engine.__class__, "records", refuse)
    found = ask()
    assert [line.text for line in found.lines] == ["here"]
    assert found.warnings == (
        f"the log of dtr-nginx-{OTHER} on node-2 cannot be read: node node-2 is down",
        f"the log of dtr-registry-{OTHER} on node-2 cannot be read: node node-2 is down",
    )


def test_a_node_that_is_silent_a_service_that_is_gone_and_the_engines_words_are_named(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(engine, REGISTRY, record(1, "here"), Record("", "engine", "", "incomplete log stream"))
    engine.remove("services", NGINX)
    records = engine.__class__.records

    def silent(self: FakeEngine, service: str, **more: Any) -> Iterator[Record]:
        if OTHER in service:
            raise Unreachable("no engine answers (it did not answer in time)", code="NO-ENGINE")
        return records(self, service, **more)

    monkeypatch.setattr(engine.__class__, "records", silent)
    found = ask()
    assert [line.text for line in found.lines] == ["here"]
    assert f"{NGINX} has no log: there is no such service" in found.warnings
    assert f"the log of {REGISTRY} on node-1 cannot be read: incomplete log stream" in found.warnings
    assert sum("the node did not send it in time" in w for w in found.warnings) == 2


def test_where_no_log_can_be_read_it_fails(engine: FakeEngine) -> None:
    for node in engine.swarm.nodes:
        node["Status"]["State"] = "down"
    with pytest.raises(Unreachable) as caught:
        ask()
    assert caught.value.code == "LOGS-UNREADABLE"
    assert len(caught.value.details) == 4


def test_logs_that_go_to_a_syslog_server_are_named_as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    made, cluster = an_engine()
    _write(made, with_settings(cluster, log_protocol="tcp", log_host="logs.example.com:514"))
    monkeypatch.setattr(telling, "open_engine", lambda _: made)
    with pytest.raises(WrongState) as caught:
        ask()
    assert caught.value.code == "LOGS-ELSEWHERE"
    assert "tcp://logs.example.com:514" in caught.value.message
    assert "--log-protocol internal" in (caught.value.hint or "")


def test_a_log_that_is_followed_goes_on_after_every_cut_without_a_line_twice(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "AGAIN_SECONDS", 0.001)
    log(engine, REGISTRY, record(1, "too old for the tail"), record(2, "before"), record(2, "at once"))
    request = LogsRequest(CommonRequest(), replica_id=REPLICA, component="registry", tail=2)
    lines = telling.follow(request, Recorder())
    # The fake ends a stream after what there is, as a balancer that cuts it does.
    assert [next(lines).text for _ in range(2)] == ["before", "at once"]
    log(engine, REGISTRY, record(1, "too old"), *(record(n, f"line {n}") for n in range(2, 8)))
    assert [next(lines).text for _ in range(6)] == [f"line {n}" for n in range(2, 8)]
    lines.close()  # type: ignore[attr-defined]


def test_troubles_while_following_are_told_once(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "AGAIN_SECONDS", 0.001)
    report = Recorder()
    engine.swarm.nodes[1]["Status"]["State"] = "down"
    failures = iter(range(10))
    records = engine.__class__.records

    def failing(self: FakeEngine, service: str, **more: Any) -> Iterator[Record]:
        if more.get("follow") and next(failures, None) is not None:
            raise Unreachable("the swarm has no leader", code="NO-LEADER")
        if more.get("follow"):
            log(engine, REGISTRY, Record(telling._stamp(engine), "stdout", "t", "it came back"))
        return records(self, service, **more)

    monkeypatch.setattr(engine.__class__, "records", failing)
    request = LogsRequest(CommonRequest(), replica_id=REPLICA, component="registry")
    lines = telling.follow(request, report)
    assert next(lines).text == "it came back"
    assert [w for w in report.warnings if "no leader" in w] == [
        f"the log of {REGISTRY} on node-1 cannot be read: the swarm has no leader"
    ]
    lines.close()  # type: ignore[attr-defined]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[LogsRequest]:
    """The workflows only record."""
    asked: list[LogsRequest] = []
    line = LogLine("2026-01-01T00:00:01Z", REPLICA, "nginx", "node-1", "stdout", "GET /v2/ \x1b[31m")

    def logs(request: LogsRequest, _report: object) -> LogsResult:
        asked.append(request)
        return LogsResult((line,), ("node-2 is down",))

    def follow(request: LogsRequest, _report: object) -> Iterator[LogLine]:
        asked.append(request)
        yield line
        raise KeyboardInterrupt

    monkeypatch.setattr(telling, "logs", logs)
    monkeypatch.setattr(telling, "follow", follow)
    return asked


def test_each_line_begins_with_its_replica_and_component_and_cannot_harm_a_terminal(
    given: list[LogsRequest],
) -> None:
    done = run("logs")
    assert done.exit_code == 0
    assert done.stdout == f"{REPLICA}/nginx    | GET /v2/ \\x1b[31m\n"
    assert "node-2 is down" in done.stderr
    document = json.loads(run("logs", "--output", "json").stdout)
    assert document["data"]["lines"][0]["text"] == "GET /v2/ \x1b[31m"
    assert document["warnings"] == ["node-2 is down"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_following_ends_with_ctrl_c_and_that_is_no_failure(given: list[LogsRequest], form: str) -> None:
    done = run("logs", "-f", "--output", form)
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    if form == "json":
        assert json.loads(done.stdout)["replica_id"] == REPLICA


def test_the_command_asks_for_what_was_given(given: list[LogsRequest]) -> None:
    for arguments in ((), ("--tail", "all"), ("--since", "10m"), ("--since", "10m", "--tail", "5")):
        assert run("logs", *arguments).exit_code == 0
    assert [(r.tail, r.since) for r in given] == [(1000, None), (None, None), (None, 600.0), (5, 600.0)]
    run("logs", "--component", "nginx", "--replica-id", REPLICA)
    assert (given[-1].component, given[-1].replica_id) == ("nginx", REPLICA)
    for wrong in (("--tail", "-1"), ("--tail", "x"), ("--since", "yesterday"), ("--component", "etcd")):
        assert run("logs", *wrong).exit_code == 2, wrong


def test_a_time_may_have_any_zone() -> None:
    assert values.since("2026-01-02T03:04:05+02:00") == "2026-01-02T01:04:05.000000000Z"
    assert values.since("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000000Z"
    with pytest.raises(ValueError, match="not a time"):
        values.since("2026-99-01")
