"""Numbered slots, so that several labs (also of several test runs) can stand on one machine at once."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path
from typing import IO

from labs.network import Switch
from labs.system import remove_cgroups, sh

SLOTS = 20  # labs at once on one machine: 10.77.<slot>.0/24
LOCKS = Path("/run/lock")


class Slot:
    """One lab's claim on names, addresses and a directory; held by a lock that ends with the process.

    What the kernel does not take back by itself when a run is killed (network namespaces, empty control
    groups, the directory) is removed when the slot is released, or by the next one to take it.
    """

    def __init__(self, number: int, lock: IO[str], parent: Path) -> None:
        self.number = number
        self.tag = f"swl{number}"
        self.net = f"10.77.{number}"
        self.switch = Switch(self.tag, self.net)
        self._lock = lock
        lock.seek(0)
        self._sweep(lock.read().strip())
        self.base = Path(tempfile.mkdtemp(prefix=f"{self.tag}-", dir=parent))
        self._write(str(self.base))

    @classmethod
    def take(cls, parent: Path | None = None) -> Slot:
        """Takes the first free slot.

        Arguments:
            parent: where the lab's directory is made; default the directory for temporary files. Keep it
                short: the engines' sockets are in it, and a socket's path has at most 107 characters.

        Raises:
            RuntimeError: all slots are taken.
        """
        for number in range(SLOTS):
            lock = (LOCKS / f"swarmlab-{number}").open("a+")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            return cls(number, lock, parent or Path(tempfile.gettempdir()))
        raise RuntimeError(f"all {SLOTS} slots are taken (locks {LOCKS}/swarmlab-*)")

    def release(self) -> None:
        """Removes what the lab had, and lets the slot go."""
        self._sweep(str(self.base))
        self._write("")
        self._lock.close()

    def _write(self, text: str) -> None:
        self._lock.truncate(0)
        self._lock.write(text)
        self._lock.flush()

    def _sweep(self, base: str) -> None:
        self.switch.remove()
        remove_cgroups(f"{self.tag}-[0-9]*")
        # The check keeps a damaged lock file from naming a directory that was never a lab's.
        if base and Path(base).name.startswith(f"{self.tag}-"):
            sh("rm", "-rf", "--one-file-system", base, check=False, timeout=300)
