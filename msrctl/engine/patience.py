"""Requests whose answer got lost are made again, and what they were to make is looked for first.

Answers get lost behind a load balancer that cuts long requests, and while the managers of a swarm elect
another leader."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from msrctl.engine.protocol import Conflict, OutOfSequence
from msrctl.errors import MsrctlError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from msrctl.engine.protocol import JSON, Engine, Kind

GATEWAY = frozenset({502, 504})
"""Answers of a balancer that got none from the controller; 503 is the engine's own for "no leader"."""
PAUSES = (0.5, 1.0, 2.0)
BUDGET_SECONDS = 60.0
"""No further try is begun after this."""
GATEWAY_CODE = "UCP-GATEWAY"

NO_LEADER = "NO-LEADER"
ELECTION_SECONDS = 60.0
"""No further try is begun after this. An engine itself waits 20 s for a leader; elections took 13 to 31 s on
two processors."""
ELECTION_PAUSE = 1.0


def asked(send: Callable[[], requests.Response], *, again: bool) -> requests.Response:
    """An answer; one that was cut is asked for again.

    Arguments:
        send: sends the request and reads the answer.
        again: whether the request may be sent twice.

    Raises:
        requests.RequestException, OSError: there is no answer.
    """
    import requests

    began = time.monotonic()
    for pause in PAUSES if again else ():
        try:
            answer = send()
            if answer.status_code not in GATEWAY:
                return answer
        except requests.RequestException as error:
            if not _was_cut(error):
                raise
        if time.monotonic() - began > BUDGET_SECONDS:
            break
        time.sleep(pause)
    return send()


def gateway_fault(status: int, *, doing: str, endpoint: str) -> Unreachable:
    """The error for an answer that a balancer gave in the controller's place."""
    return Unreachable(
        f"{doing}: a load balancer in front of {endpoint} got no answer in time (HTTP {status})",
        code=GATEWAY_CODE,
        hint="Give the address of a controller itself in --ucp-url, or give the balancer longer time-outs.",
    )


class Tries:
    """The further tries that one request gets.

    Arguments:
        balanced: whether a balancer may stand in between: what it cuts, and what does not answer, is tried
            again after each of `PAUSES`.
        led: whether the swarm had a leader before (`Engine.expect_leader`): then it is given the time to
            elect another one. One that never had any is not waited for.
    """

    def __init__(self, *, balanced: bool = False, led: bool = False) -> None:
        self._balanced = balanced
        self._led = led
        self._pauses = iter(PAUSES)
        self._until = time.monotonic() + ELECTION_SECONDS

    def again(self, error: MsrctlError) -> bool:
        """Waits before another try; False if there is none to be made after this error.

        After these errors nobody knows whether the request was carried out.
        """
        pause: float | None = None
        if self._led and error.code == NO_LEADER and time.monotonic() < self._until:
            pause = ELECTION_PAUSE
        elif self._balanced and isinstance(error, Unreachable) and error.code in {GATEWAY_CODE, "NO-ENGINE"}:
            pause = next(self._pauses, None)
        if pause is None:
            return False
        time.sleep(pause)
        return True


T = TypeVar("T")


def ask(once: Callable[[], T], tries: Tries) -> T:
    """An answer to a question, which may be asked again."""
    while True:
        try:
            return once()
        except Unreachable as error:
            if not tries.again(error):
                raise


def create(engine: Engine, once: Callable[[], str], kind: Kind, spec: JSON, tries: Tries) -> str:
    """Creates an object, also if the answer gets lost: what is there then and is ours, is what was made.

    Arguments:
        engine: to look for the object.
        once: sends the request once; returns the id.
        kind: the object's kind.
        spec: its body.
        tries: how often.
    """
    lost = False
    while True:
        try:
            return once()
        except Conflict:
            if lost and (ident := _made(engine, kind, spec)):
                return ident
            raise
        except Unreachable as error:
            if not tries.again(error):
                raise
        lost = True
        if ident := _made(engine, kind, spec):
            return ident


def update(
    engine: Engine, once: Callable[[], None], kind: Kind, version: int, sent: JSON, tries: Tries
) -> None:
    """Updates an object, also if the answer gets lost: a later version that has what was sent, is it.

    Arguments:
        engine: to look at the object.
        once: sends the request once.
        kind: the object's kind.
        version: which version it was sent for.
        sent: the body of the request, with ids.
        tries: how often.
    """
    lost = False
    while True:
        try:
            return once()
        except OutOfSequence:
            if lost and _updated(engine, kind, version, sent):
                return None
            raise
        except Unreachable as error:
            if not tries.again(error):
                raise
        lost = True
        if _updated(engine, kind, version, sent):
            return None


def remove(once: Callable[[], bool], tries: Tries) -> bool:
    """Removes an object, also if the answer gets lost: then it may be gone already."""
    lost = False
    while True:
        try:
            return once() or lost
        except Unreachable as error:
            if not tries.again(error):
                raise
            lost = True


def _made(engine: Engine, kind: Kind, spec: JSON) -> str:
    """Id of the object that is there, if it is the one of this body; a lock of somebody else is not."""
    found = engine.find(kind, spec["Name"])
    if found is None:
        return ""
    has: JSON = found.get("Spec", found)
    same = (has.get("Labels") or {}) == (spec.get("Labels") or {})
    if kind == "configs":
        same = same and has.get("Data") == spec.get("Data")
    if not same:
        raise Conflict(409, f"{spec['Name']} is there already, and it is another", f"create {spec['Name']}")
    return str(found.get("ID") or found.get("Id") or found["Name"])


def _updated(engine: Engine, kind: Kind, version: int, sent: JSON) -> bool:
    """Whether an object has a later version than this one, with all that was sent."""
    found = engine.find(kind, sent["Name"])
    return bool(found and found["Version"]["Index"] != version and _includes(found["Spec"], sent))


def _includes(has: Any, wanted: Any) -> bool:
    """Whether data of the engine have all that was sent; it adds defaults and leaves out what is empty."""
    if isinstance(wanted, dict):
        return isinstance(has, dict) and all(
            _includes(has.get(key), item) for key, item in wanted.items() if item not in (None, "", [], {}, 0)
        )
    if isinstance(wanted, list):
        return (
            isinstance(has, list)
            and len(has) == len(wanted)
            and all(_includes(one, other) for one, other in zip(has, wanted, strict=True))
        )
    return bool(has == wanted)


def _was_cut(error: requests.RequestException) -> bool:
    """Whether a connection that stood was cut, rather than none made."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ReadTimeout):
        return True
    inner = error.args[0] if error.args else None
    return isinstance(inner, urllib3.exceptions.ProtocolError | urllib3.exceptions.ReadTimeoutError)
