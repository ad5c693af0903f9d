"""An installed registry as its users see it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labs.host import Host

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Deployment:
    """A registry with one replica.

    Attributes:
        host: where it was installed.
        registry: how image names begin (``host`` or ``host:port``).
        replica_id: 12 hex digits.
        ca: the CA (PEM) that its certificate is from.
        user: its administrator.
        password: theirs.
        front: address of a balancer before it; empty: clients go to the host itself.
    """

    host: Host
    registry: str
    replica_id: str
    ca: str
    user: str = "admin"
    password: str = field(default=PASSWORD, repr=False)
    front: str = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://{self.registry}"


def install(host: Host, *more: str, port: int = 443, timeout: float = 180, password: str = "") -> Deployment:
    """Runs `msrctl install` on a host that has none, under the host's address.

    Arguments:
        host: its engine has msrctl's image.
        more: further arguments for ``install``.
        port: the https port.
        timeout: seconds for the command.
        password: the administrator's; without one msrctl makes one up, whose hash costs the registry a
            thirtieth of the time at each request: two processors serve that many more clients.

    Raises:
        AssertionError: it failed; the text has all that it wrote.
    """
    registry = host.ip if port == 443 else f"{host.ip}:{port}"
    done = host.msrctl(
        *("--output", "json", "install", "--dtr-external-url", f"https://{registry}"),
        *("--replica-https-port", str(port), *more),
        env={"MSRCTL_ADMIN_PASSWORD": password} if password else None,
        check=0,
        timeout=timeout,
    )
    data = json.loads(done.stdout)["data"]
    password = password or data["password"]
    return Deployment(host, registry, data["replica_id"], data["ca"], password=password)
