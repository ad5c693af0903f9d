"""A lab of guests on one network: an NFS server and nodes with Docker Engine."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from labs.nfs.image import guest_image
from labs.nfs.node import DockerNode
from labs.nfs.server import NfsServer
from labs.slots import Slot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from labs.nfs.guest import Guest
    from labs.nfs.image import GuestImage


G = TypeVar("G", bound="Guest")


class NfsLab:
    """One NFS server, `nfs1`, and Docker Engine nodes `node1`, `node2` ...; they know each other by name.

    It stands in a slot like the labs of engines, so that nothing of a killed run stays: when this process
    ends the guests do, and the next lab to take the slot removes network and directory.

    Arguments:
        nodes: how many Docker Engine nodes.
        images: `docker save` archives that each engine gets.
        parent: where the lab's directory is made; default the directory for temporary files.
    """

    standing: ClassVar[list[NfsLab]] = []  # for the logs that are kept when a test fails

    def __init__(self, nodes: int = 1, *, images: Sequence[Path] = (), parent: Path | None = None) -> None:
        self.images = images
        self.nodes: list[DockerNode] = []
        self._count = nodes
        self._parent = parent
        self._server: NfsServer | None = None
        self._slot: Slot | None = None

    @property
    def server(self) -> NfsServer:
        """The NFS server."""
        if self._server is None:
            raise RuntimeError("the lab is not up")
        return self._server

    @property
    def node(self) -> DockerNode:
        """The first node."""
        return self.nodes[0]

    @property
    def guests(self) -> list[Guest]:
        """All guests, the server first."""
        return [*([self._server] if self._server else []), *self.nodes]

    def unused_ip(self) -> str:
        """An address on the lab's network that nobody has."""
        return f"{self._net}.200"

    @property
    def gateway(self) -> str:
        """This machine's address on the lab's network: where stores for the nodes can listen."""
        return f"{self._net}.254"

    @property
    def _net(self) -> str:
        if self._slot is None:
            raise RuntimeError("the lab is not up")
        return self._slot.net

    def up(self) -> Self:
        """Starts all guests and loads the images.

        Raises:
            RuntimeError: no slot is free, or a guest ended; nothing is left standing.
            AssertionError: a guest was not ready in time; likewise.
        """
        image = guest_image()
        self._slot = slot = Slot.take(self._parent)
        try:
            slot.switch.up()
            self._server = _place(NfsServer, "nfs1", 1, image, slot)
            for number in range(1, self._count + 1):
                self.nodes.append(_place(DockerNode, f"node{number}", number + 1, image, slot))
            hosts = "".join(f"{guest.ip} {guest.name}\n" for guest in self.guests)
            for guest in self.guests:
                guest.hosts_text = hosts
                guest.power_on()
            with ThreadPoolExecutor(len(self.guests)) as pool:
                list(pool.map(self._prepare, self.guests))
        except BaseException:
            self.down()
            raise
        NfsLab.standing.append(self)
        return self

    def _prepare(self, guest: Guest) -> None:
        guest.wait()
        if isinstance(guest, DockerNode):
            for archive in self.images:
                guest.load(archive)

    def keep_logs(self, directory: Path) -> None:
        """Writes what every guest's console and engine have said, and what is mounted and exported."""
        for guest in self.guests:
            shutil.copy(guest.console, directory / f"{guest.name}-console")
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                (directory / f"{guest.name}-state").write_text(
                    guest.ssh(guest.survey, check=False, timeout=20)
                )

    def down(self) -> None:
        """Powers everything off and removes it."""
        if self in NfsLab.standing:
            NfsLab.standing.remove(self)
        for guest in self.guests:
            guest.power_off()
        self._server, self.nodes = None, []
        if self._slot is not None:
            self._slot.release()
            self._slot = None

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def _place(kind: type[G], name: str, number: int, image: GuestImage, slot: Slot) -> G:
    ip = f"{slot.net}.{number}"
    return kind(number, name, ip, slot.base / name, image=image, switch=slot.switch)
