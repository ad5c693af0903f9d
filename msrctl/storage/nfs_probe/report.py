"""What a probe of an NFS export found: checks in order, each with its own code and remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

RESOLVE = "PRE-NFS-RESOLVE"
UNREACHABLE = "PRE-NFS-UNREACHABLE"
TIMEOUT = "PRE-NFS-TIMEOUT"
REFUSED = "PRE-NFS-REFUSED"
NOT_NFS = "PRE-NFS-NOT-NFS"
VERSION = "PRE-NFS-VERSION"
EXPORT = "PRE-NFS-EXPORT"
NOT_DIRECTORY = "PRE-NFS-NOT-DIRECTORY"
DENIED = "PRE-NFS-DENIED"
SECURITY = "PRE-NFS-SECURITY"
READ_ONLY = "PRE-NFS-READ-ONLY"
ROOT_SQUASH = "PRE-NFS-ROOT-SQUASH"
OPTIONS = "PRE-NFS-OPTIONS"
KERNEL = "PRE-NFS-KERNEL"
STALE = "PRE-NFS-STALE"
MOUNT = "PRE-NFS-MOUNT"

GONE = frozenset({RESOLVE, UNREACHABLE, TIMEOUT, REFUSED})
"""No server answers there."""


@dataclass(frozen=True)
class NfsCheck:
    """One check: what it was about, whether it passed, what was seen, and what to do if it failed."""

    title: str
    ok: bool
    detail: str = ""
    code: str = ""
    hint: str = ""


@dataclass(frozen=True)
class NfsReport:
    """All that was seen of an export, from the machine (and network namespace) that ran the probe.

    Attributes:
        host: the server as it was named.
        export: the exported directory.
        checks: in order; the first that fails is the last.
        address: the server's address that was asked; "" if the name does not resolve.
        client: this machine's own address towards it; "" if there was no connection.
        served: the versions that the server serves, newest first.
        version: the version to mount with, None if a check failed.
        exports: what the server lists as exported, with its clients; empty if it gives no list.
        seconds: how long it took.
    """

    host: str
    export: str
    checks: tuple[NfsCheck, ...]
    address: str = ""
    client: str = ""
    served: tuple[str, ...] = ()
    version: str | None = None
    exports: tuple[str, ...] = field(default=())
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    @property
    def failed(self) -> NfsCheck | None:
        """The check that failed, or None."""
        return next((check for check in self.checks if not check.ok), None)

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON object, with ``ok`` in it."""
        return {"ok": self.ok, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> NfsReport:
        """Reads what `to_json` wrote, also after it went through JSON; keys it does not know are ignored."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        known["checks"] = tuple(NfsCheck(**check) for check in data["checks"])
        for name in ("served", "exports"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)
