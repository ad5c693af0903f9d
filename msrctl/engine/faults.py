"""Makes errors with a remedy out of what the engine answers and out of what connections raise."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, NamedTuple

from msrctl.bootstrapper import about_socket
from msrctl.engine.protocol import ApiError, Conflict, NotFound, OutOfSequence
from msrctl.errors import MsrctlError, Unreachable, WrongState

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING_CHANGED = "Nothing was changed."


class _Known(NamedTuple):
    """A message of the engine that has a remedy of its own."""

    part: str
    kind: type[MsrctlError]
    code: str
    message: str
    hint: str


# Parts of messages of Docker Engine 20.10 to 28.5 (moby: daemon/cluster/errors.go, swarm.go; swarmkit: raft).
# The order matters: "not a swarm manager" stands in several, the more precise ones come first.
_SWARM_FAULTS = (
    _Known(
        "Worker nodes can't be used",
        WrongState,
        "NOT-MANAGER",
        "the engine at {endpoint} is a worker of its swarm, and only managers can be asked",
        "Run msrctl on a manager, or set DOCKER_HOST to one (docker info on this node lists the managers).",
    ),
    _Known(
        "needs to be unlocked",
        WrongState,
        "SWARM-LOCKED",
        "the swarm of the engine at {endpoint} is locked",
        "Unlock it with docker swarm unlock, then run this again.",
    ),
    _Known(
        "certificates have expired",
        WrongState,
        "SWARM-EXPIRED",
        "the certificates of the swarm node at {endpoint} have expired",
        "Rejoin the node, or renew them with: docker swarm ca --rotate (on a manager that still works).",
    ),
    _Known(
        "not a swarm manager",
        WrongState,
        "NO-SWARM",
        "the engine at {endpoint} is in no swarm",
        "Make it one with: docker swarm init (msrctl install does so too), or connect to a manager.",
    ),
    _Known(
        "does not have a leader",
        Unreachable,
        "NO-LEADER",
        "the swarm of the engine at {endpoint} has no leader: more than half of its managers must be up",
        "Bring managers back (docker node ls shows them). What runs goes on running. If they are lost "
        "for good: msrctl emergency-repair on a node that has a replica.",
    ),
    *(
        # The same, for the first half minute after the managers have gone.
        _Known(
            part,
            Unreachable,
            "NO-LEADER",
            "the managers of the swarm of the engine at {endpoint} do not answer each other",
            "More than half of the managers must be up (docker node ls shows them); then run this again. If "
            "they are lost for good: msrctl emergency-repair on a node that has a replica.",
        )
        for part in (
            "code = DeadlineExceeded",
            "code = Unknown desc = context deadline exceeded",
            "code = Unavailable",
            "node lost leader status",
        )
    ),
    _Known(
        "live-restore",
        WrongState,
        "LIVE-RESTORE",
        "the engine at {endpoint} runs with live-restore, which swarm does not work with",
        'Take "live-restore" out of /etc/docker/daemon.json, restart the engine, run this again.',
    ),
)


def swarm_fault(code: str, endpoint: str, *, managers: str = "") -> MsrctlError:
    """What stands against working with the swarm of an engine, by its code (NOT-MANAGER, LIVE-RESTORE, ...).

    Arguments:
        code: one of those above.
        endpoint: the engine, in words.
        managers: addresses of the managers, where they are known.
    """
    known = next(k for k in _SWARM_FAULTS if k.code == code)
    if managers and code == "NOT-MANAGER":
        hint = f"Run msrctl on a manager ({managers}), or set DOCKER_HOST to one."
        known = known._replace(hint=hint)
    return _fault(known, endpoint)


def _fault(known: _Known, endpoint: str) -> MsrctlError:
    # Without a leader nobody knows: a change that timed out may still be agreed on later.
    state = NOTHING_CHANGED if known.kind is WrongState else None
    message = known.message.format(endpoint=endpoint)
    return known.kind(message, code=known.code, state=state, hint=known.hint)


_TAKEN = ("name conflicts", "already exists", "AlreadyExists")
_IN_USE = ("in use", "active endpoints")


def message_of(body: str) -> str:
    """The engine's message in the body of an answer: JSON with `message`, or plain text."""
    try:
        data = json.loads(body)
    except ValueError:
        return body.strip()
    return str(data.get("message", body)) if isinstance(data, dict) else body.strip()


def from_answer(status: int, body: str, *, doing: str, endpoint: str) -> MsrctlError:
    """The error for an answer with a status of 400 or more.

    Arguments:
        status: the HTTP status.
        body: the body as text; it goes into the error, so never call this with a request's own body.
        doing: what was asked, in words.
        endpoint: the engine, in words.
    """
    text = message_of(body) or f"HTTP {status}"
    if "update out of sequence" in text:
        return OutOfSequence(status, text, doing)
    for known in _SWARM_FAULTS:
        if status >= 400 and status != 404 and known.part in text:
            return _fault(known, endpoint)
    if status == 404:
        return NotFound(status, text, doing)
    # Taken names answer 409, or 500 when two clients create at once; things in use 400, 403 or 409.
    if status == 409 or any(part in text for part in (*_TAKEN, *_IN_USE)):
        return Conflict(status, text, doing)
    if status == 401:
        return Unreachable(
            f"{doing}: {endpoint} does not let this user in",
            code="NO-ACCESS",
            hint="Check the user and the password.",
        )
    return ApiError(status, text, doing)


def from_exception(error: BaseException, *, doing: str, endpoint: str) -> Unreachable:
    """The error for a connection that failed before there was an answer."""
    chain = list(_chain(error))
    system = next((e for e in chain if isinstance(e, OSError) and e.errno is not None), None)
    if system is not None and system.errno in {errno.EACCES, errno.EPERM}:
        return Unreachable(
            f"no permission to use the engine at {endpoint}",
            code="NO-PERMISSION",
            state=NOTHING_CHANGED,
            hint="Run msrctl as root (sudo), or put your user into the group docker and log in again: "
            "sudo usermod -aG docker $USER",
        )
    if any(isinstance(e, TimeoutError) or "timed out" in str(e) for e in chain):
        reason = "it did not answer in time"
    elif system is not None and system.strerror:
        reason = system.strerror[0].lower() + system.strerror[1:]
    else:
        reason = str(chain[-1]) or type(chain[-1]).__name__
    return Unreachable(
        f"{doing}: no engine answers at {endpoint} ({reason})",
        code="NO-ENGINE",
        hint="Start it (systemctl start docker), or name another one with DOCKER_HOST, docker context use, "
        "or --ucp-url." + about_socket(),
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it wraps; requests and urllib3 keep causes in `args` as well as `__cause__`."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        queue += [e for e in inner if isinstance(e, BaseException)]
