"""Azure's blob storage by Azurite, over TLS with a private CA.

The account is reached by a name of its own, as Azure's are (``https://ACCOUNT.blob.REALM``): the registry's
driver takes Azurite's usual account `devstoreaccount1` for an emulator at 127.0.0.1:10000, which in a
container is nobody.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labs.stores.certificates import server_files
from labs.stores.description import WRONG_SECRET, ObjectStore
from labs.stores.installed import node_packages
from labs.stores.ports import listens
from labs.stores.running import store_machine
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = "azurite@3"
ACCOUNT = "msrctltest"
REALM = "azure.test"
CONTAINER = "registry"
PORT = 443  # the driver has no parameter for it


@dataclass(frozen=True, kw_only=True)
class AzureStore(ObjectStore):
    """A blob store of one account.

    Attributes:
        address: where the account's name must lead.
        account: the account's name.
        key: its key, base64.
        realm: the end of the account's host name.
    """

    address: str
    account: str
    key: Secret
    realm: str

    @property
    def needs_hosts(self) -> tuple[tuple[str, str], ...]:
        """The account's host name."""
        return ((f"{self.account}.blob.{self.realm}", self.address),)

    def storage_section(self) -> dict[str, dict[str, Any]]:
        """The driver's parameters, version 2.8."""
        return {
            "azure": {
                "accountname": self.account,
                "accountkey": self.key.reveal_text(),
                "container": self.container,
                "realm": self.realm,
            }
        }

    def with_wrong_secret(self) -> AzureStore:
        """The same account with another key."""
        return dataclasses.replace(self, key=WRONG_SECRET)


def requirements() -> Path:
    """The directory with Azurite's program; made when it is not in the cache, in 15-25 s."""
    return node_packages("azurite", PACKAGE)


@contextlib.contextmanager
def azurite(address: str) -> Iterator[AzureStore]:
    """A blob store on port 443; the container is made by whoever uses it first, as the registry does.

    Arguments:
        address: the address of this machine to listen on; nothing else may listen on its port 443.

    Raises:
        RuntimeError: it did not start; the text has the end of its log.
    """
    program = requirements() / "azurite-blob"
    host = f"{ACCOUNT}.blob.{REALM}"
    with store_machine("azurite") as machine:
        files = server_files(machine.directory, host)
        key = base64.b64encode(os.urandom(64)).decode()
        data = machine.directory / "blobs"
        data.mkdir()
        machine.start(
            *("azurite", str(program), "--blobHost", address, "--blobPort", str(PORT)),
            *("--location", str(data), "--silent", "--skipApiVersionCheck", "--disableTelemetry"),
            *("--cert", str(files.certificate), "--key", str(files.key)),
            env={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
        )
        machine.wait_for(lambda: listens(address, PORT), 30, "Azurite answers")
        yield AzureStore(
            endpoint=f"https://{host}",
            container=CONTAINER,
            ca=files.ca,
            machine=machine,
            address=address,
            account=ACCOUNT,
            key=Secret(key),
            realm=REALM,
        )
