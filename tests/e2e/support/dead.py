"""Makes a mount in a running container answer every access with an error, as one whose server has gone."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A FUSE file system whose program has ended: each access is ENOTCONN, without delay.
MOUNT = """
import ctypes, os, sys
fd, target = int(sys.argv[1]), sys.argv[2]
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"dead", target.encode(), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
"""

# umount(8) looks at the place first, which nobody can.
UNMOUNT = """
import ctypes, sys
MNT_DETACH = 2
sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), MNT_DETACH))
"""


@contextlib.contextmanager
def dead_mount(pid: int, target: str) -> Iterator[None]:
    """While in the block, nothing at `target` can be reached by the container of a process of the machine.

    The program runs in the container's mount namespace, so Python must be in the image.
    """
    inside = ("nsenter", "--target", str(pid), "--mount")
    fuse = os.open("/dev/fuse", os.O_RDWR)
    try:
        subprocess.run(
            [*inside, "/usr/bin/python3", "-c", MOUNT, str(fuse), target], pass_fds=(fuse,), check=True
        )
    finally:
        os.close(fuse)
    try:
        yield
    finally:
        subprocess.run([*inside, "/usr/bin/python3", "-c", UNMOUNT, target], check=True)
