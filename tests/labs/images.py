"""What the labs run: msrctl's image as an archive, and root filesystems of other Debian releases; made once.

``python -m labs.images [msr] [SUITE...]`` (with ``tests`` on PYTHONPATH) makes them beforehand; default what
the tests use.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from labs.cache import PROJECT, hash_of_files, hash_of_text, making
from labs.host import Host
from labs.system import discard, remove_cgroups, sh
from msrctl import __version__
from msrctl.images.archive import save
from msrctl.images.build import build

if TYPE_CHECKING:
    from pathlib import Path

# All that goes into the image. The README does, as the wheel's description, but nothing depends on it.
IMAGE_SOURCES = ("msrctl", "schemas", "pyproject.toml")
ARCHIVES_KEPT = 3
BUILD_TIMEOUT = 900
NEWEST = "sid"
"""The Debian release that has the newest engine (28.5 in November 2026)."""

# The engine of a release with its command line client, and the clients that only newer releases have.
CLIENT_PACKAGES = (
    *("docker.io", "docker-cli", "containerd", "runc", "iptables", "oras"),
    *("mount", "hostname", "iproute2", "procps", "ca-certificates"),
)
MMDEBSTRAP_OPTIONS = (
    *("--variant=apt", "--skip=check/qemu"),
    # A mirror that is a little behind is no reason not to test.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=APT::Install-Recommends "false"',
    *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
)


def msr_image() -> Path:
    """The image `msrctl/msr` of this checkout as a `docker save` archive.

    It is named by a hash of what goes into it. The engine that builds it keeps its data in the cache
    directory, so that after a change of Python code only the last layers are made anew.

    Raises:
        ImageError: msrctl could not build it.
    """
    with making("msr-image") as directory:
        key = hash_of_files(PROJECT / name for name in IMAGE_SOURCES)
        archive = directory / f"msr-{key}.tar"
        if archive.exists():
            archive.touch()
        else:
            _build_msr_image(directory, archive)
            _remove_old_archives(directory)
        return archive


def _build_msr_image(directory: Path, archive: Path) -> None:
    builder = builder_host(directory)
    try:
        builder.power_on()
        builder.start_docker()
        api = builder.client.api
        api.timeout = BUILD_TIMEOUT
        built = build(api, __version__)
        save(api, built.reference, archive)
        builder.stop_docker()
    finally:
        builder.power_off()
        remove_cgroups(builder.cgroup)


class Builder(Host):
    """An engine on the machine's own network, to build images with, which leaves what is there alone.

    It has a bridge of its own: started without one, an engine removes the docker0 that it finds, which may be
    that of the machine's engine (moby, daemon/daemon_unix.go, removeDefaultBridgeInterface).
    """

    @property
    def bridge(self) -> str:
        """Name of the bridge; one for each directory, since several builders may be at work."""
        return f"msrb-{hash_of_text(str(self.directory))[:8]}"

    def power_on(self) -> None:
        sh("ip", "link", "add", self.bridge, "type", "bridge", check=False)  # a killed run may have left it
        # An address for documentation, so that the engine looks for none; no container is ever there.
        sh("ip", "addr", "replace", "192.0.2.1/30", "dev", self.bridge)
        super().power_on()

    def power_off(self) -> None:
        super().power_off()
        sh("ip", "link", "del", self.bridge, check=False)


def builder_host(directory: Path) -> Builder:
    """An engine to build images with; its data stay in the cache directory.

    It writes no firewall rules, so that it can stand beside any other engine: builds use the machine's
    network.
    """
    home = directory / "builder"
    home.mkdir(exist_ok=True)
    builder = Builder(0, "builder", "127.0.0.1", home, cgroup="msrctl-builder", switch=None)
    builder.dockerd_args = [f"--bridge={builder.bridge}", "--iptables=false", "--ip-forward=false"]
    return builder


def _remove_old_archives(directory: Path) -> None:
    archives = sorted(directory.glob("msr-*.tar"), key=lambda path: path.stat().st_mtime)
    for old in archives[:-ARCHIVES_KEPT]:
        old.unlink()


def client_rootfs(suite: str) -> Path:
    """A root filesystem of another Debian release with its engine, docker and oras, for `Lab(rootfs=...)`.

    Measured: 30-60 s to make; trixie has Docker 26.1, sid 28.5. To have newer packages of sid, remove the
    directory from the cache.

    Raises:
        RuntimeError: mmdebstrap failed; the text has the end of what it wrote.
    """
    key = hash_of_text(f"{CLIENT_PACKAGES} {MMDEBSTRAP_OPTIONS}")
    with making(f"root-{suite}") as directory:
        root = directory / f"root-{suite}-{key}"
        if not root.exists():
            partial = root.with_suffix(".partial")
            discard(partial)
            include = f"--include={','.join(CLIENT_PACKAGES)}"
            done = subprocess.run(
                ["mmdebstrap", *MMDEBSTRAP_OPTIONS, include, "--format=directory", suite, str(partial)],
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"mmdebstrap {suite}: exit {done.returncode}\n{done.stderr[-3000:]}")
            partial.rename(root)
        return root


def engine_rootfs() -> Path | None:
    """What the tests' engines are of; None: the machine's own.

    MSRCTL_TEST_ENGINE names a Debian release; "mixed": every other worker of pytest-xdist has the newest.
    """
    suite = os.environ.get("MSRCTL_TEST_ENGINE", "")
    if suite == "mixed":
        suite = NEWEST if os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1] in "13579" else ""
    return client_rootfs(suite) if suite else None


def main() -> None:
    """Makes msrctl's image and the root filesystems that the tests use."""
    for name in sys.argv[1:] or ["msr", NEWEST]:
        begun = time.monotonic()
        path = msr_image() if name == "msr" else client_rootfs(name)
        sys.stdout.write(f"{name}: {path} ({time.monotonic() - begun:.1f} s)\n")


if __name__ == "__main__":
    main()
