"""NFS version 4 (RFC 7530, RFC 8881): what a server says about a directory, without mounting it.

One COMPOUND of PUTROOTFH, LOOKUP, GETATTR, ACCESS. In minor version 0 it needs no client id; the later ones
need a session, which is made and destroyed again.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from msrctl.storage.nfs_probe import report
from msrctl.storage.nfs_probe.directory import ACCESS_ALL, Directory, Rights
from msrctl.storage.nfs_probe.rpc import Connection, NotServedError, ProbeError, Reader, opaque, uints

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = 100003
COMPOUND = 1

# Operations
ACCESS, GETATTR, LOOKUP, PUTROOTFH, REMOVE = 3, 9, 15, 24, 28
EXCHANGE_ID, CREATE_SESSION, DESTROY_SESSION, SEQUENCE, DESTROY_CLIENTID = 42, 43, 44, 53, 57

# Status
OK, PERM, NOENT, ACCES, NOTDIR, ROFS = 0, 1, 2, 13, 20, 30
DELAY, WRONGSEC, MINOR_VERS_MISMATCH, SYMLINK = 10008, 10016, 10021, 10029
NAMES = {
    1: "PERM",
    2: "NOENT",
    5: "IO",
    13: "ACCES",
    20: "NOTDIR",
    30: "ROFS",
    63: "NAMETOOLONG",
    70: "STALE",
    10004: "NOTSUPP",
    10006: "SERVERFAULT",
    10013: "GRACE",
    10016: "WRONGSEC",
    10018: "RESOURCE",
    10029: "SYMLINK",
    10036: "BADXDR",
    10040: "BADNAME",
}
ATTRIBUTE_TYPE = 1  # the bit's number
DIRECTORY_TYPE, LINK_TYPE = 2, 5

CHANNEL = uints(0, 65536, 65536, 4096, 100, 1, 0)  # CREATE_SESSION's channel attributes: one slot is enough


def minor_versions(connection: Connection) -> tuple[int, ...]:
    """The minor versions served, newest first; none if version 4 is not served."""
    served = []
    for minor in (2, 1, 0):
        try:
            status, _ = _compound_once(connection, minor, [uints(PUTROOTFH)])
        except NotServedError:
            return ()
        # Outside of a session the newer ones refuse the operation, and thereby say that they are there.
        if status != MINOR_VERS_MISMATCH:
            served.append(minor)
    return tuple(served)


def directory(connection: Connection, path: str, minor: int) -> Directory:
    """What the server says about a path from its root.

    Arguments:
        connection: to the server.
        path: absolute.
        minor: a minor version that is served.

    Raises:
        ProbeError: PRE-NFS-EXPORT, -NOT-DIRECTORY, -DENIED, -SECURITY.
    """
    with _session(connection, minor) as sequence:
        return _directory(connection, path, minor, sequence)


def _directory(connection: Connection, path: str, minor: int, sequence: _Sequence) -> Directory:
    names = [name.encode() for name in path.split("/") if name]
    walk = [uints(PUTROOTFH), *(uints(LOOKUP) + opaque(name) for name in names)]
    ask = [uints(GETATTR, 1, 1 << ATTRIBUTE_TYPE), uints(ACCESS, ACCESS_ALL)]
    status, results = _compound(connection, minor, [*walk, *ask], sequence)
    if status:
        # The last result is that of the operation that failed; the first of a walk is the root.
        done = len(results.statuses) - sequence.length - 1
        raise _explain(status, "/" + "/".join(name.decode() for name in names[:done]))
    if results.type == LINK_TYPE:
        raise ProbeError(report.NOT_DIRECTORY, "is a symbolic link, which NFS 4 does not follow")
    if results.type != DIRECTORY_TYPE:
        raise ProbeError(report.NOT_DIRECTORY, "is not a directory")
    rights = Rights(results.access)
    if rights.write:
        return Directory(rights)
    # Removing a name that does not exist changes nothing, and says why nothing may be changed.
    name = f".msrctl-probe-{os.urandom(8).hex()}".encode()
    status, _ = _compound(connection, minor, [*walk, uints(REMOVE) + opaque(name)], sequence)
    return Directory(rights, read_only=status == ROFS)


def _explain(status: int, place: str) -> ProbeError:
    name = f"NFS4ERR_{NAMES.get(status, status)}"
    if status == NOENT:
        return ProbeError(report.EXPORT, f"is not exported to this node ({name} at {place})")
    if status == SYMLINK:
        return ProbeError(report.EXPORT, f"goes through a symbolic link, {place}; NFS 4 does not follow it")
    if status == NOTDIR:
        return ProbeError(report.NOT_DIRECTORY, f"is not a directory ({name} at {place})")
    if status == WRONGSEC:
        return ProbeError(report.SECURITY, f"is exported with Kerberos only ({name} at {place})")
    if status in {ACCES, PERM}:
        return ProbeError(report.DENIED, f"may not be used by this node ({name} at {place})")
    return ProbeError(report.MOUNT, f"cannot be looked up ({name} at {place})")


# -- COMPOUND


class _Results:
    """The results of a COMPOUND, as far as they are of interest."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.type = 0
        self.access = 0
        self.client_id = b""
        self.sequence = 0
        self.session = b""

    def read(self, answer: Reader, count: int) -> None:
        """Reads results up to the first that failed."""
        for _ in range(count):
            operation, status = answer.uint(), answer.uint()
            self.statuses.append(status)
            if status:
                return
            self._read_one(operation, answer)

    def _read_one(self, operation: int, answer: Reader) -> None:
        if operation == GETATTR:
            answer.bitmap()
            self.type = Reader(answer.opaque()).uint()
        elif operation == ACCESS:
            answer.uint()
            self.access = answer.uint()
        elif operation == EXCHANGE_ID:
            self.client_id = answer.fixed(8)
            self.sequence = answer.uint()
        elif operation == CREATE_SESSION:
            self.session = answer.fixed(16)
        elif operation == SEQUENCE:
            answer.fixed(16 + 5 * 4)


