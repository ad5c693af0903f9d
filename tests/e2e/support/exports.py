"""A registry in a guest of the NFS lab, and its exports as the server itself has them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

from labs.deployment import Deployment, install
from support import run
from support.use import client, pull, push

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.host import Host
    from labs.nfs import DockerNode, NfsLab

PATIENCE = 900.0
"""Seconds for one command: a guest is slow, and slower still beside other tests."""
ANSWER = 60.0
"""Seconds for one answer of a registry there."""
WHERE = "/srv/nfs"


def host_of(node: DockerNode) -> Host:
    """The node as tests of other labs know a host: it has all of it that they use here."""
    return cast("Host", node)


def install_on(lab: NfsLab, export: str, *more: str) -> Deployment:
    """Installs a registry on an export of the lab's server.

    Arguments:
        lab: a standing lab whose node has nothing installed.
        export: below `WHERE`.
        more: further arguments for ``install``.
    """
    return install(
        host_of(lab.node), "--nfs-storage-url", url(lab.server.ip, export), *more, timeout=PATIENCE
    )


def url(address: str, export: str) -> str:
    """What --nfs-storage-url takes."""
    return f"nfs://{address}{WHERE}/{export}"


def reconfigure(deployment: Deployment, *args: str) -> Any:
    """Runs `msrctl reconfigure`, which must succeed; returns its data."""
    return run.data(deployment.host, "reconfigure", *args, timeout=PATIENCE)


def fill(deployment: Deployment, *repositories: str) -> dict[str, str]:
    """Pushes a small image into each repository; returns all tags with their digests, as they are pulled."""
    with client(deployment, timeout=ANSWER) as registry:
        for repository in repositories:
            push(registry, repository, size=50_000)
    return pulled(deployment)


def pulled(deployment: Deployment) -> dict[str, str]:
    """All repositories of `fill` with the digest of their tag; every blob is pulled and hashed."""
    with client(deployment, timeout=ANSWER) as registry:
        # Those that only a check has used are listed too, without a tag.
        return {
            name: pull(registry, name) for name in registry.catalog() if "/" in name and "probe" not in name
        }


def images(lab: NfsLab, export: str) -> dict[str, str]:
    """Blobs and links of an export with their sha256, on the server's own disk."""
    command = "find docker -type f -not -path '*/_uploads/*' -exec sha256sum {} + 2>/dev/null || :"
    printed = lab.server.ssh(f"cd {WHERE}/{export} && {command}", timeout=ANSWER)
    return {path: checksum for checksum, path in (line.split(maxsplit=1) for line in printed.splitlines())}


def marked(lab: NfsLab, export: str) -> bool:
    """Whether the owner marker is in an export."""
    return "msrctl-owner.json" in lab.server.ssh(f"ls -A {WHERE}/{export}")


def mounts(node: DockerNode) -> list[str]:
    """Names of the volumes that the node has of exports, of whatever run and name."""
    listed = node.client.api.volumes()["Volumes"] or []
    return sorted(v["Name"] for v in listed if (v.get("Options") or {}).get("type") == "nfs")


def mounted_version(deployment: Deployment, component_container: str) -> str:
    """The version of NFS that a container's /storage is mounted with."""
    table = deployment.host.cli("exec", component_container, "cat", "/proc/mounts").stdout
    (options,) = [line.split()[3] for line in table.splitlines() if line.split()[1] == "/storage"]
    return next(o for o in options.split(",") if o.startswith("vers=")).removeprefix("vers=")


def drop(lab: NfsLab, address: str) -> list[str]:
    """The command, for this machine, that makes the server deaf at one of its addresses."""
    return lab.server.command(f"iptables -I INPUT -d {address} -j DROP")


def hear(lab: NfsLab, address: str) -> None:
    """Ends `drop`."""
    lab.server.ssh(f"while iptables -D INPUT -d {address} -j DROP 2>/dev/null; do :; done")


@contextlib.contextmanager
def deaf(lab: NfsLab, address: str) -> Iterator[None]:
    """While in the block, packets to this address of the server are dropped, as if it had lost its power."""
    lab.server.ssh(f"iptables -I INPUT -d {address} -j DROP")
    try:
        yield
    finally:
        hear(lab, address)
