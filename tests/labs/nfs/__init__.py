"""User-mode-linux guests with the kernel's NFS client and server and a real Docker Engine.

A machine's own kernel may have no NFS at all, and mounting on it would be nobody's wish either. A guest is a
Linux kernel that runs as processes of the machine: no KVM, no module and no firewall rule of the machine is
involved.

    with NfsLab(images=[tar]) as lab:
        lab.server.share("/srv/nfs/rw")
        lab.node.client.containers.run(...)
        lab.server.unplug()

Needs root and `APT_PACKAGES`; `missing_for_nfs` says what is not there. A guest runs at about a third of the
machine's speed, system calls far slower.
"""

from __future__ import annotations

import os
import shutil

from labs.nfs.guest import UML_KERNEL, Guest
from labs.nfs.lab import NfsLab
from labs.nfs.node import DockerNode
from labs.nfs.server import NfsServer

__all__ = ["APT_PACKAGES", "DockerNode", "Guest", "NfsLab", "NfsServer", "missing_for_nfs"]

APT_PACKAGES = {
    "user-mode-linux": UML_KERNEL,
    "mmdebstrap": "mmdebstrap",
    "e2fsprogs": "mke2fs",
    "iproute2": "ip",
    "util-linux": "nsenter",
    "openssh-client": "ssh",
}
"""Debian's package -> a program of it."""


def missing_for_nfs() -> str:
    """Why no guest can run here, in words; empty if one can."""
    if os.geteuid() != 0:
        return "NFS guests need root"
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    lacking = [package for package, name in APT_PACKAGES.items() if not shutil.which(name, path=path)]
    return f"not installed: {', '.join(lacking)}" if lacking else ""
