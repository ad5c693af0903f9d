"""Checks an NFS export in order: name, port, versions, export, rights. Nothing is mounted or changed."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msrctl.storage.nfs_probe import hints, nfs3, nfs4, report
from msrctl.storage.nfs_probe.report import NfsCheck, NfsReport
from msrctl.storage.nfs_probe.rpc import Connection, Deadline, NotServedError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msrctl.storage.nfs_probe.directory import Directory

PORT = 2049
VERSIONS = ("4.2", "4.1", "4.0", "3")
"""Best first."""
TIMEOUT = 4.0
LISTED = 5


def probe(
    host: str,
    export: str,
    *,
    versions: Sequence[str] = VERSIONS,
    timeout: float = TIMEOUT,
    port: int = PORT,
) -> NfsReport:
    """What a mount of an export from this machine would meet; takes at most twice the time-out.

    The measure is what the kernel's client does as root (user 0), asked from a reserved port where this
    process may use one. Sources: RFC 7530, 8881, 1813; behaviour of Linux servers as measured in tests/e2e.

    Arguments:
        host: name or address of the server.
        export: absolute path of the exported directory.
        versions: those that would do, best first; of `VERSIONS`.
        timeout: seconds for each connection and answer.
        port: of the server.
    """
    return _Probe(host, export, tuple(versions), timeout, port).run()


class _CheckFailedError(Exception):
    """A check failed, and those after it make no sense."""


class _Probe:
    def __init__(self, host: str, export: str, versions: tuple[str, ...], timeout: float, port: int) -> None:
        self.host = host
        self.export = export
        self.versions = versions
        self.port = port
        self.deadline = Deadline(2 * timeout, timeout)
        self.checks: list[NfsCheck] = []
        self.address = self.client = ""
        self.served: tuple[str, ...] = ()
        self.version: str | None = None
        self.exports: tuple[nfs3.Export, ...] = ()

    def run(self) -> NfsReport:
        begun = time.monotonic()
        try:
            self._run()
        except _CheckFailedError:
            self.version = None
        return NfsReport(
            host=self.host,
            export=self.export,
            checks=tuple(self.checks),
            address=self.address,
            client=self.client,
            served=self.served,
            version=self.version,
            exports=tuple(str(export) for export in self.exports),
            seconds=round(time.monotonic() - begun, 3),
        )

    def _run(self) -> None:
        with self._checking(f"name {self.host}"):
            self.address = resolve(self.host, self.deadline)
        if self.address != self.host:
            self._passed(f"name {self.host}", f"resolves to {self.address}")
        title = f"port {self.port} of {self.host}"
        with self._checking(title):
            connection = Connection(self.address, self.port, self.deadline)
        with connection:
            self.client = connection.client
            with self._checking(title):
                minors = nfs4.minor_versions(connection)
                self.served = tuple(f"4.{minor}" for minor in minors)
                self.served += ("3",) if nfs3.served(connection) else ()
                if not self.served:
                    raise ProbeError(report.NOT_NFS, "answers, but serves no NFS")
            self._passed(title, f"answers: NFS {', '.join(self.served)}")
            self._check_export(connection)

    # -- the checks after the port's

    def _check_export(self, connection: Connection) -> None:
        candidates = [version for version in self.versions if version in self.served]
        if not candidates:
            asked = ", ".join(self.versions)
            with self._checking(f"NFS {asked}"):
                raise ProbeError(report.VERSION, f"is not served, only {', '.join(self.served)}")
        self.version = candidates[0]
        title = f"export {self.export}"
        with self._checking(title):
            directory = self._directory(connection, candidates)
            if directory.read_only:
                self._refuse_pseudo_directory()
        self._passed(title, f"is there for {self.client}, by NFS {self.version}")
        title = f"rights of root in {self.export}"
        with self._checking(title):
            self._check_rights(directory)
        self._passed(title, "are to read and write")

    def _directory(self, connection: Connection, candidates: list[str]) -> Directory:
        try:
            return self._ask(connection, candidates[0])
        except ProbeError as error:
            if error.code != report.EXPORT:
                raise
            # Under version 4 a directory can have another path than under 3, counted from the server's root.
            if candidates[0] != "3" and "3" in candidates:
                try:
                    directory = self._ask(connection, "3")
                except (ProbeError, _CheckFailedError):
                    pass
                else:
                    self.version = "3"
                    return directory
            raise self._refined(error) from error

    def _ask(self, connection: Connection, version: str) -> Directory:
        if version != "3":
            return nfs4.directory(connection, self.export, int(version.removeprefix("4.")))
        try:
            port = nfs3.mount_port(self.address, self.deadline)
        except ProbeError as error:
            raise ProbeError(error.code, f"cannot be asked for: the portmapper, port 111, {error}") from error
        return nfs3.directory(connection, self.address, self.export, port, self.deadline)

    def _check_rights(self, directory: Directory) -> None:
        if not directory.rights.read:
            raise ProbeError(report.DENIED, "are none: reading is refused")
        if directory.rights.write:
            return
        if directory.read_only:
            raise ProbeError(report.READ_ONLY, "are to read only: it is exported read-only")
        raise ProbeError(
            report.ROOT_SQUASH, "are to read only: the server turns root into another user (root_squash)"
        )

    def _refuse_pseudo_directory(self) -> None:
        """Above its exports a server of version 4 shows directories that only lead to them."""
        self._list_exports()
        listed = [export.path for export in self.exports]
        below = [path for path in listed if path.startswith(f"{self.export.rstrip('/')}/")]
        if below and self.export not in listed:
            raise ProbeError(report.EXPORT, f"is no export itself, it only leads to {_some(below)}")

    def _refined(self, error: ProbeError) -> ProbeError:
        """What the list of exports, if the server gives one, adds to "not exported"."""
        self._list_exports()
        if not self.exports:
            return error
        for export in self.exports:
            if export.path == self.export:
                others = _some(export.clients) if export.clients else "everybody"
                return ProbeError(error.code, f"is not exported to {self.client}, but to {others}")
        paths = _some([export.path for export in self.exports])
        return ProbeError(error.code, f"is not exported; {self.host} exports {paths}")

    def _list_exports(self) -> None:
        if self.exports:
            return
        try:
            port = nfs3.mount_port(self.address, self.deadline)
            self.exports = nfs3.exports(self.address, port, self.deadline)
        except (ProbeError, NotServedError):
            return  # servers of version 4 need not give a list, and a firewall may hide it

    # -- keeping the record

    def _passed(self, title: str, detail: str) -> None:
        self.checks.append(NfsCheck(title, ok=True, detail=detail))

    @contextmanager
    def _checking(self, title: str) -> Iterator[None]:
        try:
            yield
        except ProbeError as error:
            self._failed(title, error)
        except NotServedError:
            self._failed(title, ProbeError(report.NOT_NFS, "answers, but not as NFS does"))

    def _failed(self, title: str, error: ProbeError) -> None:
        if error.code == report.REFUSED and self.served:
            remedy = hints.PORTMAPPER_REFUSED.format(host=self.host)
        else:
            remedy = hints.hint(
                error.code, host=self.host, export=self.export, client=self.client, port=self.port
            )
        self.checks.append(NfsCheck(title, ok=False, detail=error.detail, code=error.code, hint=remedy))
        raise _CheckFailedError from error


def resolve(host: str, deadline: Deadline) -> str:
    """The address that the engine would use: the first of version 4, or else the first of version 6.

    Raises:
        ProbeError: PRE-NFS-RESOLVE, there is none, or no name server answers in time.
    """
    found: list[str] = []
    trouble = ["no name server answers in time"]

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            trouble[0] = (getattr(error, "strerror", None) or str(error)).lower()
            return
        infos.sort(key=lambda info: info[0] != socket.AF_INET)
        found.extend(str(info[4][0]) for info in infos)

    # The system's resolver knows no time limit of ours; it is left behind when it is too slow.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if not found:
        raise ProbeError(report.RESOLVE, f"does not resolve: {trouble[0]}")
    return found[0]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