def _compound(
    connection: Connection, minor: int, operations: list[bytes], sequence: _Sequence | None = None
) -> tuple[int, _Results]:
    while True:
        # Each try has a number of its own: for a number that it knows the server repeats its answer.
        first = sequence.next() if sequence else []
        status, results = _compound_once(connection, minor, [*first, *operations])
        if status != DELAY:
            return status, results
        connection.pause()


def _compound_once(connection: Connection, minor: int, operations: list[bytes]) -> tuple[int, _Results]:
    arguments = opaque(b"") + uints(minor, len(operations)) + b"".join(operations)
    answer = connection.call(PROGRAM, 4, COMPOUND, arguments)
    status = answer.uint()
    answer.opaque()  # the tag
    results = _Results()
    results.read(answer, answer.uint())
    return status, results


# -- sessions


class _Sequence:
    """Makes the operation that each COMPOUND of a session begins with; none in minor version 0."""

    def __init__(self, session: bytes = b"") -> None:
        self._session = session
        self._number = 0
        self.length = 1 if session else 0

    def next(self) -> list[bytes]:
        """The operation with the next number, in a list that is empty outside of a session."""
        if not self._session:
            return []
        self._number += 1
        return [uints(SEQUENCE) + self._session + uints(self._number, 0, 0, 0)]


@contextmanager
def _session(connection: Connection, minor: int) -> Iterator[_Sequence]:
    if minor == 0:
        yield _Sequence()
        return
    owner = os.urandom(8) + opaque(b"msrctl-probe-" + os.urandom(8).hex().encode())
    client = _must(connection, minor, uints(EXCHANGE_ID) + owner + uints(0, 0, 0))
    create = uints(CREATE_SESSION) + client.client_id + uints(client.sequence, 0) + CHANNEL * 2
    # No callback will come: its program number is one of those left to users, without credentials.
    session = _must(connection, minor, create + uints(0x40000000, 1, 0)).session
    try:
        yield _Sequence(session)
    finally:
        # A server forgets both by itself after its lease time; a failure here is nobody's concern.
        with suppress(ProbeError):
            _compound(connection, minor, [uints(DESTROY_SESSION) + session])
            _compound(connection, minor, [uints(DESTROY_CLIENTID) + client.client_id])


def _must(connection: Connection, minor: int, operation: bytes) -> _Results:
    status, results = _compound(connection, minor, [operation])
    if status:
        name = NAMES.get(status, str(status))
        raise ProbeError(report.MOUNT, f"does not open a session of NFS 4.{minor} (NFS4ERR_{name})")
    return results
