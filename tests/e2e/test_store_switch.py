"""The whole command against real stores: from a volume through one store after another, and back."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from support import look, run
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from msrctl.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from labs.engines import Lab
    from labs.stores.description import ObjectStore

pytest_plugins = ("labs.stores.fixtures",)

REPOSITORIES = ("team/app", "team/deep/er")


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1])
    with client(deployment) as registry:
        for repository in REPOSITORIES:
            for tag in ("1", "2"):
                push(registry, repository, tag, size=200_000)
    return deployment


def config(store: ObjectStore, path: Path) -> tuple[str, list[tuple[str, str]]]:
    """A storage configuration of a store, and its secrets with their names."""
    ((driver, section),) = store.storage_section().items()
    plain: dict[str, Any] = {}
    secrets = []
    for key, value in section.items():
        plain[key] = value.reveal_text() if isinstance(value, Secret) else value
        if isinstance(value, Secret) or key in {"secretkey", "password"}:
            secrets.append((key, str(plain[key])))
    if store.ca:
        plain["rootca"] = store.ca
    path.write_text(json.dumps({"storage": {driver: plain}}))
    path.chmod(0o600)
    return str(path), secrets


def digests(deployment: Deployment) -> dict[str, str]:
    with client(deployment) as registry:
        return {f"{r}:{t}": pull(registry, r, t) for r in REPOSITORIES for t in ("1", "2")}


@pytest.mark.parametrize("name", ["moto_s3", "moto_s3_tls", "ceph_s3", "swift_v1"])
def test_the_images_move_to_a_store_and_pushes_go_there(
    name: str, deployed: Deployment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store: ObjectStore = request.getfixturevalue(name)
    file, secrets = config(store, tmp_path / "store.yml")
    before, left = digests(deployed), look.document(deployed.host)["storage"]
    run.data(deployed.host, "reconfigure", "--storage-config", file, "--migrate-storage")
    assert digests(deployed) == before
    with client(deployed) as registry:
        assert pull(registry, "pushed/since", "1") if name != "moto_s3" else push(registry, "pushed/since")
        push(registry, f"pushed/{name.replace('_', '-')}")
    document = look.document(deployed.host)
    assert (document["storage"]["kind"], document["previous_storage"]) == (
        "swift" if name.startswith("swift") else "s3",
        left,
    )
    assert look.tidy(deployed.host)
    assert run.data(deployed.host, "status")["healthy"]
    assert look.leaks(look.everything_readable(deployed.host), secrets) == []
    shown = deployed.host.msrctl("storage", "show", check=0).stdout
    assert "****" in shown
    assert not [value for _, value in secrets if value in shown]
    # The same file again is no change: its secrets are those in force.
    again = run.data(deployed.host, "reconfigure", "--storage-config", file)
    assert again["outcome"] == "nothing to do"


def test_a_wrong_key_is_told_and_touches_nothing(
    deployed: Deployment, moto_s3: ObjectStore, tmp_path: Path
) -> None:
    file, _ = config(moto_s3.with_wrong_secret(), tmp_path / "wrong.yml")
    before = look.document(deployed.host)
    told = run.refused(
        deployed.host, 3, "PRE-S3-SECRET", "reconfigure", "--storage-config", file, "--migrate-storage"
    )
    assert os.fspath(tmp_path) not in told
    assert look.document(deployed.host) == before


def test_and_back_to_the_volume(deployed: Deployment) -> None:
    before = digests(deployed)
    run.data(deployed.host, "reconfigure", "--dtr-storage-volume", "", "--migrate-storage")
    assert digests(deployed) == before
    with client(deployed) as registry:
        assert pull(registry, "pushed/swift-v1")
    run.data(deployed.host, "storage", "finalize", "--yes")
    assert look.document(deployed.host)["previous_storage"] is None
    assert look.tidy(deployed.host)
