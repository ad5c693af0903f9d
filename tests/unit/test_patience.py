"""Requests that a balancer cuts: what may be sent twice is, and what was carried out is not made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3

from fakes.engine import FakeEngine
from msrctl.engine import patience
from msrctl.engine.lock import Lock
from msrctl.engine.protocol import Conflict, OutOfSequence
from msrctl.errors import Locked, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPEC = {"Name": "one", "Labels": {"a": "b"}, "Data": "aGk="}
CUT = requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted."))
REFUSED = requests.ConnectionError(
    urllib3.exceptions.MaxRetryError(
        urllib3.HTTPSConnectionPool("x"), "/", urllib3.exceptions.HTTPError("refused")
    )
)


def _cut() -> Unreachable:
    return patience.gateway_fault(504, doing="ask", endpoint="https://mke")


def _no_leader() -> Unreachable:
    return Unreachable("the swarm has no leader", code="NO-LEADER")


class Balanced(FakeEngine):
    """The fake behind a balancer that loses answers, or in a swarm that elects another leader.

    Arguments:
        lost: for each request in turn: None lets it through, False cuts it before, True after it was done.
        fault: what is told in place of the answer.
        led: whether the swarm is known to have had a leader.
    """

    def __init__(
        self, lost: list[bool | None], fault: Callable[[], Unreachable] = _cut, *, led: bool = True
    ) -> None:
        super().__init__()
        self.lost = lost
        self.fault = fault
        self.led = led

    def _through(self, act: Any) -> Any:
        fate = self.lost.pop(0) if self.lost else None
        made = act() if fate is not False else None
        if fate is not None:
            raise self.fault()
        return made

    def _tries(self) -> patience.Tries:
        return patience.Tries(balanced=self.fault is _cut, led=self.led)

    def clone(self) -> Balanced:
        made = Balanced([])
        made.swarm = self.swarm
        return made

    def create(self, kind: Any, spec: Any) -> str:
        once = super().create
        return patience.create(
            self, lambda: self._through(lambda: once(kind, spec)), kind, spec, self._tries()
        )

    def update(self, kind: Any, ident: str, version: int, spec: Any, *, back: bool = False) -> None:
        once = super().update
        patience.update(
            self,
            lambda: self._through(lambda: once(kind, ident, version, spec, back=back)),
            kind,
            version,
            dict(spec),
            self._tries(),
        )

    def remove(self, kind: Any, ident: str) -> bool:
        once = super().remove
        return patience.remove(lambda: self._through(lambda: once(kind, ident)), self._tries())


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(patience, "ELECTION_PAUSE", 0.0)


FAULTS = pytest.mark.parametrize("fault", [_cut, _no_leader])


@FAULTS
@pytest.mark.parametrize("lost", [[False], [True], [False, False, True], [False, True]])
def test_an_object_is_made_once_whatever_gets_lost(lost: list[bool | None], fault: Any) -> None:
    engine = Balanced(lost, fault)
    ident = engine.create("configs", SPEC)
    assert [one["ID"] for one in engine.list("configs")] == [ident]


@FAULTS
@pytest.mark.parametrize("lost", [[False], [True], [False, False, False], [False, True]])
def test_labels_are_changed_once_whatever_gets_lost(lost: list[bool | None], fault: Any) -> None:
    engine = Balanced([], fault)
    ident = engine.create("configs", SPEC)
    found = engine.find("configs", "one")
    assert found is not None
    engine.lost = lost
    engine.update("configs", ident, found["Version"]["Index"], {"Name": "one", "Labels": {"c": "d"}})
    now = engine.find("configs", "one")
    assert now is not None
    assert now["Spec"]["Labels"] == {"c": "d"}


def test_an_update_that_somebody_else_overtook_is_told() -> None:
    engine = Balanced([])
    ident = engine.create("configs", SPEC)
    found = engine.find("configs", "one")
    assert found is not None
    version = found["Version"]["Index"]
    engine.clone().update("configs", ident, version, {"Name": "one", "Labels": {"theirs": "1"}})
    for lost in ([], [False]):
        engine.lost = list(lost)
        with pytest.raises((OutOfSequence, Unreachable)):
            engine.update("configs", ident, version, {"Name": "one", "Labels": {"ours": "1"}})
    now = engine.find("configs", "one")
    assert now is not None
    assert now["Spec"]["Labels"] == {"theirs": "1"}


@FAULTS
@pytest.mark.parametrize("lost", [[False], [True], [True, False]])
def test_what_was_removed_is_gone_and_was_there(lost: list[bool | None], fault: Any) -> None:
    engine = Balanced([], fault)
    ident = engine.create("configs", SPEC)
    engine.lost = lost
    assert engine.remove("configs", ident)
    assert engine.list("configs") == []
    assert not engine.remove("configs", ident)


@pytest.mark.parametrize("fate", [False, True])
def test_a_lock_whose_answer_got_lost_is_held_by_one_only(fate: bool) -> None:
    engine = Balanced([fate])
    with Lock(engine, "msrctl first"), pytest.raises(Locked):
        Lock(Balanced.clone(engine), "msrctl second").acquire()
    other = engine.clone()
    with Lock(other, "msrctl theirs"):
        engine.lost = [False]
        with pytest.raises(Locked):
            Lock(engine, "msrctl ours").acquire()


def test_a_name_that_is_taken_is_a_conflict_also_after_a_cut() -> None:
    engine = Balanced([])
    engine.create("configs", {**SPEC, "Data": "dGhlaXJz"})
    engine.lost = [False]
    with pytest.raises(Conflict):
        engine.create("configs", SPEC)


def test_it_gives_up_in_the_end() -> None:
    engine = Balanced([False] * 9)
    with pytest.raises(Unreachable) as caught:
        engine.create("configs", SPEC)
    assert caught.value.code == "UCP-GATEWAY"
    assert engine.lost == [False] * 5


def test_an_election_is_waited_for_by_time() -> None:
    engine = Balanced([False] * 50, _no_leader)
    assert engine.create("configs", SPEC)
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        if len(asked) < 20:
            raise _no_leader()
        return "led"

    assert patience.ask(ask, patience.Tries(led=True)) == "led"


def test_a_leader_that_does_not_come_back_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ELECTION_SECONDS", 0.05)
    engine = Balanced([False] * 100_000, _no_leader)
    with pytest.raises(Unreachable) as caught:
        engine.create("configs", SPEC)
    assert caught.value.code == "NO-LEADER"


def test_a_swarm_that_never_had_a_leader_is_not_waited_for() -> None:
    engine = Balanced([False] * 2, _no_leader, led=False)
    with pytest.raises(Unreachable):
        engine.create("configs", SPEC)
    assert engine.lost == [False]


def _answers(*given: int | Exception) -> tuple[Any, list[int]]:
    left: Iterator[int | Exception] = iter(given)
    sent: list[int] = []

    def send() -> requests.Response:
        sent.append(1)
        one = next(left)
        if isinstance(one, Exception):
            raise one
        answer = requests.Response()
        answer.status_code = one
        return answer

    return send, sent


def test_only_what_was_cut_is_asked_again_and_only_what_may_be() -> None:
    send, sent = _answers(504, CUT, requests.ReadTimeout(), 200)
    assert patience.asked(send, again=True).status_code == 200
    assert len(sent) == 4
    for answer in (503, 500, 404, 200):
        send, sent = _answers(answer)
        assert patience.asked(send, again=True).status_code == answer
    send, sent = _answers(504, 200)
    assert patience.asked(send, again=False).status_code == 504
    send, sent = _answers(REFUSED, 200)
    with pytest.raises(requests.ConnectionError):
        patience.asked(send, again=True)
    assert len(sent) == 1
