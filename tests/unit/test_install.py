"""Install on an engine in no swarm: a failed one leaves the swarm again, a finished one stays there."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from plan_support import Recorder

from fakes.engine import FakeEngine
from fakes.swarm import IMAGE_ID, OneShot
from msrctl.engine.journal import Journal
from msrctl.engine.protocol import ApiError
from msrctl.errors import Interrupted, RolledBack, Unreachable
from msrctl.model import names
from msrctl.model.requests import CommonRequest, InstallRequest, SettingsRequest
from msrctl.secret import Secret
from msrctl.workflows import install as installing

if TYPE_CHECKING:
    from msrctl.model.results import InstallResult

REQUEST = InstallRequest(
    CommonRequest(max_wait=2.0), SettingsRequest(), admin_password=Secret("x" * 12), image=IMAGE_ID
)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine in no swarm, whose nodes are fit and whose services answer."""
    made = FakeEngine()
    made.leave_swarm()
    monkeypatch.setattr(installing, "open_engine", lambda _: made)
    monkeypatch.setattr(installing.probe, "prober", lambda *_: lambda _: "ok")
    made.swarm.oneshot = _node_answers
    return made


def _node_answers(spec: dict[str, Any]) -> OneShot:
    args = spec["TaskTemplate"]["ContainerSpec"]["Args"]
    ports = [int(args[i + 1]) for i, word in enumerate(args) if word == "--port"]
    checks: list[dict[str, Any]] = [{"check": "port", "port": port, "ok": True} for port in ports]
    checks.append({"check": "storage", "ok": True, "detail": "can be written"})
    return OneShot(lines=tuple(json.dumps(check) for check in checks))


def _install(report: Recorder | None = None) -> InstallResult:
    return installing.install(REQUEST, report or Recorder())


def test_an_install_makes_the_swarm_and_everything_in_it(engine: FakeEngine) -> None:
    result = _install()
    assert engine.swarm.active
    assert {s["Spec"]["Name"] for s in engine.list("services")} == {
        names.service(component, str(result.replica_id)) for component in ("nginx", "registry")
    }
    assert Journal.open(engine) is None


def test_a_failed_install_leaves_the_swarm_that_it_made(engine: FakeEngine) -> None:
    def before(verb: str, kind: str, name: str) -> None:
        if verb == "create" and name.startswith("dtr-nginx-") and kind == "services":
            raise ApiError(500, "the disk is full", "create")

    engine.swarm.before = before
    with pytest.raises(RolledBack, match="the disk is full"):
        _install()
    assert not engine.swarm.active


def _tidying(engine: FakeEngine) -> bool:
    """Whether everything is done, the journal is closed, and only what nobody needs any more goes."""
    return len(engine.list("services")) == 2 and Journal.open(engine) is None


@pytest.mark.parametrize("fault", [Unreachable("gone"), ZeroDivisionError(), None])
def test_a_finished_install_stays_whatever_tidying_meets(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, fault: Exception | None
) -> None:
    """None: a signal comes in the middle of it."""

    def sweep(*_: Any) -> None:
        assert _tidying(engine)
        if fault:
            raise fault
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("msrctl.workflows.apply.sweep", sweep)
    report = Recorder()
    result = _install(report)
    assert result.replica_id
    assert engine.swarm.active
    assert len(engine.list("services")) == 2
    assert engine.find("configs", names.LOCK) is None
    assert any("It is done" in text for text in report.warnings) is bool(fault)


def test_an_interrupted_install_leaves_nothing(engine: FakeEngine) -> None:
    def before(verb: str, kind: str, name: str) -> None:
        if verb == "create" and name.startswith("dtr-nginx-") and kind == "services":
            os.kill(os.getpid(), signal.SIGTERM)

    engine.swarm.before = before
    with pytest.raises(Interrupted):
        _install()
    assert not engine.swarm.active
