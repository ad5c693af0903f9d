"""The guests' root image: ext4, from Debian's packages alone; made once and kept in the cache directory."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.cache import hash_of_files, hash_of_text, making

SUITE = "trixie"
PACKAGES = (
    *("docker.io", "docker-cli", "iptables"),
    *("nfs-kernel-server", "nfs-common", "rpcbind"),
    *("openssh-server", "iproute2", "kmod", "procps", "netbase", "python3", "ca-certificates"),
)
MMDEBSTRAP_OPTIONS = (
    *("--quiet", "--variant=minbase", "--skip=check/qemu"),
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=APT::Install-Recommends "false"',
    *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
MODULES = Path("/usr/lib/uml/modules")
# Of the modules that come with the kernel only what Docker, overlay networks and NFS use: the rest is 60 MB.
MODULE_PARTS = (
    *("net", "lib", "crypto"),
    *(
        f"fs/{name}"
        for name in ("nfs", "nfsd", "nfs_common", "lockd", "overlayfs", "fuse", "netfs", "fscache")
    ),
    *(f"drivers/net/{name}" for name in ("vxlan", "veth.ko", "dummy.ko")),
)
GUEST_FILES = Path(__file__).parent / "guest"
SIZE = "12G"  # sparse
BUILD_TIMEOUT = 600
IMAGES_KEPT = 2


@dataclass(frozen=True)
class GuestImage:
    """What a guest is started from.

    Attributes:
        disk: ext4 image, never written to: each guest writes to a copy-on-write file of its own.
        key: private ssh key that root of every guest accepts.
    """

    disk: Path
    key: Path


def guest_image() -> GuestImage:
    """The image of these packages, this kernel and these guest files; made if not in the cache (60 s).

    Raises:
        RuntimeError: mmdebstrap or another command failed; the text has the end of what it wrote.
    """
    kernels = " ".join(sorted(path.name for path in MODULES.iterdir()))
    recipe = hash_of_files([GUEST_FILES, Path(__file__)])
    key = hash_of_text(f"{recipe} {kernels}")
    with making("nfs-guest") as directory:
        image = GuestImage(directory / f"nfs-guest-{key}.ext4", directory / f"nfs-guest-{key}.key")
        if not image.disk.exists():
            with TemporaryDirectory(prefix="nfs-guest-", dir=directory) as work:
                _make(Path(work), image)
            _remove_old(directory)
        image.disk.touch()
        return image


def _make(work: Path, image: GuestImage) -> None:
    root, disk = work / "root", work / "disk"
    image.key.unlink(missing_ok=True)
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(image.key))
    _run("mmdebstrap", *MMDEBSTRAP_OPTIONS, f"--include={','.join(PACKAGES)}", SUITE, str(root))
    _install_files(root, image.key.with_suffix(".key.pub").read_text())
    for modules in MODULES.iterdir():
        _install_modules(root, modules)
    _run("truncate", "-s", SIZE, str(disk))
    lazy = "lazy_itable_init=1,lazy_journal_init=1"
    # The checksum seed is a feature that kernel 6.1 guests have no use for.
    features = "^metadata_csum_seed"
    _run("mke2fs", "-q", "-t", "ext4", "-m0", "-E", lazy, "-O", features, "-d", str(root), str(disk))
    disk.rename(image.disk)


def _install_files(root: Path, public_key: str) -> None:
    for name, target in (
        ("init", "lab-init"),
        ("nfsd", "usr/local/sbin/lab-nfsd"),
        ("modules", "etc/lab-modules"),
    ):
        shutil.copy(GUEST_FILES / name, root / target)
        (root / target).chmod(0o755)
    # These kernels have no nf_tables for IPv4.
    for name in ("iptables", "ip6tables"):
        _run("chroot", str(root), "update-alternatives", "--set", name, f"/usr/sbin/{name}-legacy")
    # No name server: a name that is not in /etc/hosts fails at once.
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    (root / "etc/exports").write_text("")
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    (ssh / "authorized_keys").write_text(public_key)
    settings = "PermitRootLogin yes\nUseDNS no\nUsePAM no\n"
    (root / "etc/ssh/sshd_config.d/lab.conf").write_text(settings)
    for directory in ("var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / directory, ignore_errors=True)


def _install_modules(root: Path, source: Path) -> None:
    target = root / "lib/modules" / source.name
    target.mkdir(parents=True)
    for name in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
        if (source / name).exists():
            shutil.copy(source / name, target)
    for part in MODULE_PARTS:
        for found in (source / "kernel" / part).parent.glob(f"{Path(part).name}*"):
            to = target / "kernel" / found.relative_to(source / "kernel")
            to.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, to, dirs_exist_ok=True)
            else:
                shutil.copy(found, to)
    _run("chroot", str(root), "depmod", source.name)


def _remove_old(directory: Path) -> None:
    disks = sorted(directory.glob("nfs-guest-*.ext4"), key=lambda path: path.stat().st_mtime)
    for disk in disks[:-IMAGES_KEPT]:
        for suffix in (".ext4", ".key", ".key.pub"):
            disk.with_suffix(suffix).unlink(missing_ok=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-3000:]}")
