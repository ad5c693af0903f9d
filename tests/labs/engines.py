"""Several real Docker Engines on one machine, each on a host of its own; one swarm over them.

A host is a set of Linux namespaces (network, mounts, host name, IPC, processes) with its own address, host
name, /run, /etc/docker, data root and control group, in which a real dockerd runs. Its pid 1 ends when the
process that made the lab does, and with it dockerd, containerd, every container and every mount: nothing of a
host outlives its test run, even one that is killed. What the kernel does not take back by itself is removed
by `Lab.down`, or by the next lab.

    with Lab(3, images=[tar]) as lab:
        lab.swarm()
        lab[1].client.services.list()
        lab[1].msrctl("status", check=0)
        lab[3].power_off()

Needs root and Debian's docker.io, iptables, iproute2, util-linux and procps; `missing_for_engines` says what
is not there.
"""

from __future__ import annotations

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from docker.errors import APIError

from labs.host import Host
from labs.slots import Slot
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["Host", "Lab", "eventually", "missing_for_engines"]

T = TypeVar("T")

PROGRAMS = ("dockerd", "iptables", "ip", "nsenter", "unshare", "mount", "bash")


def missing_for_engines() -> str:
    """Why no lab can stand here, in words; empty if one can."""
    if os.geteuid() != 0:
        return "real engines need root"
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    return f"not on PATH: {', '.join(lacking)}" if lacking else ""


class Lab:
    """Hosts on one network. `lab[1]` is the first; `lab.hosts` has all.

    Arguments:
        hosts: how many.
        prefix: they are named ``<prefix>1``, ``<prefix>2`` ...
        rootfs: a root filesystem (`images.client_rootfs`) whose engine they run; None: the machine's.
        images: `docker save` archives that each engine gets.
        dockerd_args: more arguments for each dockerd.
        prefer_local_images: tasks take an image at hand without asking its registry first (which takes 20 s
            where there is none). Off, as on a user's machine: msrctl names images by id and must not need it.
        parent: where the lab's directory is made; default the directory for temporary files.
    """

    standing: ClassVar[list[Lab]] = []  # for the logs that are kept when a test fails

    def __init__(
        self,
        hosts: int = 1,
        *,
        prefix: str = "node",
        rootfs: Path | None = None,
        images: Sequence[Path] = (),
        dockerd_args: Sequence[str] = (),
        prefer_local_images: bool = False,
        parent: Path | None = None,
    ) -> None:
        self.prefix = prefix
        self.rootfs = rootfs
        self.images = images
        self.dockerd_args = list(dockerd_args)
        self.dockerd_env = {"DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"} if prefer_local_images else {}
        self.hosts: list[Host] = []
        self._count = hosts
        self._parent = parent
        self._slot: Slot | None = None

    def __getitem__(self, number: int) -> Host:
        return self.hosts[number - 1]

    @property
    def slot(self) -> Slot:
        """The slot that the lab stands in."""
        if self._slot is None:
            raise RuntimeError("the lab is not up")
        return self._slot

    @property
    def gateway(self) -> str:
        """The machine's own address in the lab's network, for servers that a test runs on the machine."""
        return self.slot.switch.gateway

    def all(self, function: Callable[[Host], T]) -> list[T]:
        """Calls a function for every host at once, and returns the results in order."""
        if not self.hosts:
            return []
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            return list(pool.map(function, self.hosts))

    def up(self) -> Self:
        """Powers all hosts on, starts their engines and loads the images.

        Raises:
            RuntimeError: no slot is free, or a host or an engine did not start; nothing is left standing.
        """
        self._slot = Slot.take(self._parent)
        self._numbers = itertools.count(1)  # none is used twice, as a removed host's network stays
        try:
            self.slot.switch.up()
            for _ in range(self._count):
                self._new_host(f"{self.prefix}{len(self.hosts) + 1}", self.rootfs)
            self._write_hosts()
            self.all(Host.power_on)
            self.all(Host.start_docker)
            for archive in self.images:
                self.all(partial(Host.load, archive=archive))
        except BaseException:
            self.down()
            raise
        Lab.standing.append(self)
        return self

    def add(self, name: str, *, rootfs: Path | None = None) -> Host:
        """Puts one more host on the network, with its engine started; it is in no swarm.

        Arguments:
            name: its host name.
            rootfs: a root filesystem whose engine it runs; None: the machine's.
        """
        host = self._new_host(name, rootfs)
        self._write_hosts()
        host.power_on()
        host.start_docker()
        return host

    def remove(self, host: Host) -> None:
        """Powers a host off and takes it off the list; its directory goes with the lab."""
        host.power_off()
        self.hosts.remove(host)

    def _new_host(self, name: str, rootfs: Path | None) -> Host:
        number = next(self._numbers)
        ip = f"{self.slot.net}.{number}"
        host = Host(
            number,
            name,
            ip,
            self.slot.base / name,
            cgroup=f"{self.slot.tag}-{number}",
            switch=self.slot.switch,
            rootfs=rootfs,
        )
        host.directory.mkdir()
        host.dockerd_args, host.dockerd_env = self.dockerd_args, self.dockerd_env
        self.hosts.append(host)
        return host

    def _write_hosts(self) -> None:
        text = "".join(f"{host.ip} {host.name}\n" for host in self.hosts)
        for host in self.hosts:
            host.hosts_text = text
            host.write_hosts()

    def swarm(self, managers: int = 1) -> None:
        """Makes the hosts one swarm, the first `managers` of them managers, and waits until all are ready."""
        first, *rest = self.hosts
        first.client.swarm.init(advertise_addr=first.ip, listen_addr=f"{first.ip}:2377")
        for host in rest:
            self.join(host.number, role="Manager" if host.number <= managers else "Worker")
        eventually(lambda: self.nodes_ready() == len(self.hosts), 60, what="all swarm nodes are ready")

    def join(self, number: int, to: int = 1, *, role: str = "Manager") -> None:
        """Takes a host into the swarm of another, as an administrator does with `docker swarm join`.

        Arguments:
            number: the host's.
            to: number of a manager.
            role: Manager or Worker.
        """
        host, manager = self[number], self[to]
        manager.client.swarm.reload()
        token = manager.client.swarm.attrs["JoinTokens"][role]
        try:
            _join(host, manager, token)
        except AssertionError:
            # Seen once, after the network had been away: 80 s and no end. Given up and tried afresh.
            host.client.swarm.leave(force=True)
            _join(host, manager, token)

    def nodes_ready(self) -> int:
        """How many nodes the first host's swarm has ready; 0 while it has no leader."""
        try:
            nodes = self[1].client.nodes.list()
        except APIError:
            return 0
        return sum(node.attrs["Status"]["State"] == "ready" for node in nodes)

    def down(self) -> None:
        """Powers everything off and removes it."""
        if self in Lab.standing:
            Lab.standing.remove(self)
        self.all(Host.power_off)
        self.hosts = []
        if self._slot is not None:
            self._slot.release()
            self._slot = None

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def _join(host: Host, manager: Host, token: str) -> None:
    try:
        host.client.swarm.join(
            [f"{manager.ip}:2377"], token, advertise_addr=host.ip, listen_addr=f"{host.ip}:2377"
        )
    except APIError as error:
        # On a busy machine: the engine answers after 20 s and goes on.
        if "will continue in the background" not in str(error):
            raise
    info = host.client.api.info
    eventually(lambda: info()["Swarm"]["LocalNodeState"] == "active", 40, what=f"{host.name} has joined")
