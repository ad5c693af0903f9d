"""A guest that is an NFS server: knfsd with versions 3, 4.0, 4.1 and 4.2, and exports of every kind."""

from __future__ import annotations

from labs.nfs.guest import Guest

EXPORT_OPTIONS = "rw,sync,no_subtree_check,no_root_squash"
ALL_VERSIONS = ("3", "4.0", "4.1", "4.2")


class NfsServer(Guest):
    """An NFS server; each test makes the directories that it exports with `export`."""

    role = "nfs"
    memory = "300M"
    survey = f"exportfs -v; rpcinfo -p; cat /proc/fs/nfsd/versions; {Guest.survey}"

    def ready(self) -> bool:
        """Whether it serves NFS and takes commands."""
        if "lab: ready" not in self.console_end():
            return False
        try:
            self.ssh("true", timeout=10)
        except RuntimeError:
            return False
        return True

    def export(
        self, path: str, options: str = EXPORT_OPTIONS, *, clients: str = "*", mode: str = "0755"
    ) -> None:
        """Makes a directory of root's and exports it, in addition to what is exported already.

        Arguments:
            path: absolute.
            options: as in exports(5).
            clients: to whom, as in exports(5).
            mode: of the directory.
        """
        self.ssh(
            f"mkdir -p {path} && chmod {mode} {path} && "
            f"sed -i '\\#^{path} #d' /etc/exports && "
            f"echo '{path} {clients}({options})' >>/etc/exports && exportfs -ra"
        )

    def unexport(self, path: str) -> None:
        """Exports a directory no longer; clients that have it mounted get `Stale file handle`."""
        self.ssh(f"sed -i '\\#^{path} #d' /etc/exports && exportfs -ra && exportfs -f")

    def serve(self, *versions: str) -> None:
        """Serves only these versions of NFS from now on, without a grace period.

        Arguments:
            versions: of `ALL_VERSIONS`; none: all.
        """
        wanted = versions or ALL_VERSIONS
        flags = [f"{'-V' if version in wanted else '-N'} {version}" for version in ALL_VERSIONS]
        if not any(version.startswith("4") for version in wanted):
            flags.append("-N 4")
        self.ssh(f"lab-nfsd stop && lab-nfsd start {' '.join(flags)}")

    def stop(self) -> None:
        """Stops the NFS server; the guest lives on and refuses connections to port 2049."""
        self.ssh("lab-nfsd stop")
