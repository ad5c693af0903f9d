"""Checks an NFS export by protocol, without mounting it, and explains why the engine could not mount one.

Standard library only. It speaks for the machine and network namespace that it runs in: run it on each
replica's node.
"""

from __future__ import annotations

from msrctl.storage.nfs_probe.check import PORT, TIMEOUT, VERSIONS, probe
from msrctl.storage.nfs_probe.explain import MountExplanation, explain_mount_error
from msrctl.storage.nfs_probe.report import NfsCheck, NfsReport

__all__ = [
    "PORT",
    "TIMEOUT",
    "VERSIONS",
    "MountExplanation",
    "NfsCheck",
    "NfsReport",
    "explain_mount_error",
    "probe",
]
