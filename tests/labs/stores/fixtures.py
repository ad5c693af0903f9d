"""Fixtures with the stores, each started when a test first asks for it and kept for the session.

Take them in with ``pytest_plugins = ("labs.stores.fixtures",)``. The stores listen in the network of the
session's one-host `lab`; for another lab use the context managers with its gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labs.stores import azure, ceph, full_registry, gcs, moto, swift
from labs.system import sh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.engines import Lab
    from labs.stores.azure import AzureStore
    from labs.stores.gcs import GcsServer
    from labs.stores.moto import MotoStore
    from labs.stores.s3 import S3Store
    from labs.stores.swift import SwiftStore

# What each fixture needs from the cache: made before the first test, as no test's time limit covers that.
MAKERS = {
    "moto_s3": moto.requirements,
    "moto_s3_tls": moto.requirements,
    "ceph_s3": ceph.root,
    "swift_v1": swift.root,
    "swift_v3": swift.root,
    "azurite": azure.requirements,
    "fake_gcs": gcs.requirements,
    "full_registry_image": full_registry.full_registry_image,
}
# Two stores insist on port 443, so each has an address of its own; hosts are numbered from 1.
AZURE_NUMBER, GCS_NUMBER = 253, 252
# Service accounts of the GCS fake that lack a right; `fake_gcs.others` has them by these names.
GCS_ACCOUNTS = {
    "without-list": ("objects.list",),
    "without-create": ("objects.create",),
    "without-get": ("objects.get",),
    "without-delete": ("objects.delete",),
}


def make_ahead(fixtures: set[str]) -> None:
    """Makes what some fixtures need from the cache.

    Arguments:
        fixtures: names of fixtures; others than the stores' are left out.
    """
    for maker in {maker: None for name, maker in MAKERS.items() if name in fixtures}:
        maker()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes what the chosen tests need before the first of them."""
    if not session.config.option.collectonly:
        make_ahead({name for item in session.items for name in _asked_for(item)})


def _asked_for(item: pytest.Item) -> set[str]:
    """Fixtures of a test; also those that it is given by name, to ask for them when it runs."""
    params: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return {*getattr(item, "fixturenames", ()), *(v for v in params.values() if isinstance(v, str))}


def extra_address(lab: Lab, number: int) -> str:
    """One more address of this machine in a lab's network; it goes with the lab.

    Arguments:
        lab: a standing lab.
        number: the address's last number.
    """
    address = f"{lab.slot.net}.{number}"
    sh("ip", "addr", "replace", f"{address}/24", "dev", lab.slot.switch.uplink)
    return address


@pytest.fixture(scope="session")
def moto_s3(lab: Lab) -> Iterator[MotoStore]:
    """S3 by moto, plain http; it also makes users that lack permissions."""
    with moto.moto(lab.gateway) as store:
        yield store


@pytest.fixture(scope="session")
def moto_s3_tls(lab: Lab) -> Iterator[MotoStore]:
    """S3 by moto over TLS with a private CA."""
    with moto.moto(lab.gateway, tls=True) as store:
        yield store


@pytest.fixture(scope="session")
def ceph_s3(lab: Lab) -> Iterator[S3Store]:
    """S3 by Ceph's gateway over TLS with a private CA."""
    with ceph.ceph(lab.gateway) as store:
        yield store


@pytest.fixture(scope="session")
def swift_v1(lab: Lab) -> Iterator[SwiftStore]:
    """Swift with its own users."""
    with swift.swift_v1(lab.gateway) as store:
        yield store


@pytest.fixture(scope="session")
def swift_v3(lab: Lab) -> Iterator[SwiftStore]:
    """Swift with Keystone's users."""
    with swift.swift_v3(lab.gateway) as store:
        yield store


@pytest.fixture(scope="session")
def azurite(lab: Lab) -> Iterator[AzureStore]:
    """Azure by Azurite over TLS with a private CA; see `names.names_for`."""
    with azure.azurite(extra_address(lab, AZURE_NUMBER)) as store:
        yield store


@pytest.fixture(scope="session")
def fake_gcs(lab: Lab) -> Iterator[GcsServer]:
    """GCS by a fake over TLS with a private CA; see `names.names_for`."""
    with gcs.fake_gcs(extra_address(lab, GCS_NUMBER), GCS_ACCOUNTS) as store:
        yield store


@pytest.fixture(scope="session")
def full_registry_image() -> Path:
    """The image `full_registry.REFERENCE`, a registry with all drivers, as a `docker save` archive."""
    return full_registry.full_registry_image()


def main() -> None:
    """Makes everything that the fixtures need from the cache."""
    make_ahead(set(MAKERS))


if __name__ == "__main__":
    main()
