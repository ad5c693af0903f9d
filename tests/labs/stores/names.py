"""A name server for a lab: its containers resolve the names that some stores are known by.

An engine passes its containers' questions on to the servers in its host's /etc/resolv.conf, from within the
container's network. So nothing need be said to the service under test, as with a user's own DNS.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from labs.engines import Lab

PORT = 53
TYPE_A = 1
# RFC 1035, 4.1.1: an authoritative answer to a recursive question; code 3: there is no such name.
ANSWER, NO_SUCH_NAME = 0x8580, 0x8583


class NameServer:
    """Answers for a fixed set of names, and that all others do not exist.

    Arguments:
        names: name to IPv4 address.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = {name.lower(): address for name, address in names.items()}

    @contextlib.contextmanager
    def listening(self, address: str) -> Iterator[None]:
        """Serves at an address of this machine, port 53, in a thread."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((address, PORT))
            thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
            thread.start()
            try:
                yield
            finally:
                # An empty packet ends the thread: closing a socket does not wake who waits for it.
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.sendto(b"", (address, PORT))
                thread.join(5)

    def _serve(self, server: socket.socket) -> None:
        while True:
            question, sender = server.recvfrom(4096)
            if not question:
                return
            with contextlib.suppress(OSError, IndexError, struct.error):
                server.sendto(self.answer(question), sender)

    def answer(self, question: bytes) -> bytes:
        """The answer to one question, both as packets (RFC 1035)."""
        name, end = _name(question, 12)
        kind, _ = struct.unpack_from(">HH", question, end)
        asked = question[12 : end + 4]
        address = self.names.get(name)
        records = b""
        if address is not None and kind == TYPE_A:
            # 0xC00C points at the name in the question; class 1, good for 1 s, 4 bytes.
            records = struct.pack(">HHHIH", 0xC00C, TYPE_A, 1, 1, 4) + socket.inet_aton(address)
        flags = NO_SUCH_NAME if address is None else ANSWER
        return question[:2] + struct.pack(">HHHHH", flags, 1, bool(records), 0, 0) + asked + records


@contextlib.contextmanager
def names_for(lab: Lab, *needed: tuple[str, str]) -> Iterator[None]:
    """Makes all containers that start on a lab's hosts from now on resolve names.

    Arguments:
        lab: a standing lab.
        needed: pairs of name and address, as in `ObjectStore.needs_hosts`.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(NameServer(dict(needed)).listening(lab.gateway))
        for host in lab.hosts:
            settings = host.directory / "resolv-names.conf"
            settings.write_text(f"nameserver {lab.gateway}\n")
            host.run("mount", "--bind", str(settings), "/etc/resolv.conf")
            stack.callback(host.run, "umount", "/etc/resolv.conf", check=False)
        yield


def _name(packet: bytes, start: int) -> tuple[str, int]:
    labels = []
    while length := packet[start]:
        labels.append(packet[start + 1 : start + 1 + length].decode("ascii", "replace").lower())
        start += 1 + length
    return ".".join(labels), start + 1
