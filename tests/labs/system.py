"""What the labs need of the operating system: commands, waiting, control groups."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

CGROUPS = Path("/sys/fs/cgroup")
# Controllers that a host gets a group of its own in where control groups are still version 1.
V1_CONTROLLERS = ("freezer", "memory", "cpuacct", "pids")


def sh(*command: str, check: bool = True, timeout: float = 60) -> str:
    """Runs a command and returns what it printed.

    Arguments:
        command: program and arguments; no shell is involved.
        check: raise when it fails.
        timeout: seconds.

    Raises:
        RuntimeError: it failed; the text names the command and what it wrote to stderr.
    """
    done = subprocess.run(command, text=True, capture_output=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def eventually(check: Callable[[], T], timeout: float = 30, *, every: float = 0.05, what: str = "") -> T:
    """Polls `check` until it returns something true, and returns that.

    An AssertionError inside `check` counts as "not yet": a check may consist of assertions and `return True`.

    Arguments:
        check: asked again and again; any other exception ends the wait at once.
        timeout: seconds.
        every: seconds between two tries.
        what: named when it never happens; default the name of `check`.

    Raises:
        AssertionError: it did not happen in time; the text has the last answer or assertion.
    """
    end = time.monotonic() + timeout
    while True:
        last: object
        try:
            last = got = check()
            if got:
                return got
        except AssertionError as error:
            last = error
        if time.monotonic() > end:
            name = what or getattr(check, "__name__", str(check))
            raise AssertionError(f"not within {timeout:g} s: {name} (last: {last!r})")
        time.sleep(every)


def discard(directory: Path) -> None:
    """Removes a directory, and nothing of what is mounted in it.

    A build that was killed leaves the machine's /proc, /sys and /dev/shm mounted in its root filesystem, as
    mmdebstrap mounts them there.

    Arguments:
        directory: it need not be there.

    Raises:
        RuntimeError: something in it is in use.
    """
    top = directory.resolve()
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # The last that was mounted is the first to go.
    for mounted in reversed(mounts):
        if Path(mounted).is_relative_to(top):
            sh("umount", "--lazy", mounted)
    sh("rm", "-rf", "--one-file-system", str(top), timeout=300)


def unified_cgroups() -> bool:
    """Whether the machine has control groups of version 2 only."""
    return (CGROUPS / "cgroup.controllers").exists()


def cgroup_directories(pattern: str) -> list[Path]:
    """Directories of the control groups (of every controller) whose path from the root matches a pattern."""
    found = CGROUPS.glob(pattern) if unified_cgroups() else CGROUPS.glob(f"*/{pattern}")
    # On version 1 some controllers are symbolic links to one and the same directory.
    return sorted({path.resolve() for path in found})


def remove_cgroups(pattern: str) -> None:
    """Removes control groups that match, children first; one that stays busy is left to the next lab."""
    for top in cgroup_directories(pattern):
        for directory, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(AssertionError):
                eventually(partial(_removed, Path(directory)), 2)


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
