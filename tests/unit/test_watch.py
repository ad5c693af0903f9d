"""status --watch: a picture on a terminal, a line or a document for each change elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cli_support import REPLICA, run

from msrctl.errors import MsrctlError, Unreachable
from msrctl.model.requests import CommonRequest, StatusRequest
from msrctl.model.results import ComponentHealth, ReplicaStatus, StatusResult
from msrctl.workflows import watch as watching

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = (ComponentHealth("nginx", True, "answers", "running"),)
BAD = (ComponentHealth("nginx", False, "no answer", "failed: exit 1"),)
FINE = StatusResult(
    installed=True, generation=3, replicas=(ReplicaStatus(REPLICA, "node-1", "1", "u", GOOD),)
)
ILL = replace(FINE, replicas=(replace(FINE.replicas[0], components=BAD),))
AWAY = Unreachable("the swarm has no leader", code="NO-LEADER")


class Engine:
    """A connection of which only that it is one matters."""


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is found, one look after the other; then somebody presses Ctrl-C."""
    found: list[Any] = []
    connections: list[Engine] = []

    def look(_engine: object, _request: object) -> StatusResult:
        if not found:
            raise KeyboardInterrupt
        one = found.pop(0)
        if isinstance(one, MsrctlError):
            raise one
        return one

    def opened(_common: object) -> Engine:
        assert not connections, "a second connection (and over MKE a second login)"
        connections.append(Engine())
        return connections[0]

    monkeypatch.setattr(watching, "open_engine", opened)
    monkeypatch.setattr(watching, "look", look)
    monkeypatch.setattr(watching.time, "sleep", lambda _: None)
    # The default of the argument was taken when the function was made.
    monkeypatch.setattr(watching.watch, "__defaults__", (lambda _: None,))
    return found


def test_without_a_terminal_each_change_is_a_line(looks: list[Any]) -> None:
    looks += [FINE, FINE, ILL, ILL, AWAY, AWAY, FINE]
    done = run("status", "--watch")
    assert done.exit_code == 0, done.stderr
    lines = [line.partition("Z ")[2] for line in done.stdout.splitlines()]
    assert lines == [
        f"healthy; {REPLICA} on node-1 healthy; generation 3",
        f"not healthy; {REPLICA} on node-1 nginx: no answer (failed: exit 1); generation 3",
        "unknown: the swarm has no leader (NO-LEADER)",
        f"healthy; {REPLICA} on node-1 healthy; generation 3",
    ]


def test_with_json_each_change_is_the_commands_document_on_one_line(looks: list[Any]) -> None:
    looks += [FINE, FINE, ILL, AWAY]
    documents = [json.loads(x) for x in run("status", "-w", "--output", "json").stdout.splitlines()]
    assert [(d["ok"], d["exit_code"], (d["error"] or {}).get("code")) for d in documents] == [
        (True, 0, None),
        (False, 10, "UNHEALTHY"),
        (False, 5, "NO-LEADER"),
    ]
    assert all(d["command"] == "status" and d["time"].endswith("Z") for d in documents)
    assert documents[0]["data"]["replicas"][0]["healthy"]


def test_a_lock_that_only_grows_older_is_no_change(looks: list[Any]) -> None:
    looks += [replace(FINE, lock=f'a@b has been running "x for y" for {n} s (last ...)') for n in range(3)]
    looks += [replace(FINE, lock='c@d has been running "x for y" for 1 s (last ...)'), FINE]
    assert len(run("status", "--watch").stdout.splitlines()) == 3


def test_an_engine_that_never_answered_is_not_watched(looks: list[Any]) -> None:
    looks += [AWAY, FINE]
    done = run("status", "--watch")
    assert done.exit_code == 5
    assert "NO-LEADER" in done.stderr
    assert done.stdout == ""


def test_between_two_looks_it_waits_as_long_as_was_said(looks: list[Any]) -> None:
    waited: list[float] = []
    looks += [FINE, AWAY, FINE]
    seen: Iterator[Any] = watching.watch(StatusRequest(CommonRequest()), 7.0, waited.append)
    assert [next(seen) for _ in range(3)] == [FINE, AWAY, FINE]
    assert waited == [7.0, 7.0]


@pytest.mark.parametrize("interval", ["2.5", "1m"])
def test_the_interval_is_seconds_or_a_duration(looks: list[Any], interval: str) -> None:
    assert run("status", "--watch", "--interval", interval).exit_code == 0


def test_what_is_no_interval_is_refused_and_it_needs_watch() -> None:
    for wrong in ("0", "-1", "soon"):
        assert run("status", "--watch", "--interval", wrong).exit_code == 2
    assert "--interval needs --watch" in run("status", "--interval", "2").stderr


def test_on_a_terminal_the_picture_is_redrawn_and_the_last_one_stays(
    looks: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import contextlib
    import sys

    from msrctl.ui import watching as picture

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert picture.is_picture(json_wanted=False)
    assert not picture.is_picture(json_wanted=True)
    looks += [FINE, ILL, AWAY]
    with contextlib.suppress(KeyboardInterrupt):
        picture.draw(watching.watch(StatusRequest(CommonRequest()), 5.0), interval=5.0, nocolor=True)
    shown = capsys.readouterr().out
    for text in ("every 5 s, Ctrl-C ends", "answers", "Not healthy.", "Error: the swarm has no leader"):
        assert text in shown
