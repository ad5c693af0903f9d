"""What stands against working with an engine's swarm: told in the same words wherever it is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakes.engine import FakeEngine
from msrctl.engine import faults
from msrctl.errors import WrongState
from msrctl.workflows.swarm import swarm_state

WORKER = {"LocalNodeState": "active", "ControlAvailable": False}


@pytest.mark.parametrize(
    ("info", "answer", "code"),
    [
        ({"Swarm": WORKER}, "Worker nodes can't be used to view cluster state.", "NOT-MANAGER"),
        (
            {"Swarm": {"LocalNodeState": "locked"}},
            "Swarm is encrypted and needs to be unlocked",
            "SWARM-LOCKED",
        ),
        ({"LiveRestoreEnabled": True}, "--live-restore is incompatible with swarm", "LIVE-RESTORE"),
    ],
)
def test_looked_for_or_answered_by_the_engine_it_is_one_error(
    monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], answer: str, code: str
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(engine, "info", lambda: info)
    with pytest.raises(WrongState) as looked:
        swarm_state(engine)
    told = faults.from_answer(503, json.dumps({"message": answer}), doing="x", endpoint=engine.endpoint)
    assert looked.value.code == told.code == code
    assert (looked.value.message, looked.value.state, looked.value.hint) == (
        told.message,
        told.state,
        told.hint,
    )


def test_a_worker_names_the_managers_where_it_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    managers = [{"Addr": "10.0.0.2:2377"}, {"Addr": "10.0.0.3:2377"}]
    monkeypatch.setattr(engine, "info", lambda: {"Swarm": {**WORKER, "RemoteManagers": managers}})
    with pytest.raises(WrongState) as error:
        swarm_state(engine)
    assert "(10.0.0.2, 10.0.0.3)" in (error.value.hint or "")


def test_a_manager_and_an_engine_in_no_swarm_have_their_states() -> None:
    engine = FakeEngine()
    assert swarm_state(engine) == "active"
    engine.leave_swarm()
    assert swarm_state(engine) == "inactive"
