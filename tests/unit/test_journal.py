"""The journal: what a run that was killed finds again; on the fake engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.engine import FakeEngine
from msrctl.engine.journal import Entry, Journal, JournalHeader
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names

if TYPE_CHECKING:
    from msrctl.engine.protocol import JSON, Kind

HEADER = JournalHeader(
    operation="reconfigure",
    command="msrctl reconfigure --nfs-storage-url nfs://nas/images",
    holder="root@node-1",
    cluster="c0ffee000000",
    before="msrctl-state-1-000000000000",
    after="msrctl-state-2-111111111111",
    steps=("create config", "update service"),
    extra={"image": "sha256:1"},
)
REMOVE: JSON = {"op": "remove", "kind": "configs", "name": "a"}
RESTORE: JSON = {"op": "restore", "kind": "services", "name": "b", "spec": {"Name": "b"}}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def test_there_is_none_before_and_after_an_operation(engine: FakeEngine) -> None:
    assert Journal.open(engine) is None
    Journal.create(engine, HEADER).close()
    assert Journal.open(engine) is None


def test_another_msrctl_finds_what_was_begun_last_in_first_out(engine: FakeEngine) -> None:
    journal = Journal.create(engine, HEADER)
    journal.begin(0, [REMOVE])
    journal.done(0)
    journal.begin(1)
    journal.done(1)
    journal.begin(2, [RESTORE])
    found = Journal.open(engine.clone())
    assert found is not None
    assert found.header == HEADER
    assert found.since
    assert found.begun() == [
        Entry(2, "begun", [RESTORE]),
        Entry(1, "done", []),
        Entry(0, "done", [REMOVE]),
    ]


def test_steps_stay_in_order_beyond_ten(engine: FakeEngine) -> None:
    journal = Journal.create(engine, HEADER)
    for step in range(12):
        journal.begin(step)
    assert [entry.step for entry in journal.begun()] == list(range(11, -1, -1))


def test_a_step_that_is_begun_again_keeps_its_first_undo_to_be_carried_out_last(engine: FakeEngine) -> None:
    journal = Journal.create(engine, HEADER)
    journal.begin(0, [RESTORE])
    again = Journal.open(engine)
    assert again is not None
    again.begin(0, [RESTORE, REMOVE])
    assert again.begun() == [Entry(0, "begun", [REMOVE, RESTORE])]


def test_a_second_operation_is_refused_while_one_is_unfinished(engine: FakeEngine) -> None:
    first = Journal.create(engine, HEADER)
    with pytest.raises(WrongState, match="reconfigure by root@node-1") as caught:
        Journal.create(engine, HEADER)
    assert caught.value.code == "INTERRUPTED"
    assert caught.value.exit_code == 6
    assert first.begun() == []


def test_somebody_else_s_change_in_between_is_not_overwritten(engine: FakeEngine) -> None:
    journal = Journal.create(engine, HEADER)
    other = Journal.open(engine.clone())
    assert other is not None
    hindered: list[str] = []

    def meanwhile(verb: str, kind: str, name: str) -> None:
        if verb == "update" and not hindered:
            hindered.append(name)
            other.begin(7)

    engine.swarm.before = meanwhile
    journal.begin(0, [REMOVE])
    assert hindered
    assert [entry.step for entry in journal.begun()] == [7, 0]


def test_one_that_changes_all_the_time_is_given_up(engine: FakeEngine) -> None:
    journal = Journal.create(engine, HEADER)
    found = engine.swarm.objects["configs"][journal.ident]

    def meanwhile(*_: str) -> None:
        found["Version"] = {"Index": engine.swarm.index()}

    engine.swarm.before = meanwhile
    with pytest.raises(MsrctlError) as caught:
        journal.begin(0)
    assert caught.value.code == "JOURNAL-BUSY"


def test_it_refuses_what_would_not_fit_before_anything_acts(engine: FakeEngine) -> None:
    journal = Journal.create(engine, HEADER)
    journal.begin(0, [{"op": "restore", "spec": "x" * 300_000}])
    with pytest.raises(WrongState) as caught:
        journal.begin(1, [{"op": "restore", "spec": "x" * 300_000}])
    assert caught.value.code == "JOURNAL-FULL"
    assert [entry.step for entry in journal.begun()] == [0]


def test_one_that_somebody_removed_stops_the_operation(engine: FakeEngine) -> None:
    journal = Journal.create(engine, HEADER)
    engine.remove("configs", names.JOURNAL)
    for attempt in (lambda: journal.begin(0), lambda: journal.done(0), journal.begun):
        with pytest.raises(WrongState) as caught:
            attempt()
        assert caught.value.code == "JOURNAL-LOST"
    Journal.create(engine, HEADER)
    with pytest.raises(WrongState):  # another one under the same name is not ours
        journal.begin(0)
    journal.close()
    assert Journal.open(engine) is not None


@pytest.mark.parametrize("data", ["bm90IGpzb24=", "e30=", "eyJzdGVwcyI6W10sIm5ldyI6MX0="])
def test_one_that_cannot_be_read_is_told(engine: FakeEngine, data: str) -> None:
    kind: Kind = "configs"
    engine.create(kind, {"Name": names.JOURNAL, "Data": data})
    with pytest.raises(WrongState) as caught:
        Journal.open(engine)
    assert caught.value.code == "JOURNAL-DAMAGED"
