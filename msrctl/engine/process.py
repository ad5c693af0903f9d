"""Who a msrctl is, written down so that another one on the same host can prove it dead."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process, and what it takes to recognise it.

    Arguments:
        who: ``user@host``.
        pid: its number, in its own process namespace.
        started: start time in clock ticks since boot: it tells a reused pid (proc(5), stat, field 22).
        boot: the kernel's boot id, the same in all containers of a host; new after a reboot.
        namespace: the process namespace; a pid means nothing in another one.
        machine: the machine id, empty in most containers.
    """

    who: str
    pid: int
    started: int | None
    boot: str
    namespace: str
    machine: str

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Process | None:
        """A process from `to_json`; None if the data are not one (written by hand, or by a later version)."""
        try:
            return cls(
                str(data["who"]),
                int(data["pid"]),
                None if data["started"] is None else int(data["started"]),
                str(data["boot"]),
                str(data["namespace"]),
                str(data["machine"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(
        f"{_user()}@{socket.gethostname()}",
        pid,
        _started(pid),
        _text(_PROC / "sys/kernel/random/boot_id"),
        _link(_PROC / "self/ns/pid"),
        _text(Path("/etc/machine-id")),
    )


def is_provably_dead(process: Process, here: Process) -> bool:
    """Whether a process surely runs no more, as seen from `here`; False also when nobody can tell.

    Arguments:
        process: the one in question.
        here: `this_process()`.
    """
    if process.boot != here.boot:
        # The same machine with another boot id has been rebooted since. Host names are not proof of sameness.
        return bool(process.boot and process.machine) and process.machine == here.machine
    if not process.boot or not process.namespace or process.namespace != here.namespace:
        return False
    return process.started is not None and _started(process.pid) != process.started


def _started(pid: int) -> int | None:
    """Start time of a process that runs; None if there is none, or only its remains (a zombie)."""
    # The second field, the command in parentheses, may hold spaces and parentheses itself.
    state, *fields = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split() or ["X"]
    return None if state in "ZX" else int(fields[18])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without an entry in /etc/passwd
        return f"uid{os.getuid()}"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
