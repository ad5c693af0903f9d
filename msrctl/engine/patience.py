"""What a load balancer in front of a controller cuts is asked again, and what was cut is looked for first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

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


def is_lost(error: MsrctlError) -> bool:
    """Whether nobody knows if a request was carried out."""
    return isinstance(error, Unreachable) and error.code in {GATEWAY_CODE, "NO-ENGINE"}


def create(engine: Engine, once: Callable[[], str], kind: Kind, spec: JSON) -> str:
    """Creates an object, also if the answer gets lost: what is there then and is ours, is what was made.

    Arguments:
        engine: to look for the object.
        once: sends the request once; returns the id.
        kind: the object's kind.
        spec: its body.
    """
    for pause in PAUSES:
        try:
            return once()
        except Unreachable as error:
            if not is_lost(error):
                raise
        time.sleep(pause)
        if ident := _made(engine, kind, spec):
            return ident
    try:
        return once()
    except Conflict:
        if ident := _made(engine, kind, spec):
            return ident
        raise


def update(
    engine: Engine, once: Callable[[], None], kind: Kind, version: int, spec: Callable[[], JSON]
) -> None:
    """Updates an object, also if the answer gets lost: a later version that has what was sent, is it.

    Arguments:
        engine: to look at the object.
        once: sends the request once.
        kind: the object's kind.
        version: which version it was sent for.
        spec: gives what was sent, with ids.
    """
    lost = False
    for pause in (*PAUSES, None):
        try:
            return once()
        except (Unreachable, OutOfSequence) as error:
            if not (lost if isinstance(error, OutOfSequence) else is_lost(error)):
                raise
            lost = True
            sent = spec()
            found = engine.find(kind, sent["Name"])
            if found and found["Version"]["Index"] != version and _includes(found["Spec"], sent):
                return None
            if isinstance(error, OutOfSequence) or pause is None:
                raise
            time.sleep(pause)
    return None


def remove(once: Callable[[], bool]) -> bool:
    """Removes an object, also if the answer gets lost: then it may be gone already."""
    lost = False
    for pause in PAUSES:
        try:
            return once() or lost
        except Unreachable as error:
            if not is_lost(error):
                raise
            lost = True
            time.sleep(pause)
    return once() or lost


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
