"""A host made of Linux namespaces: power, freeze, processes. What runs on it cannot outlive the test run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from labs.system import CGROUPS, V1_CONTROLLERS, cgroup_directories, eventually, unified_cgroups

if TYPE_CHECKING:
    from collections.abc import Sequence

# Pid 1 of a host. It reads a pipe from the process that made the lab: when that ends, however it ends, the
# pipe closes and everything in the pid namespace is killed, with every container and mount.
INIT = r"""
set -e
for c in $JOIN; do echo 0 >"$c/cgroup.procs"; done
mount --make-rprivate /
R=
if [ -n "$ROOTFS" ]; then
  # A layer of its own on top: the root filesystem itself stays as it was made, for other hosts and runs.
  R=$DIR/root
  mkdir -p "$R" "$DIR/upper" "$DIR/work"
  mount -t overlay -o "lowerdir=$ROOTFS,upperdir=$DIR/upper,workdir=$DIR/work" overlay "$R"
  mount --rbind /dev "$R/dev"
  mount --rbind /sys "$R/sys"
  # Its own files are below there, and so are those of tests, which all hosts see.
  mkdir -p "$R$TEMPORARY"
  mount --bind "$TEMPORARY" "$R$TEMPORARY"
fi
resolver=$(readlink -f /etc/resolv.conf)
cp "$resolver" "$DIR/resolv.conf" 2>/dev/null || :
mount -t proc proc "$R/proc"
mount -t tmpfs tmpfs "$R/run"
mkdir -p "$R/run/lock" "$R/var/lib/docker" "$R/etc/docker"
mount --bind "$DIR/data" "$R/var/lib/docker"
mount --bind "$DIR/etc" "$R/etc/docker"
mount --bind "$DIR/hosts" "$R/etc/hosts"
hostname "$NAME"
if [ -n "$PRIVATE_NETWORK" ]; then
  echo 1 >/proc/sys/net/ipv4/ip_forward
else
  # The machine's resolver settings may be a link into /run, which is another one here.
  case $resolver in /run/*) mkdir -p "${resolver%/*}"; cp "$DIR/resolv.conf" "$resolver";; esac
fi
if [ -n "$R" ]; then
  cd "$R"; mkdir -p .old; pivot_root . .old; cd /; umount -l /.old
fi
: >"$DIR/ready"
exec 3<&0                                   # the pipe from the lab's owner
trap : CHLD
( cat <&3 >/dev/null; kill -KILL -1 ) &     # it closed: take everything along
watch=$!
while kill -0 $watch 2>/dev/null; do wait || :; done
"""

# Runs a command in the control groups that come before `--`.
JOIN_AND_RUN = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


class Machine:
    """One host: namespaces for mounts, host name, IPC, processes and (unless it is the builder) network.

    Arguments:
        name: host name.
        directory: everything of the host is kept here: ``data`` is /var/lib/docker, ``etc`` is /etc/docker.
        cgroup: name of its control group, unique on the machine; containers are put under it as well.
        netns: its network namespace; None: the machine's own network.
        rootfs: a root filesystem to run on, left unchanged; None: the machine's own, with a /run,
            /etc/docker, /etc/hosts and /var/lib/docker that are private.
    """

    def __init__(
        self, name: str, directory: Path, *, cgroup: str, netns: str | None, rootfs: Path | None = None
    ) -> None:
        self.name = name
        self.directory = directory
        self.cgroup = cgroup
        self.netns = netns
        self.rootfs = rootfs
        self.hosts_text = ""
        self._owner: subprocess.Popen[bytes] | None = None
        self._pid1 = 0

    @property
    def running(self) -> bool:
        """Whether the host has power."""
        return self._owner is not None and self._owner.poll() is None

    def power_on(self) -> None:
        """Starts the host, without an engine.

        Raises:
            RuntimeError: its pid 1 ended; the text is what it wrote.
        """
        for name in ("data", "etc"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for name in ("ready", "docker.pid", "docker.sock"):
            (self.directory / name).unlink(missing_ok=True)
        self.write_hosts()
        for group in self._cgroups():
            group.mkdir(parents=True, exist_ok=True)
        enter = ["nsenter", f"--net=/run/netns/{self.netns}", "--"] if self.netns else []
        unshare = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        with (self.directory / "init.log").open("a") as log:
            self._owner = subprocess.Popen(
                [*enter, *unshare, "bash", "-c", INIT],
                env=self._init_environment(),
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        eventually(self._ready, what=f"{self.name}: namespaces")
        children = Path(f"/proc/{self._owner.pid}/task/{self._owner.pid}/children").read_text()
        self._pid1 = int(children.split()[0])

    def _init_environment(self) -> dict[str, str]:
        return os.environ | {
            "ROOTFS": str(self.rootfs or ""),
            "TEMPORARY": tempfile.gettempdir(),
            "DIR": str(self.directory),
            "NAME": self.name,
            "PRIVATE_NETWORK": self.netns or "",
            "JOIN": " ".join(map(str, self._cgroups())),
        }

    def _ready(self) -> bool:
        if not self.running:
            raise RuntimeError(f"{self.name}: {(self.directory / 'init.log').read_text()}")
        return (self.directory / "ready").exists()

    def write_hosts(self) -> None:
        """Writes /etc/hosts in place: a running host has this very file mounted."""
        (self.directory / "hosts").write_text(f"127.0.0.1 localhost\n{self.hosts_text}")

    def power_off(self) -> None:
        """Pulls the plug: everything the host runs is killed at once."""
        owner, self._owner = self._owner, None
        if owner is None or owner.stdin is None:
            return
        self.freeze(False)  # a frozen process does not even die
        if owner.poll() is None and self._pid1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid1, signal.SIGKILL)
        owner.stdin.close()
        owner.wait(20)
        self._pid1 = 0

    def freeze(self, on: bool = True) -> None:
        """Stops every process of the host where it stands, containers too, or lets them go on."""
        for path, yes, no in (
            (CGROUPS / "freezer" / self.cgroup / "freezer.state", "FROZEN", "THAWED"),
            (CGROUPS / self.cgroup / "cgroup.freeze", "1", "0"),
        ):
            if path.exists():
                path.write_text(yes if on else no)

    def _cgroups(self) -> list[Path]:
        if unified_cgroups():
            return [CGROUPS / self.cgroup / "init"]  # version 2 allows no processes in inner nodes
        return [CGROUPS / name / self.cgroup for name in V1_CONTROLLERS if (CGROUPS / name).is_dir()]

    def _inside(self, command: Sequence[str]) -> list[str]:
        groups = map(str, self._cgroups())
        enter = ["nsenter", "-t", str(self._pid1), "-m", "-u", "-i", "-n", "-p", "--"]
        return ["sh", "-c", JOIN_AND_RUN, "join", *groups, "--", *enter, *command]

    def spawn(self, *command: str, env: dict[str, str], log: IO[Any]) -> subprocess.Popen[bytes]:
        """Starts a process on the host; it ends with the host at the latest."""
        return subprocess.Popen(
            self._inside(command), stdin=subprocess.DEVNULL, env=env, stdout=log, stderr=log
        )

    def run(
        self, *command: str, check: bool = True, timeout: float = 60, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on the host to its end.

        Arguments:
            command: program and arguments, found in the host's root filesystem.
            check: raise CalledProcessError when it fails.
            timeout: seconds.
            text: its standard input; None: empty.
        """
        return subprocess.run(
            self._inside(command),
            check=check,
            text=True,
            capture_output=True,
            timeout=timeout,
            input=text or "",
        )

    def pids(self, command: str | None = None, *, container: str = "") -> list[int]:
        """Pids, as the machine numbers them, of all processes of the host and its containers.

        Arguments:
            command: only those of this name (as in /proc/PID/comm); None: all.
            container: only those of the container with this id.
        """
        found: set[int] = set()
        for group in self.cgroups_left():
            for members in group.rglob("cgroup.procs"):
                if container not in str(members):
                    continue
                with contextlib.suppress(OSError):
                    found.update(map(int, members.read_text().split()))
        return sorted(pid for pid in found if command in {None, _command(pid)})

    def small_disk(self, name: str, megabytes: int) -> str:
        """Mounts a filesystem of limited size on the host and returns its path; a power off takes it away."""
        path = self.directory / name
        path.mkdir(exist_ok=True)
        self.run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path))
        return str(path)

    def cgroups_left(self) -> list[Path]:
        """Directories of the host's control groups that exist."""
        return cgroup_directories(self.cgroup)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
