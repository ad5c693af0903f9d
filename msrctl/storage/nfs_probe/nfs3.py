"""NFS version 3 with its portmapper and mount protocol (RFC 1813, RFC 1833)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msrctl.storage.nfs_probe import report
from msrctl.storage.nfs_probe.directory import ACCESS_ALL, Directory, Rights
from msrctl.storage.nfs_probe.rpc import Connection, NotServedError, ProbeError, Reader, opaque, uints

if TYPE_CHECKING:
    from msrctl.storage.nfs_probe.rpc import Deadline

PORTMAPPER_PORT = 111
PORTMAPPER, PORTMAPPER_VERSION, GETPORT = 100000, 2, 3
TCP = 6
MOUNT, MOUNT_VERSION = 100005, 3
MNT, UMNT, EXPORTS = 1, 3, 5
NFS, NFS_VERSION = 100003, 3
GETATTR, ACCESS, REMOVE = 1, 4, 12
MOUNT_STATUS = {
    1: "PERM",
    2: "NOENT",
    5: "IO",
    13: "ACCES",
    20: "NOTDIR",
    22: "INVAL",
    63: "NAMETOOLONG",
    10004: "NOTSUPP",
    10006: "SERVERFAULT",
}
ROFS, JUKEBOX = 30, 10008
DIRECTORY_TYPE = 2
ATTRIBUTES_LENGTH = 84
MAXIMUM_LIST = 1000


@dataclass(frozen=True)
class Export:
    """An entry of the server's list of exports: a directory, and whom it is for (nobody named: everybody)."""

    path: str
    clients: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path} ({', '.join(self.clients) or 'everybody'})"


def served(connection: Connection) -> bool:
    """Whether a server on the port of NFS serves version 3."""
    try:
        connection.call(NFS, NFS_VERSION, 0)
    except NotServedError:
        return False
    return True


def mount_port(address: str, deadline: Deadline) -> int:
    """The TCP port of the server's mount service, from its portmapper.

    Raises:
        ProbeError: the portmapper does not answer, or knows no mount service.
    """
    with Connection(address, PORTMAPPER_PORT, deadline) as portmapper:
        arguments = uints(MOUNT, MOUNT_VERSION, TCP, 0)
        port = portmapper.call(PORTMAPPER, PORTMAPPER_VERSION, GETPORT, arguments).uint()
    if not port:
        raise ProbeError(report.VERSION, "knows no mount service for NFS 3 over TCP")
    return port


def exports(address: str, port: int, deadline: Deadline) -> tuple[Export, ...]:
    """The server's list of exports, as `showmount -e` prints it.

    Raises:
        ProbeError: the mount service does not answer.
    """
    with Connection(address, port, deadline) as mount:
        answer = mount.call(MOUNT, MOUNT_VERSION, EXPORTS)
    found: list[Export] = []
    while answer.uint() and len(found) < MAXIMUM_LIST:
        path = _text(answer)
        clients: list[str] = []
        while answer.uint():
            clients.append(_text(answer))
        found.append(Export(path, tuple(clients)))
    return tuple(sorted(found, key=lambda export: export.path))


def _text(answer: Reader) -> str:
    return answer.opaque().decode(errors="replace")


def directory(connection: Connection, address: str, path: str, port: int, deadline: Deadline) -> Directory:
    """What the server says about an exported directory.

    Arguments:
        connection: to the server's NFS port.
        address: of the server.
        path: as exported.
        port: of its mount service.
        deadline: for the mount service.

    Raises:
        ProbeError: PRE-NFS-EXPORT, -NOT-DIRECTORY, -DENIED.
    """
    handle = opaque(_mount(address, path, port, deadline))
    answer = _call(connection, GETATTR, handle)
    if answer.uint() != DIRECTORY_TYPE:
        raise ProbeError(report.NOT_DIRECTORY, "is not a directory")
    answer = _call(connection, ACCESS, handle + uints(ACCESS_ALL))
    if answer.uint():  # attributes follow
        answer.fixed(ATTRIBUTES_LENGTH)
    rights = Rights(answer.uint())
    if rights.write:
        return Directory(rights)
    # Removing a name that does not exist changes nothing, and says why nothing may be changed.
    name = f".msrctl-probe-{os.urandom(8).hex()}".encode()
    status = connection.call(NFS, NFS_VERSION, REMOVE, handle + opaque(name)).uint()
    return Directory(rights, read_only=status == ROFS)


def _mount(address: str, path: str, port: int, deadline: Deadline) -> bytes:
    with Connection(address, port, deadline) as mount:
        answer = mount.call(MOUNT, MOUNT_VERSION, MNT, opaque(path.encode()))
        status = answer.uint()
        if status:
            raise _explain(status)
        handle = answer.opaque()
        mount.call(MOUNT, MOUNT_VERSION, UMNT, opaque(path.encode()))
    return handle


def _explain(status: int) -> ProbeError:
    name = f"MNT3ERR_{MOUNT_STATUS.get(status, status)}"
    if status == 2:
        return ProbeError(report.EXPORT, f"does not exist on the server ({name})")
    if status == 13:
        return ProbeError(report.EXPORT, f"is not exported to this node ({name})")
    if status == 20:
        return ProbeError(report.NOT_DIRECTORY, f"is not a directory ({name})")
    if status == 1:
        return ProbeError(report.DENIED, f"may not be used by this node ({name})")
    return ProbeError(report.MOUNT, f"cannot be mounted ({name})")


def _call(connection: Connection, procedure: int, arguments: bytes) -> Reader:
    while True:
        answer = connection.call(NFS, NFS_VERSION, procedure, arguments)
        status = answer.uint()
        if not status:
            return answer
        if status != JUKEBOX:
            raise ProbeError(report.DENIED, f"may not be used by this node (NFS3ERR {status})")
        connection.pause()
