"""OpenStack Swift, with its own users (version 1 of the authentication) or with Keystone's (version 3)."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labs.stores import keystone
from labs.stores.description import WRONG_SECRET, ObjectStore
from labs.stores.ports import answers, free_ports
from labs.stores.roots import package_root
from labs.stores.running import store_machine
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.stores.running import StoreMachine

PACKAGES = ("swift", "swift-proxy", "swift-account", "swift-container", "swift-object", "memcached")
START_TIMEOUT = 90
CONTAINER = "registry"
GUEST_PASSWORD = "guest-pass-1"
SERVERS = ("account", "container", "object")
BEFORE_USERS = "catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl"
AFTER_USERS = "copy slo dlo proxy-server"

SWIFT_CONFIG = """\
[swift-hash]
swift_hash_path_suffix = s
swift_hash_path_prefix = p
[storage-policy:0]
name = Policy-0
default = yes
"""

SERVER_CONFIG = """\
[DEFAULT]
bind_ip = {address}
bind_port = {port}
workers = 0
user = root
devices = {home}/node
mount_check = false
log_level = WARNING
fallocate_reserve = 0
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
[{name}-replicator]
[{name}-updater]
[{name}-auditor]
"""

PROXY_CONFIG = """\
[DEFAULT]
bind_ip = {address}
bind_port = {port}
workers = 0
user = root
log_level = WARNING
[pipeline:main]
pipeline = {pipeline}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
storage_url_scheme = default
user_{tenant}_{user} = {password} .admin
user_{tenant}_guest = {guest_password}
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
username = swift
password = {service_password}
project_name = service
user_domain_id = default
project_domain_id = default
delay_auth_decision = True
memcached_servers = {address}:{memcached}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, swiftoperator
[filter:cache]
use = egg:swift#memcache
memcache_servers = {address}:{memcached}
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""

# One ring for each kind of server: one device, one replica.
RINGS = """\
set -e
mkdir -p /var/cache/swift /run/swift
mount --bind "$1/etc-swift" /etc/swift
cd /etc/swift
while read -r name port; do
  swift-ring-builder "$name.builder" create 6 1 1
  swift-ring-builder "$name.builder" add "r1z1-$2:$port/d1" 1
  swift-ring-builder "$name.builder" rebalance
done
"""


@dataclass(frozen=True, kw_only=True)
class SwiftStore(ObjectStore):
    """A Swift store; `endpoint` is the address of its authentication.

    Attributes:
        version: of the authentication, 1 or 3.
        user: name of the user, in version 1 ``tenant:user``.
        password: theirs.
        tenant: the project, version 3 only.
        domain: the domain of user and project, version 3 only.
        region: version 3 only.
        storage_url: where the objects are.
    """

    version: int
    user: str
    password: Secret
    tenant: str = ""
    domain: str = ""
    region: str = ""
    storage_url: str = field(default="", compare=False)

    def storage_section(self) -> dict[str, dict[str, Any]]:
        """The driver's parameters. (Its root is `prefix`; a `rootdirectory` would be ignored.)"""
        section: dict[str, Any] = {
            "authurl": self.endpoint,
            "username": self.user,
            "password": self.password.reveal_text(),
            "container": self.container,
        }
        more = {
            "tenant": self.tenant,
            "domain": self.domain,
            "tenantdomain": self.domain,
            "region": self.region,
        }
        return {"swift": section | {key: value for key, value in more.items() if value}}

    def as_guest(self) -> SwiftStore:
        """As a user of the same account who may do what a container's ACL says; version 1 only."""
        user = f"{self.user.partition(':')[0]}:guest"
        return dataclasses.replace(self, user=user, password=Secret(GUEST_PASSWORD))

    def with_wrong_secret(self) -> SwiftStore:
        """The same user with another password."""
        return dataclasses.replace(self, password=WRONG_SECRET)


