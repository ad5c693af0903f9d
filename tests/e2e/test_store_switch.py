"""The whole command against real stores: from a volume through one store after another, and back."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import pytest
from support import look, moving, run
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install

if TYPE_CHECKING:
    from pathlib import Path

    from labs.engines import Lab
    from labs.stores.description import ObjectStore
    from labs.stores.moto import MotoStore

pytest_plugins = ("labs.stores.fixtures",)
pytestmark = pytest.mark.timeout(600)  # a busy machine took 170 s for one of them


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1])
    moving.fill(deployment)
    return deployment


@pytest.fixture(scope="module")
def pushed(deployed: Deployment) -> list[str]:
    """Repositories that were pushed to the stores so far; the first has a layer that is copied in parts."""
    with client(deployed) as registry:
        push(registry, "pushed/big", size=20_000_000)
    return ["pushed/big"]


@pytest.mark.parametrize("name", ["moto_s3", "moto_s3_tls", "ceph_s3", "swift_v1"])
def test_the_images_move_to_a_store_and_pushes_go_there(
    name: str, deployed: Deployment, pushed: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    moving.to_store(deployed, request.getfixturevalue(name), tmp_path / "store.yml")
    with client(deployed) as registry:
        assert all(pull(registry, repository) for repository in pushed)
        pushed.append(f"pushed/{name.replace('_', '-')}")
        push(registry, pushed[-1])


def test_a_wrong_key_is_told_and_touches_nothing(
    deployed: Deployment, moto_s3: ObjectStore, tmp_path: Path
) -> None:
    file, _ = moving.config(moto_s3.with_wrong_secret(), tmp_path / "wrong.yml")
    before = look.document(deployed.host)
    told = run.refused(
        deployed.host, 3, "PRE-S3-SECRET", "reconfigure", "--storage-config", file, "--migrate-storage"
    )
    assert os.fspath(tmp_path) not in told
    assert look.document(deployed.host) == before


def test_the_check_trusts_the_authorities_of_the_settings_as_the_registry_will(
    deployed: Deployment, moto_s3_tls: MotoStore, tmp_path: Path
) -> None:
    elsewhere = dataclasses.replace(moto_s3_tls, ca="", root="elsewhere")
    file, _ = moving.config(elsewhere, tmp_path / "store.yml")
    ask = ("reconfigure", "--storage-config", file, "--migrate-storage", "--dry-run")
    before = look.document(deployed.host)
    run.refused(deployed.host, 3, "PRE-STORE-TLS-CA", *ask)
    run.data(deployed.host, *ask, "--custom-ca-cert-bundle", moto_s3_tls.ca)
    assert look.document(deployed.host) == before


def test_and_back_to_the_volume(deployed: Deployment, pushed: list[str]) -> None:
    moving.to_volume(deployed)
    with client(deployed) as registry:
        assert all(pull(registry, repository) for repository in pushed)
