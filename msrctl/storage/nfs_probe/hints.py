"""What to do about each kind of failure, for a probe and for the engine's own refusal to mount."""

from __future__ import annotations

from msrctl.storage.nfs_probe import report

_REMEDIES = {
    report.RESOLVE: "Check the name, and that node's name servers and /etc/hosts; or give the address.",
    report.UNREACHABLE: "Check the address, that the server is up, and the route from that node to {host}.",
    report.TIMEOUT: (
        "The server is down or overloaded, or a firewall drops packets from that node to {host}, "
        "TCP port {port}: allow them."
    ),
    report.REFUSED: (
        "{host} is up but no NFS server listens there: start it (systemctl enable --now nfs-server), "
        "or name the right host."
    ),
    report.NOT_NFS: "Something else than an NFS server has that port of {host}: name the right host or port.",
    report.VERSION: (
        "Enable one of the versions asked for on {host} (/etc/nfs.conf, section nfsd), or ask for one "
        "that is served: --nfs-options rw,sync,actimeo=0,nfsvers=VERSION."
    ),
    report.EXPORT: (
        "On the server, export {export} to {client} (/etc/exports, then exportfs -ra; exportfs -v shows "
        "today's list); or name a directory that is exported."
    ),
    report.NOT_DIRECTORY: "Name the exported directory itself in --nfs-storage-url.",
    report.DENIED: (
        "On the server, let {client} use {export}: check its clients, and that it allows ports above 1023 "
        "(insecure) if a router rewrites them, then exportfs -ra."
    ),
    report.SECURITY: "On the server, allow sec=sys for {export}: the engine mounts without Kerberos.",
    report.READ_ONLY: "On the server, export {export} with rw to {client}, then exportfs -ra.",
    report.ROOT_SQUASH: (
        "On the server, export {export} with no_root_squash to {client} and run exportfs -ra; or let the "
        "user that root is turned into (anonuid) own the directory."
    ),
    report.OPTIONS: (
        "Check --nfs-options: the engine hands them to the kernel as they are, which does not know the "
        "options that are mount.nfs's own."
    ),
    report.KERNEL: "Load the NFS client on that node (modprobe nfs), or use a kernel that has it.",
    report.STALE: "Export {export} again on the server, then restart what has it mounted.",
    report.MOUNT: "See the kernel's log on that node (dmesg) and the server's log.",
}

NODE_RPCBIND = "Or the node itself has no rpcbind, which NFS 3 needs for locks: add nolock to --nfs-options."
PORTMAPPER_REFUSED = "NFS 3 needs the portmapper: start rpcbind on {host}, or serve NFS 4 there."


def hint(code: str, *, host: str, export: str, client: str = "", port: int = 2049) -> str:
    """The remedy for a code.

    Arguments:
        code: one of those in `report`.
        host: the server.
        export: the directory.
        client: the node's own address; "" if it is not known.
        port: where the server was asked.
    """
    names = {"host": host, "export": export, "client": client or "that node", "port": port}
    return _REMEDIES[code].format(**names)
