"""ONC RPC over TCP (RFC 5531) and XDR (RFC 4506): as much as it takes to question an NFS server."""

from __future__ import annotations

import errno
import random
import socket
import struct
import time
from contextlib import suppress
from typing import Self

from msrctl.storage.nfs_probe import report

RESERVED_PORTS = range(665, 1024)
RESERVED_TRIES = 20
PAUSE = 0.1
MAXIMUM_ANSWER = 1 << 20
AUTH_SYS, AUTH_NONE = 1, 0
CALL, REPLY, RPC_VERSION = 0, 1, 2
MSG_DENIED = 1
PROG_UNAVAIL, PROG_MISMATCH = 1, 2


class ProbeError(Exception):
    """A check failed.

    Arguments:
        code: one of the codes in `report`.
        detail: what was seen, in a few words that continue the check's title.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class NotServedError(Exception):
    """The server has the program, but not in this version, or not the program at all."""


class Deadline:
    """A point in time that several waits share.

    Arguments:
        seconds: from now.
        step: seconds that one wait may take at most.
    """

    def __init__(self, seconds: float, step: float) -> None:
        self._end = time.monotonic() + seconds
        self.step = step

    def left(self) -> float:
        """Seconds that the next wait may take.

        Raises:
            TimeoutError: none, the time is over.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(self.step, left)


class Reader:
    """Takes XDR values off the front of an answer.

    Its methods raise ProbeError (PRE-NFS-NOT-NFS) when the answer ends too soon.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def fixed(self, length: int) -> bytes:
        """Bytes of a known length, with their padding."""
        end = self._position + length
        if end > len(self._data):
            raise ProbeError(report.NOT_NFS, "sends an answer that is cut off")
        out = self._data[self._position : end]
        self._position = end + -length % 4
        return out

    def uint(self) -> int:
        """An unsigned 32-bit number."""
        return int.from_bytes(self.fixed(4))

    def ulong(self) -> int:
        """An unsigned 64-bit number."""
        return int.from_bytes(self.fixed(8))

    def opaque(self) -> bytes:
        """Bytes with their length in front."""
        return self.fixed(self.uint())

    def bitmap(self) -> list[int]:
        """A list of 32-bit words with their number in front."""
        return [self.uint() for _ in range(min(self.uint(), 16))]


def uints(*numbers: int) -> bytes:
    """Unsigned 32-bit numbers."""
    return struct.pack(f">{len(numbers)}I", *numbers)


def opaque(data: bytes) -> bytes:
    """Bytes with their length in front, padded."""
    return uints(len(data)) + data + bytes(-len(data) % 4)


class Connection:
    """A TCP connection to an RPC server, from a reserved port where this process may use one.

    By default servers only talk to clients on ports below 1024 (`secure` in exports(5)), and the kernel's
    client uses one.

    Arguments:
        address: numeric, of either family.
        port: of the server.
        deadline: for connecting and for every answer.
        uid: who the calls are from; the gid is the same number.

    Raises:
        ProbeError: PRE-NFS-TIMEOUT, -REFUSED, -UNREACHABLE.
    """

    def __init__(self, address: str, port: int, deadline: Deadline, uid: int = 0) -> None:
        self.peer = f"port {port}"
        self._deadline = deadline
        self._credential = uints(0) + opaque(socket.gethostname().encode()[:64]) + uints(uid, uid, 0)
        self._socket = self._connect(address, port)
        self.client, self.client_port = self._socket.getsockname()[:2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _connect(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for source in (*random.sample(RESERVED_PORTS, RESERVED_TRIES), 0):
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(self._deadline.left())
                if source:
                    sock.bind(("", source))
                sock.connect((address, port))
            except OSError as error:
                sock.close()
                # Taken, or lately used with this server, or not for this user.
                if source and error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES}:
                    continue
                raise self._explain(error) from error
            return sock
        raise ProbeError(report.UNREACHABLE, "cannot be reached: no free port here")

    def _explain(self, error: OSError) -> ProbeError:
        if isinstance(error, TimeoutError):
            return ProbeError(report.TIMEOUT, f"no answer within {self._deadline.step:g} s")
        if isinstance(error, ConnectionRefusedError):
            return ProbeError(report.REFUSED, "refuses connections")
        return ProbeError(report.UNREACHABLE, f"cannot be reached: {(error.strerror or str(error)).lower()}")

    def call(self, program: int, version: int, procedure: int, arguments: bytes = b"") -> Reader:
        """Calls a procedure and returns its result.

        Raises:
            NotServedError: the server does not have the program in this version.
            ProbeError: PRE-NFS-TIMEOUT, -NOT-NFS, -SECURITY.
        """
        xid = random.getrandbits(32)
        message = uints(xid, CALL, RPC_VERSION, program, version, procedure)
        # The null procedure must work without credentials (RFC 5531, section 12.1).
        message += uints(AUTH_SYS) + opaque(self._credential) if procedure else uints(AUTH_NONE, 0)
        message += uints(AUTH_NONE, 0) + arguments
        try:
            self._socket.sendall(uints(0x80000000 | len(message)) + message)
            answer = Reader(self._record())
        except TimeoutError as error:
            text = f"takes the connection but does not answer within {self._deadline.step:g} s"
            raise ProbeError(report.TIMEOUT, text) from error
        except OSError as error:
            raise ProbeError(report.NOT_NFS, "closes the connection without an answer") from error
        if answer.uint() != xid or answer.uint() != REPLY:
            raise ProbeError(report.NOT_NFS, "answers, but not in the protocol of NFS (ONC RPC)")
        if answer.uint() == MSG_DENIED:
            raise ProbeError(report.SECURITY, "does not accept calls with plain user ids (AUTH_SYS)")
        answer.uint()
        answer.opaque()  # the server's verifier
        state = answer.uint()
        if state in {PROG_UNAVAIL, PROG_MISMATCH}:
            raise NotServedError
        if state:
            raise ProbeError(report.NOT_NFS, f"answers with RPC error {state}")
        return answer

    def _record(self) -> bytes:
        record = b""
        while True:
            header = int.from_bytes(self._receive(4))
            length = header & 0x7FFFFFFF
            if len(record) + length > MAXIMUM_ANSWER:
                raise ProbeError(report.NOT_NFS, "answers, but not in the protocol of NFS (ONC RPC)")
            record += self._receive(length)
            if header >> 31:
                return record

    def _receive(self, length: int) -> bytes:
        out = b""
        while len(out) < length:
            self._socket.settimeout(self._deadline.left())
            part = self._socket.recv(length - len(out))
            if not part:
                raise ConnectionResetError
            out += part
        return out

    def pause(self) -> None:
        """Waits a moment before a call is repeated because the server asked for that.

        Raises:
            ProbeError: PRE-NFS-MOUNT, there is no time left for another try.
        """
        with suppress(TimeoutError):
            if self._deadline.left() > 2 * PAUSE:
                time.sleep(PAUSE)
                return
        raise ProbeError(report.MOUNT, "cannot be looked up: the server keeps asking to try again later")