def root() -> Path:
    """The root filesystem with Swift and Keystone; made when it is not in the cache, in 60-160 s."""
    return package_root("swift", (*PACKAGES, *keystone.PACKAGES), *keystone.HOOKS)


@contextlib.contextmanager
def swift_v1(address: str) -> Iterator[SwiftStore]:
    """Swift with users of its own; the container is made by whoever uses it first, as the registry does.

    Arguments:
        address: the address of this machine to listen on.

    Raises:
        RuntimeError: it did not start; the text has the ends of its logs.
    """
    with store_machine("swift", root()) as machine:
        tenant, user, password = "testing", "tester", "test-pass-1"
        settings = {"pipeline": _pipeline("tempauth"), "tenant": tenant, "user": user, "password": password}
        url = _start(machine, address, settings | {"keystone": "", "service_password": ""})
        yield SwiftStore(
            endpoint=f"{url}/auth/v1.0",
            container=CONTAINER,
            machine=machine,
            version=1,
            user=f"{tenant}:{user}",
            password=Secret(password),
            storage_url=f"{url}/v1/AUTH_{tenant}",
        )


@contextlib.contextmanager
def swift_v3(address: str) -> Iterator[SwiftStore]:
    """Swift with Keystone's users; the container is made by whoever uses it first, as the registry does.

    Arguments:
        address: the address of this machine to listen on.

    Raises:
        RuntimeError: it did not start; the text has the ends of its logs.
    """
    with store_machine("swift3", root()) as machine:
        identity = keystone.start(machine, address)
        unused = {"tenant": "x", "user": "x", "password": "x"}
        settings = {"pipeline": _pipeline("authtoken keystoneauth")} | unused
        keystone_settings = {"keystone": identity, "service_password": keystone.SERVICE_PASSWORD}
        url = _start(machine, address, settings | keystone_settings)
        keystone.wait(machine, identity)
        project = keystone.furnish(identity, f"{url}/v1/AUTH_%(tenant_id)s")
        yield SwiftStore(
            endpoint=identity,
            container=CONTAINER,
            machine=machine,
            version=3,
            user=keystone.USER,
            password=Secret(keystone.PASSWORD),
            tenant=keystone.PROJECT,
            domain=keystone.DOMAIN,
            region=keystone.REGION,
            storage_url=f"{url}/v1/AUTH_{project}",
        )


def _pipeline(users: str) -> str:
    return f"{BEFORE_USERS} {users} {AFTER_USERS}"


def _start(machine: StoreMachine, address: str, settings: dict[str, str]) -> str:
    """Starts everything of Swift and returns its proxy's address."""
    *ports, memcached, proxy = free_ports(address, len(SERVERS) + 2)
    etc = machine.directory / "etc-swift"
    etc.mkdir()
    (machine.directory / "node" / "d1").mkdir(parents=True)
    (etc / "swift.conf").write_text(SWIFT_CONFIG)
    settings = settings | {"guest_password": GUEST_PASSWORD}
    common = settings | {"address": address, "home": str(machine.directory), "memcached": str(memcached)}
    (etc / "proxy-server.conf").write_text(PROXY_CONFIG.format(**common, port=proxy))
    for name, port in zip(SERVERS, ports, strict=True):
        (etc / f"{name}-server.conf").write_text(SERVER_CONFIG.format(**common, name=name, port=port))
    rings = "".join(f"{name} {port}\n" for name, port in zip(SERVERS, ports, strict=True))
    machine.run("bash", "-c", RINGS, "rings", str(machine.directory), address, text=rings)
    machine.start("memcached", "memcached", "-u", "root", "-l", address, "-p", str(memcached), "-m", "16")
    for name in (*SERVERS, "proxy"):
        machine.start(name, f"swift-{name}-server", f"/etc/swift/{name}-server.conf")
    url = f"http://{address}:{proxy}"
    machine.wait_for(lambda: answers(f"{url}/healthcheck"), START_TIMEOUT, "Swift answers")
    return url
