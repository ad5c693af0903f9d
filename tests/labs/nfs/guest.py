"""One user-mode-linux guest: power, network cable, commands by ssh. It cannot outlive the test run."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from labs.system import eventually, sh

if TYPE_CHECKING:
    from pathlib import Path

    from labs.network import Switch
    from labs.nfs.image import GuestImage

UML_KERNEL = "linux.uml"
BOOT_TIMEOUT = 120

# The first process of a guest's pid namespace on the machine. When the kernel ends, or when the process that
# made the lab does (however it ends, its end of the pipe closes), everything in the namespace is killed.
HOLDER = r"""
exec 3<&0
"$@" </dev/null &
cat <&3 >/dev/null &
wait -n
"""

SSH_OPTIONS = (
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    *("-o", "ConnectTimeout=5", "-o", "BatchMode=yes", "-F", "none"),
)


class Guest:
    """A guest of a lab.

    Arguments:
        number: its place in the lab, from 1.
        name: host name.
        ip: its address; the machine reaches it, and nothing outside does.
        directory: everything of the guest is kept here; ``share`` in it is ``/host`` in the guest.
        image: what it starts from.
        switch: the network it is on.
    """

    role = ""
    memory = "300M"
    survey = "mount; dmesg | tail -n 50"
    """Shell command that prints what there is to know after a failure."""

    def __init__(
        self, number: int, name: str, ip: str, directory: Path, *, image: GuestImage, switch: Switch
    ) -> None:
        self.number = number
        self.name = name
        self.ip = ip
        self.directory = directory
        self.share = directory / "share"
        self.console = directory / "console"
        self.hosts_text = ""
        self._image = image
        self._switch = switch
        self._cable = f"tap{number}"
        self._process: subprocess.Popen[bytes] | None = None
        self.share.mkdir(parents=True)
        ip_n = ("ip", "-n", switch.namespace)
        sh(*ip_n, "tuntap", "add", self._cable, "mode", "tap")
        sh(*ip_n, "link", "set", self._cable, "up", "master", "br0")

    # -- power

    @property
    def running(self) -> bool:
        """Whether the guest has power."""
        return self._process is not None and self._process.poll() is None

    def power_on(self) -> None:
        """Starts the guest and returns at once; `wait` waits. What it wrote to its disk before is there."""
        (self.share / "hosts").write_text(f"127.0.0.1 localhost {self.name}\n{self.hosts_text}")
        outside = [
            *("nsenter", f"--net=/run/netns/{self._switch.namespace}", "--"),
            *("unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "--"),
            *("bash", "-c", HOLDER, "guest"),
        ]
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [*outside, UML_KERNEL, *self._kernel_arguments()],
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def _kernel_arguments(self) -> list[str]:
        hardware = f"mac=52:54:00:77:00:{self.number:02x},depth=128,gro=1"
        return [
            *(f"mem={self.memory}", f"umid={self.name}", f"uml_dir={self.directory}/"),
            *(f"ubd0={self.directory}/disk,{self._image.disk}", "root=/dev/ubda", "rw", "init=/lab-init"),
            f"vec0:transport=tap,ifname={self._cable},{hardware}",
            *("con=null", "con0=null,fd:1", "con1=null,fd:1", "quiet"),
            *(f"lab.name={self.name}", f"lab.ip={self.ip}/24"),
            *(f"lab.role={self.role}", f"lab.share={self.share}"),
        ]

    def power_off(self) -> None:
        """Pulls the plug."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()  # --kill-child takes the rest along
            process.wait(10)

    def wait(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Waits until the guest does what it is for.

        Raises:
            RuntimeError: it ended; the text has the end of its console.
            AssertionError: it was not ready in time; likewise.
        """
        try:
            eventually(self._checked, timeout, every=0.2, what=f"guest {self.name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.console_end()}") from error

    def _checked(self) -> bool:
        if not self.running:
            raise RuntimeError(f"guest {self.name} ended:\n{self.console_end()}")
        return self.ready()

    def ready(self) -> bool:
        """Whether the guest does what it is for, now."""
        raise NotImplementedError

    def console_end(self) -> str:
        """The end of what its kernel and its first process have written."""
        return self.console.read_text(errors="replace")[-3000:]

    # -- cable

    def unplug(self) -> None:
        """Pulls the network cable: packets are lost from now on, and nobody is told.

        Off the bridge, not down: a guest's network device does not survive that.
        """
        sh("ip", "-n", self._switch.namespace, "link", "set", self._cable, "nomaster")

    def plug(self) -> None:
        """Puts the network cable back."""
        sh("ip", "-n", self._switch.namespace, "link", "set", self._cable, "master", "br0")

    # -- commands

    def command(self, command: str) -> list[str]:
        """The command line, for this machine, that runs a shell command in the guest as root."""
        return ["ssh", "-i", str(self._image.key), *SSH_OPTIONS, f"root@{self.ip}", command]

    def ssh(self, command: str, *, check: bool = True, timeout: float = 60, text: str = "") -> str:
        """Runs a shell command in the guest as root, and returns what it printed.

        Arguments:
            command: for the guest's shell.
            check: raise when it fails.
            timeout: seconds.
            text: its standard input.

        Raises:
            RuntimeError: it failed; the text has what it wrote to stderr.
        """
        done = subprocess.run(
            self.command(command),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=text,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {command}: exit {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout
