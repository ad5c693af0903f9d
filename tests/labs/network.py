"""The network of a lab: one bridge, a cable to each host, an uplink that the machine reaches them by."""

from __future__ import annotations

from labs.system import sh


class Switch:
    """A bridge in a network namespace of its own.

    In the machine's namespace its frames would pass the FORWARD chain, whose policy is DROP where a dockerd
    runs.

    Arguments:
        tag: prefix of the names of namespaces and interfaces, unique on the machine.
        net: the first three numbers of the lab's network, as in ``10.77.3``.
    """

    def __init__(self, tag: str, net: str) -> None:
        self.tag = tag
        self.namespace = f"{tag}-sw"
        self.uplink = f"{tag}up"
        self.gateway = f"{net}.254"

    def up(self) -> None:
        """Makes the bridge and gives the machine an address on it."""
        sh("ip", "netns", "add", self.namespace)
        self._ip("link", "add", "br0", "type", "bridge")
        self._ip("link", "set", "br0", "up")
        sh(
            "ip",
            "link",
            "add",
            self.uplink,
            "type",
            "veth",
            "peer",
            "name",
            "uplink",
            "netns",
            self.namespace,
        )
        self._ip("link", "set", "uplink", "master", "br0", "up")
        sh("ip", "addr", "add", f"{self.gateway}/24", "dev", self.uplink)
        sh("ip", "link", "set", self.uplink, "up")

    def plug(self, number: int, address: str) -> str:
        """Makes a host's network namespace with its cable; returns the namespace's name.

        There is no default route: a name that does not resolve fails at once, and nothing from a test leaves
        the machine.
        """
        namespace = f"{self.tag}-{number}"
        sh("ip", "netns", "add", namespace)
        self._ip("link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
        self._ip("link", "set", f"v{number}", "master", "br0", "up")
        host = ("ip", "-n", namespace)
        sh(*host, "link", "set", "lo", "up")
        sh(*host, "addr", "add", f"{address}/24", "dev", "eth0")
        sh(*host, "link", "set", "eth0", "up")
        return namespace

    def link(self, number: int, *, up: bool) -> None:
        """Plugs a host's cable in or out."""
        self._ip("link", "set", f"v{number}", "up" if up else "down")

    def remove(self) -> None:
        """Removes what this tag has on the machine, also what a killed run left."""
        sh("ip", "link", "del", self.uplink, check=False)
        for line in sh("ip", "netns", "list").splitlines():
            name = line.split()[0]
            if name.startswith(f"{self.tag}-"):
                sh("ip", "netns", "del", name, check=False)

    def _ip(self, *arguments: str) -> None:
        sh("ip", "-n", self.namespace, *arguments)
