"""The whole command at Azure and Google: there with a registry that can, and back without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import look, moving, run
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.stores.full_registry import REFERENCE
from labs.stores.names import names_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.engines import Lab
    from labs.stores.azure import AzureStore
    from labs.stores.description import ObjectStore
    from labs.stores.gcs import GcsServer

pytest_plugins = ("labs.stores.fixtures",)


@pytest.fixture(scope="module")
def deployed(
    lab: Lab, full_registry_image: Path, azurite: AzureStore, fake_gcs: GcsServer
) -> Iterator[Deployment]:
    """msrctl's own registry with images in its volume; its containers know both stores' names."""
    clean_lab(lab, leave_swarm=True)
    lab[1].load(full_registry_image)
    with names_for(lab, *azurite.needs_hosts, *fake_gcs.needs_hosts):
        deployment = install(lab[1])
        moving.fill(deployment)
        yield deployment


@pytest.mark.timeout(600)  # two switches
@pytest.mark.parametrize("name", ["azurite", "fake_gcs"])
def test_the_images_move_there_and_back_and_no_tag_is_lost(
    name: str, deployed: Deployment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store: ObjectStore = request.getfixturevalue(name)
    file, _ = moving.config(store, tmp_path / "store.yml")
    before = look.document(deployed.host)
    ask = ("reconfigure", "--storage-config", file, "--migrate-storage")
    assert "--registry-image" in run.refused(deployed.host, 3, "PRE-REGISTRY-DRIVER", *ask)
    assert look.document(deployed.host) == before
    moving.to_store(deployed, store, tmp_path / "store.yml", "--registry-image", REFERENCE)
    with client(deployed) as registry:
        there = push(registry, f"pushed/{name.replace('_', '-')}", size=6_000_000)
    document = look.document(deployed.host)
    run.refused(deployed.host, 3, "PRE-REGISTRY-DRIVER", "reconfigure", "--registry-image", "")
    assert look.document(deployed.host) == document
    moving.to_volume(deployed, "--registry-image", "")
    with client(deployed) as registry:
        assert pull(registry, f"pushed/{name.replace('_', '-')}") == there


@pytest.mark.parametrize(("name", "code"), [("azurite", "PRE-AZURE-KEY"), ("fake_gcs", "PRE-GCS-TOKEN")])
def test_a_wrong_key_is_told_and_touches_nothing(
    name: str, code: str, deployed: Deployment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store: ObjectStore = request.getfixturevalue(name)
    file, _ = moving.config(store.with_wrong_secret(), tmp_path / "wrong.yml")
    before = look.document(deployed.host)
    ask = ("reconfigure", "--storage-config", file, "--migrate-storage", "--registry-image", REFERENCE)
    run.refused(deployed.host, 3, code, *ask)
    assert look.document(deployed.host) == before
