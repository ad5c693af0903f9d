"""A small NFS server for the probe's tests: it speaks as much of NFS 3 and 4 as is asked, or misbehaves."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

from msrctl.storage.nfs_probe import nfs3, nfs4
from msrctl.storage.nfs_probe.directory import ACCESS_ALL, LOOKUP, READ
from msrctl.storage.nfs_probe.rpc import Reader, opaque, uints

if TYPE_CHECKING:
    from collections.abc import Callable

READ_ONLY = READ | LOOKUP
NOENT, ACCES, NOTDIR, ROFS, DELAY, MISMATCH, NOT_IN_SESSION = 2, 13, 20, 30, 10008, 10021, 10071
SESSION, CLIENT = b"s" * 16, b"c" * 8


@dataclass
class FakeNfs:
    """What the server serves; all programs on one port.

    Attributes:
        minors: minor versions of NFS 4; none: no NFS 4.
        v3: whether it serves NFS 3.
        mountd: whether its portmapper knows a mount service.
        directories: path -> what ACCESS grants there.
        types: path -> file type, where it is no directory.
        listed: what the list of exports has, with clients.
        status: path -> the status that looking it up (4) or mounting it (3) gives.
        removal: the status of REMOVE.
        delays: how often it asks to try again later.
        raw: answers these bytes to whatever comes, and closes; None: it speaks NFS.
        silent: accepts and says nothing.
        calls: (program, version, procedure) of every call.
    """

    minors: tuple[int, ...] = (0, 1, 2)
    v3: bool = True
    mountd: bool = True
    directories: dict[str, int] = field(default_factory=lambda: {"/images": ACCESS_ALL})
    types: dict[str, int] = field(default_factory=dict)
    listed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    removal: int = ACCES
    delays: int = 0
    raw: bytes | None = None
    silent: bool = False
    rpc_error: bytes | None = None
    calls: list[tuple[int, int, int]] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        fake = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                serve(fake, self.request.recv, self.request.sendall)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            block_on_close: ClassVar[bool] = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # -- programs

    def answer(self, program: int, version: int, procedure: int, arguments: Reader) -> bytes | None:
        """The result of a call; None: the program is not served in this version."""
        self.calls.append((program, version, procedure))
        if program == nfs3.PORTMAPPER:
            return uints(self.port if self.mountd else 0)
        if program == nfs3.MOUNT:
            return self._mount(procedure, arguments)
        if version == 4:
            return None if not self.minors else b"" if procedure == 0 else self._compound(arguments)
        if version == 3 and self.v3:
            return b"" if procedure == 0 else self._nfs3(procedure, arguments)
        return None

    def _mount(self, procedure: int, arguments: Reader) -> bytes:
        if procedure == nfs3.EXPORTS:
            return b"".join(self._entry(path, clients) for path, clients in self.listed.items()) + uints(0)
        path = arguments.opaque().decode()
        if procedure == nfs3.UMNT:
            return b""
        status = self.status.get(path, 0 if path in self.directories else ACCES)
        return uints(status) if status else uints(0) + opaque(path.encode()) + uints(1, 1)

    def _entry(self, path: str, clients: tuple[str, ...]) -> bytes:
        names = b"".join(uints(1) + opaque(name.encode()) for name in clients)
        return uints(1) + opaque(path.encode()) + names + uints(0)

    def _nfs3(self, procedure: int, arguments: Reader) -> bytes:
        path = arguments.opaque().decode()
        if self.delays:
            self.delays -= 1
            return uints(DELAY)
        if procedure == nfs3.GETATTR:
            return uints(0, self.types.get(path, 2)) + bytes(80)
        if procedure == nfs3.ACCESS:
            return uints(0, 1) + bytes(nfs3.ATTRIBUTES_LENGTH) + uints(self.directories[path])
        return uints(self.removal, 0, 0)

    def _compound(self, arguments: Reader) -> bytes:
        arguments.opaque()
        minor, count = arguments.uint(), arguments.uint()
        if minor not in self.minors:
            return uints(MISMATCH) + opaque(b"") + uints(0)
        state = Walk(self, minor)
        results = b""
        for number in range(1, count + 1):
            operation = arguments.uint()
            status, result = state.run(operation, arguments)
            results += uints(operation, status) + result
            if status:
                return uints(status) + opaque(b"") + uints(number) + results
        return uints(0) + opaque(b"") + uints(count) + results


class Walk:
    """One COMPOUND."""

    def __init__(self, fake: FakeNfs, minor: int) -> None:
        self.fake = fake
        self.path = ""
        self.in_session = minor == 0

    def run(self, operation: int, arguments: Reader) -> tuple[int, bytes]:
        """One operation: its status, and its result if that is 0."""
        if operation in {nfs4.DESTROY_SESSION, nfs4.DESTROY_CLIENTID}:
            arguments.fixed(16 if operation == nfs4.DESTROY_SESSION else 8)
            return 0, b""
        if operation == nfs4.EXCHANGE_ID:
            return 0, CLIENT + uints(7) + uints(0, 0) + bytes(8) + opaque(b"fake") * 2 + uints(0)
        if operation == nfs4.CREATE_SESSION:
            self.fake.sequences.clear()
            return 0, SESSION + uints(7, 0) + nfs4.CHANNEL * 2
        if operation == nfs4.SEQUENCE:
            assert arguments.fixed(16) == SESSION
            self.fake.sequences.append(arguments.uint())
            assert len(set(self.fake.sequences)) == len(self.fake.sequences)
            arguments.fixed(12)
            self.in_session = True
            return 0, SESSION + uints(self.fake.sequences[-1], 0, 0, 0, 0)
        if not self.in_session:
            return NOT_IN_SESSION, b""
        return self._file(operation, arguments)

    def _file(self, operation: int, arguments: Reader) -> tuple[int, bytes]:
        if operation == nfs4.PUTROOTFH:
            return 0, b""
        if operation == nfs4.LOOKUP:
            self.path += "/" + arguments.opaque().decode()
            if self.fake.delays:
                self.fake.delays -= 1
                return DELAY, b""
            known = any(f"{path}/".startswith(f"{self.path}/") for path in self.fake.directories)
            return self.fake.status.get(self.path, 0 if known else NOENT), b""
        if operation == nfs4.GETATTR:
            arguments.bitmap()
            return 0, uints(1, 2) + opaque(uints(self.fake.types.get(self.path, 2)))
        if operation == nfs4.ACCESS:
            arguments.uint()
            return 0, uints(ACCESS_ALL, self.fake.directories.get(self.path, READ_ONLY))
        assert arguments.opaque().startswith(b".msrctl-probe-")
        return self.fake.removal, b""


def serve(fake: FakeNfs, receive: Callable[[int], bytes], send: Callable[[bytes], None]) -> None:
    """One connection, to its end."""
    while header := receive(4):
        body = b""
        length = int.from_bytes(header) & 0x7FFFFFFF
        while len(body) < length:
            body += receive(length - len(body))
        if fake.silent:
            continue
        if fake.raw is not None:
            send(fake.raw)
            return
        call = Reader(body)
        xid = call.uint()
        call.fixed(8)
        program, version, procedure = call.uint(), call.uint(), call.uint()
        for _ in range(2):  # credential and verifier
            call.uint()
            call.opaque()
        result = fake.answer(program, version, procedure, call)
        accepted = uints(0, 0, 0)
        reply = accepted + uints(0) + result if result is not None else accepted + uints(2, 3, 4)
        if fake.rpc_error is not None and procedure:
            reply = fake.rpc_error
        reply = uints(xid, 1) + reply
        half = len(reply) // 2  # in two fragments, as the standard allows
        send(uints(half) + reply[:half] + uints(0x80000000 | len(reply) - half) + reply[half:])
