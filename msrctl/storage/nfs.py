"""Images on an NFS server, mounted by the engine's local volume driver: `--nfs-storage-url nfs://host/directory`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msrctl.model import names
from msrctl.storage.backend import STORE
from msrctl.storage.filesystem import MountedBackend
from msrctl.storage.nfs_url import NfsAddress, parse_url, url_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "VERSIONS",
    "NfsAddress",
    "NfsBackend",
    "option_version",
    "option_warnings",
    "parse_url",
    "url_problems",
]

VERSIONS = ("4.2", "4.1", "4.0", "3")
"""What is asked for when the options name no version, best first."""
PORT = 2049
DEFAULT_OPTIONS = "rw,sync,actimeo=0"
ASYNC_OPTIONS = "rw,async,actimeo=0"
NO_LOCKS = "nolock"
"""For version 3: locks would need rpcbind on every node (the mount is refused without), and the registry
locks no files."""
VOLUME_PREFIX = "dtr-nfs-registry-"

# The names that Linux gives a version in mount options (fs/nfs/fs_context.c); "4" alone is 4.0.
VERSION_FLAG = re.compile(r"v([234](?:\.[0-2])?)")


class NfsBackend(MountedBackend):
    """A directory of an NFS server.

    Arguments:
        host: name or address. A name is resolved by the engine at each mount.
        export: absolute path of the exported directory.
        options: mount options, taken as they are (`--nfs-options`); None: msrctl's own.
        asynchronous: without `options`, write with async instead of sync (`--async-nfs`).
        version: the NFS version to mount, as a probe found it (`VERSIONS`); None: not probed yet, 4.2.
    """

    kind = "nfs"

    def __init__(
        self,
        host: str,
        export: str,
        options: str | None = None,
        asynchronous: bool = False,  # noqa: FBT001, FBT002 - a field of the cluster document
        version: str | None = None,
    ) -> None:
        self.host = host
        self.export = export
        self.options = options
        self.asynchronous = asynchronous
        self.version = version

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> NfsBackend:
        """The back end that `parameters` describes, as they stand in a cluster document."""
        return cls(**parameters)

    def parameters(self) -> dict[str, Any]:
        """What the cluster document keeps of it; what is not set is left out."""
        kept = {
            "host": self.host,
            "export": self.export,
            "options": self.options,
            "asynchronous": self.asynchronous,
            "version": self.version,
        }
        return {key: value for key, value in kept.items() if value}

    def with_version(self, version: str) -> NfsBackend:
        """The same with the version that a probe found."""
        return NfsBackend(self.host, self.export, self.options, self.asynchronous, version)

    @property
    def address(self) -> NfsAddress:
        """Where the images are."""
        return NfsAddress(self.host, self.export)

    # -- options

    @property
    def _text(self) -> str:
        if self.options:
            return self.options
        options = ASYNC_OPTIONS if self.asynchronous else DEFAULT_OPTIONS
        return f"{options},{NO_LOCKS}" if self.version == "3" else options

    @property
    def _given(self) -> list[str]:
        return [option for option in self._text.split(",") if option]

    @property
    def named_version(self) -> str | None:
        """The version that the options name themselves, as one of `VERSIONS` (or as it stands), or None."""
        return option_version(self._given)

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions to probe for, best first: only the one that the options name, if they name one."""
        named = self.named_version
        return (named,) if named else VERSIONS

    @property
    def port(self) -> int:
        """The server's port to probe: what the options say, or 2049."""
        text = _value(self._given, "port")
        return int(text) if re.fullmatch(r"[1-9][0-9]{0,4}", text) else PORT

    @property
    def effective_version(self) -> str:
        """The version that is mounted."""
        return self.named_version or self.version or VERSIONS[0]

    def mount_options(self) -> str:
        """The options as the kernel gets them.

        addr= is always there, since the kernel resolves no names, and nfsvers= too, since without it the
        kernel takes version 3 and asks no further (measured). Options that were given are not touched.
        """
        added = [] if _value(self._given, "addr") else [f"addr={self.host}"]
        if not self.named_version:
            added.append(f"nfsvers={self.effective_version}")
        return ",".join([*added, self._text])

    def driver_options(self) -> dict[str, str]:
        """Options of a volume of Docker's local driver."""
        return {"type": "nfs", "o": self.mount_options(), "device": f":{self.export}"}

    # -- as a back end

    def volume(self, replica: str) -> str:
        """The volume's name for a replica.

        The hash in it is that of the driver options: an existing volume keeps those that it was made with,
        whatever a mount asks for (measured).
        """
        return f"{VOLUME_PREFIX}{replica}-{names.digest_of(self.driver_options())}"

    def words(self, replica: str = "") -> str:  # noqa: ARG002 - the same for every replica
        """For example ``nfs://nas.example.com/images (NFS 4.2, rw,sync,actimeo=0)``."""
        shown = [o for o in self._given if not o.startswith("addr=") and option_version([o]) is None]
        options = f", {','.join(shown)}" if shown else ""
        return f"{self.address.url} (NFS {self.effective_version}{options})"

    def identity(self, replica: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every replica
        """The server, as it was named, and the directory."""
        return ("nfs", self.host, self.export)

    def mount(self, replica: str, labels: dict[str, str], target: str = STORE) -> dict[str, Any]:
        """A volume mount that carries the driver options, so that every node makes its volume by itself.

        Without copy-up: the image's /storage is empty, and a server may refuse its chmod.
        """
        return self._mount(labels, target) | {"Source": self.volume(replica)}

    def trial_mount(self, target: str = STORE) -> dict[str, Any]:
        """The same mount by an anonymous volume: the engine removes it with the container that tried it.

        Not for a service: swarm makes one more volume of the kind, which is left over (measured).
        """
        return self._mount({}, target)

    def _mount(self, labels: dict[str, str], target: str) -> dict[str, Any]:
        return {
            "Type": "volume",
            "Target": target,
            "VolumeOptions": {
                "NoCopy": True,
                "Labels": labels,
                "DriverConfig": {"Name": "local", "Options": self.driver_options()},
            },
        }

    def own_volume(self, replica: str) -> str | None:  # noqa: ARG002 - never ours to remove
        """None: the images are the server's; `volume` names what a node has of it, which holds no data."""
        return None

    def node_local(self) -> bool:
        """Every node sees the same directory."""
        return False


def option_version(options: list[str]) -> str | None:
    """The NFS version that mount options name, or None; the last one counts, as in the kernel."""
    found = None
    minor = _value(options, "minorversion")
    for option in options:
        key, _, value = option.partition("=")
        flag = VERSION_FLAG.fullmatch(option)
        if key in {"nfsvers", "vers"} and value:
            found = value
        elif flag:
            found = flag[1]
    return f"4.{minor or '0'}" if found == "4" else found


def option_warnings(options: str | None) -> Iterator[str]:
    """What an operator should know about mount options that they chose, in words."""
    given = (options or "").split(",")
    if "soft" in given or "softerr" in given:
        yield "soft: when the server is away for long, pushes fail (input/output error) instead of waiting"
    if "ro" in given:
        yield "ro: nothing can be pushed"
    if option_version(given) == "3" and NO_LOCKS not in given:
        yield "NFS 3 without nolock: needs rpcbind and rpc.statd on every node; the registry locks no files"
    if _value(given, "sec") not in {"", "sys"}:
        yield f"sec={_value(given, 'sec')}: needs Kerberos set up on every node, and is not probed beforehand"


def _value(options: list[str], name: str) -> str:
    found = [option.partition("=")[2] for option in options if option.partition("=")[0] == name]
    return found[-1] if found else ""
