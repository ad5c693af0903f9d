"""Keystone, the identity service of OpenStack, beside a Swift: on SQLite, with one domain and one user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from labs.stores.ports import answers, free_ports

if TYPE_CHECKING:
    from labs.stores.running import StoreMachine

PACKAGES = ("keystone", "python3-keystonemiddleware", "python3-keystoneclient")
START_TIMEOUT = 90
REGION = "R1"
DOMAIN, PROJECT, USER, PASSWORD = "regdom", "regproj", "reguser", "regpw-1"
SERVICE_PASSWORD = "swiftpw-1"
ADMIN_PASSWORD = "adminpw-1"

CONFIG = """\
[database]
connection = sqlite:////srv/keystone/keystone.db
[fernet_tokens]
key_repository = /srv/keystone/fernet
[credential]
key_repository = /srv/keystone/credential
[token]
provider = fernet
"""
# The database's tables and the keys depend on nothing, and take 15 s: they are made with the root filesystem.
PREPARE = f"""\
set -e
mkdir -p /srv/keystone/fernet /srv/keystone/credential
cat >/srv/keystone/keystone.conf <<END
{CONFIG}END
manage() {{ keystone-manage --config-file /srv/keystone/keystone.conf "$@"; }}
manage db_sync
manage fernet_setup --keystone-user root --keystone-group root
manage credential_setup --keystone-user root --keystone-group root
manage bootstrap --bootstrap-password {ADMIN_PASSWORD}
"""
HOOKS = (f"--customize-hook=chroot \"$1\" bash -c '{PREPARE}'",)


def start(machine: StoreMachine, address: str) -> str:
    """Starts Keystone on a machine whose root filesystem has it; returns its address, without waiting."""
    (port,) = free_ports(address, 1)
    script = Path(__file__).with_name("keystone_server.py")
    copy = machine.directory / script.name
    copy.write_text(script.read_text())
    machine.start("keystone", "python3", str(copy), address, str(port))
    return f"http://{address}:{port}/v3"


def wait(machine: StoreMachine, identity: str) -> None:
    """Waits until Keystone answers."""
    machine.wait_for(lambda: answers(identity), START_TIMEOUT, "Keystone answers")


def furnish(identity: str, storage_url: str) -> str:
    """Makes the services, the users and their roles, and returns the id of the user's project.

    Arguments:
        identity: Keystone's address.
        storage_url: Swift's address with Keystone's own placeholder for the project.

    Raises:
        requests.HTTPError: Keystone refused.
    """
    client = _Client(identity)
    domain = client.make("domain", name=DOMAIN)
    project = client.make("project", name=PROJECT, domain_id=domain)
    user = client.make("user", name=USER, password=PASSWORD, domain_id=domain)
    client.give(user, project, client.make("role", name="swiftoperator"))
    service = client.make("project", name="service", domain_id="default")
    swift = client.make("user", name="swift", password=SERVICE_PASSWORD, domain_id="default")
    client.give(swift, service, client.role("admin"))
    client.make("region", id=REGION)
    for kind, url in (("object-store", storage_url), ("identity", identity)):
        made = client.make("service", name=kind, type=kind)
        for interface in ("public", "internal", "admin"):
            client.make("endpoint", service_id=made, interface=interface, region_id=REGION, url=url)
    return project


class _Client:
    """Keystone's API as its administrator."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._session = requests.Session()
        self._session.trust_env = False
        account = {"name": "admin", "domain": {"name": "Default"}}
        body = {
            "identity": {
                "methods": ["password"],
                "password": {"user": account | {"password": ADMIN_PASSWORD}},
            },
            "scope": {"project": account},
        }
        answer = self._send("POST", "auth/tokens", {"auth": body})
        self._session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def make(self, kind: str, **fields: str) -> str:
        made: str = self._send("POST", f"{kind}s", {kind: fields}).json()[kind]["id"]
        return made

    def role(self, name: str) -> str:
        found: str = self._send("GET", f"roles?name={name}").json()["roles"][0]["id"]
        return found

    def give(self, user: str, project: str, role: str) -> None:
        self._send("PUT", f"projects/{project}/users/{user}/roles/{role}")

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        answer = self._session.request(method, f"{self._identity}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer
