"""What the engine's own texts mean when it could not mount an NFS volume."""

from __future__ import annotations

import re
from typing import NamedTuple

from msrctl.storage.nfs_probe import hints, report

# Texts of Docker Engine 20.10 to 28 (moby volume/local, moby/sys/mount); measured, see tests/e2e/test_nfs.py.
FAILED = re.compile(r"error while mounting volume '|failed to mount local volume|failed to populate volume")
RESOLVING = re.compile(r"error resolving passed in network volume address: (?:lookup (?P<host>[^\s:]+))?")
MOUNTING = re.compile(
    r"failed to mount local volume: mount :?(?P<export>.+?):/\S*(?:, flags: \w+)?, data: (?P<data>\S*): "
)
COPYING = re.compile(r"failed to populate volume|failed to chmod|failed to chown|failed to copy file")


class MountExplanation(NamedTuple):
    """Why a volume could not be mounted: a stable code, one sentence, and what to do."""

    code: str
    message: str
    hint: str


# Ends of the kernel's texts; the first that fits counts.
REASONS = (
    ("no such file or directory", report.EXPORT, "does not export {export} to the node"),
    ("connection refused", report.REFUSED, "refuses connections"),
    ("no route to host", report.UNREACHABLE, "cannot be reached: no route to host"),
    ("network is unreachable", report.UNREACHABLE, "cannot be reached: the node has no route to its network"),
    ("connection timed out", report.TIMEOUT, "did not answer in time"),
    ("protocol not supported", report.VERSION, "does not serve {version}"),
    (
        "invalid argument",
        report.OPTIONS,
        "was not asked: the kernel does not take the mount options {options}",
    ),
    ("not a directory", report.NOT_DIRECTORY, "exports {export}, but it is no directory"),
    ("no such device", report.KERNEL, "was not asked: the node's kernel has no NFS client"),
    ("stale file handle", report.STALE, "no longer exports the {export} that the node knew"),
    ("read-only file system", report.READ_ONLY, "exports {export} read-only"),
)


def explain_mount_error(text: str) -> MountExplanation | None:
    """Explains an error of the engine, or of a task of a swarm, about a volume of NFS.

    Arguments:
        text: the engine's whole text.

    Returns:
        None if it is not about mounting a volume.
    """
    if not FAILED.search(text):
        return None
    resolving = RESOLVING.search(text)
    if resolving:
        host = resolving["host"] or "the NFS server"
        # Its end may be "connection refused", which then speaks of the name server.
        return _explanation(
            report.RESOLVE, f"the name {host} does not resolve on the node", host, "the export"
        )
    mounting = MOUNTING.search(text)
    options = (mounting["data"] if mounting else "").split(",")
    host = _option(options, "addr") or "the NFS server"
    export = mounting["export"] if mounting else "the directory"
    reason = text.strip().rsplit(": ", 1)[-1].lower()
    code, message = _reason(reason, copying=bool(COPYING.search(text)), version=_version(options))
    message = message.format(export=export, version=_version(options) or "NFS 3", options=_shown(options))
    explained = _explanation(code, f"{host} {message}", host, export)
    if code == report.REFUSED and _version(options) in {"", "NFS 3"} and "nolock" not in options:
        # The kernel says the same when it is the node that has no rpcbind for its lock service.
        return explained._replace(hint=f"{explained.hint} {hints.NODE_RPCBIND}")
    return explained


def _reason(reason: str, *, copying: bool, version: str) -> tuple[str, str]:
    # EPERM and EACCES mean different things to whoever mounts and to whoever writes.
    if copying and any(end in reason for end in ("operation not permitted", "permission denied")):
        return report.ROOT_SQUASH, "does not let root write to {export} (root_squash)"
    if "permission denied" in reason and version == "NFS 3":
        return report.EXPORT, "does not export {export} to the node"
    if "permission denied" in reason or "operation not permitted" in reason:
        return report.DENIED, "does not let the node mount {export}"
    for end, code, message in REASONS:
        if end in reason:
            return code, message
    return report.MOUNT, "could not be used: " + reason.replace("{", "{{").replace("}", "}}")


def _explanation(code: str, message: str, host: str, export: str) -> MountExplanation:
    return MountExplanation(code, message, hints.hint(code, host=host, export=export))


def _option(options: list[str], name: str) -> str:
    found = [option.partition("=")[2] for option in options if option.partition("=")[0] == name]
    return found[-1] if found else ""


def _version(options: list[str]) -> str:
    named = _option(options, "nfsvers") or _option(options, "vers")
    return f"NFS {named}" if named else ""


def _shown(options: list[str]) -> str:
    return ",".join(option for option in options if option and not option.startswith("addr=")) or "given"
