"""A place for a store's processes: they, and all that they write, are gone when the test run is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from labs.machine import Machine
from labs.system import eventually, remove_cgroups

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

PREFIX = "msrctl-store-"
# Settings of the person who runs the tests that would change what a store does.
FOREIGN_SETTINGS = ("AWS_", "AZURITE_", "OS_", "MOTO_", "PYTHON", "NODE_OPTIONS")


class StoreMachine(Machine):
    """A host on this machine's own network, with processes and mounts of its own.

    Attributes:
        processes: what was started, by name.
    """

    def __init__(self, name: str, directory: Path, rootfs: Path | None) -> None:
        cgroup = directory.parent.name  # unique, as the directory is
        super().__init__(name, directory, cgroup=cgroup, netns=None, rootfs=rootfs)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        """Starts a process that stays; what it writes is in `log` of the same name.

        Arguments:
            name: for the log and for errors.
            command: program and arguments.
            env: environment variables to add.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN_SETTINGS)}
        with self.log(name).open("a") as log:
            self.processes[name] = self.spawn(*command, env=kept | dict(env or {}), log=log)

    def log(self, name: str) -> Path:
        """The file with what a process has written."""
        return self.directory / f"{name}.log"

    def wait_for(self, check: Callable[[], bool], timeout: float, what: str) -> None:
        """Waits until a check is true.

        Raises:
            RuntimeError: one of the processes ended, or it did not happen in time; the text has the ends of
                their logs.
        """

        def checked() -> bool:
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended:
                raise RuntimeError(f"{what}: {', '.join(ended)} ended\n{self._logs()}")
            return check()

        try:
            eventually(checked, timeout, what=what)
        except AssertionError as error:
            raise RuntimeError(f"{error}\n{self._logs()}") from None

    def _logs(self) -> str:
        texts = {log.name: log.read_text(errors="replace")[-2000:] for log in self.directory.glob("*.log")}
        return "\n".join(f"--- {name}\n{text}" for name, text in texts.items())

    def power_off(self) -> None:
        """Kills everything at once."""
        super().power_off()
        for process in self.processes.values():
            process.wait(20)
        self.processes.clear()


@contextlib.contextmanager
def store_machine(name: str, rootfs: Path | None = None) -> Iterator[StoreMachine]:
    """A machine with its power on; afterwards everything of it is removed.

    Arguments:
        name: host name, and part of the directory's name.
        rootfs: a root filesystem to run on, left unchanged; None: this machine's own.
    """
    _sweep()
    parent = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-"))
    with (parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory = parent / "host"
        directory.mkdir()
        machine = StoreMachine(name, directory, rootfs)
        try:
            machine.power_on()
            yield machine
        finally:
            machine.power_off()
            _remove(parent)


def _sweep() -> None:
    """Removes what runs that were killed have left: their locks are free."""
    for parent in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (parent / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(parent)


def _remove(parent: Path) -> None:
    remove_cgroups(parent.name)
    shutil.rmtree(parent, ignore_errors=True)
