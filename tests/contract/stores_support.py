"""The image stores under contract: each one is started when a test first asks for it, without any engine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING

import pytest

from labs.stores import azure, gcs, moto, swift
from labs.stores.here import names_known, own_loopback
from msrctl.storage.config_file import parse_storage_config
from msrctl.transfer.files import FileStore
from msrctl.transfer.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from labs.stores.description import ObjectStore
    from labs.stores.moto import MotoStore
    from msrctl.transfer.store import Store

ADDRESS = "127.0.0.1"


def need_root() -> None:
    """Leaves a test out where no store can be started; with MSRCTL_REQUIRE_ENGINE=1 it fails."""
    if os.geteuid() == 0:
        return
    if os.environ.get("MSRCTL_REQUIRE_ENGINE") == "1":
        pytest.fail("MSRCTL_REQUIRE_ENGINE=1, but stores need root", pytrace=False)
    pytest.skip("stores need root")


@contextlib.contextmanager
def moto_store(*, tls: bool = False) -> Iterator[MotoStore]:
    """S3 by moto on this machine alone."""
    need_root()
    with moto.moto(ADDRESS, tls=tls) as store:
        yield store


def opened(described: ObjectStore, **changes: object) -> Store:
    """The store that msrctl makes of a description, by the way that a storage configuration goes.

    Arguments:
        described: a store of the labs.
        changes: parameters to add to its storage section; None takes one away.
    """
    import yaml

    ((driver, section),) = described.storage_section().items()
    section = {key: value for key, value in (section | changes).items() if value is not None}
    if described.ca:
        section.setdefault("rootca", described.ca)
    asked = parse_storage_config(yaml.safe_dump({driver: section}), environ={})
    facts = {
        "kind": asked.kind,
        "parameters": asked.parameters,
        "root_ca": asked.root_ca,
        "words": f"the {asked.kind} store",
    }
    return open_store(facts, asked.secrets, mounted=None)  # type: ignore[arg-type]  # no store here is mounted


@contextlib.contextmanager
def files(directory: Path) -> Iterator[Store]:
    """A directory."""
    yield FileStore(directory)


@contextlib.contextmanager
def s3(_: Path) -> Iterator[Store]:
    """S3 by moto, below a root directory."""
    with moto_store() as store:
        yield opened(dataclasses.replace(store, root="/deep/er/"))


@contextlib.contextmanager
def s3_tls(_: Path) -> Iterator[Store]:
    """S3 by moto over TLS with a private CA."""
    with moto_store(tls=True) as store:
        yield opened(store)


@contextlib.contextmanager
def s3_plain(_: Path) -> Iterator[Store]:
    """S3 by single requests, as a store with an ACL needs it."""
    with moto_store() as store:
        yield opened(store, objectacl="bucket-owner-full-control")


@contextlib.contextmanager
def azurite(_: Path) -> Iterator[Store]:
    """Azure by Azurite."""
    with azure.azurite(own_loopback()) as store, names_known(*store.needs_hosts):
        yield opened(store)


@contextlib.contextmanager
def fake_gcs(_: Path) -> Iterator[Store]:
    """GCS by a fake with service accounts, below a root directory."""
    with gcs.fake_gcs(own_loopback()) as store, names_known(*store.needs_hosts):
        yield opened(store, rootdirectory="/deep/er/")


@contextlib.contextmanager
def swift_1(_: Path) -> Iterator[Store]:
    """Swift with its own users, below a prefix."""
    need_root()
    with swift.swift_v1(ADDRESS) as store:
        yield opened(store, prefix="deep/er")


@contextlib.contextmanager
def swift_3(_: Path) -> Iterator[Store]:
    """Swift with Keystone's users."""
    need_root()
    with swift.swift_v3(ADDRESS) as store:
        yield opened(store)


STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "files": files,
    "s3": s3,
    "s3-tls": s3_tls,
    "s3-plain": s3_plain,
    "azure": azurite,
    "gcs": fake_gcs,
    "swift-1": swift_1,
    "swift-3": swift_3,
    # Further kinds: one line each, of a context manager that starts the store and opens it.
}
"""By the name that the tests' ids show; each is given an empty directory."""
