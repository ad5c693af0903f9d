"""What the storage options name: the store in force, the same with other options, or another one."""

from __future__ import annotations

from typing import Any

import pytest

from msrctl.errors import UsageFault
from msrctl.model.cluster import Storage
from msrctl.model.requests import SettingsRequest, StorageRequest
from msrctl.secret import Secret
from msrctl.workflows.material import Material
from msrctl.workflows.storage import asked

NFS = Storage("nfs", {"host": "nas", "export": "/images", "version": "4.1"}, store_id="s1")
URL = "nfs://nas/images"


def ask(before: Storage, **settings: Any) -> Storage:
    return asked(before, SettingsRequest(**settings), Material("c0ffee000001", "0.1.0"))


@pytest.mark.parametrize(
    "settings",
    [{}, {"storage_volume": ""}, {"nfs_storage_url": ""}],
)
def test_nothing_asked_for_is_the_store_in_force(settings: dict[str, Any]) -> None:
    before = Storage()
    assert ask(before, **settings) is before


def test_naming_the_volume_or_directory_in_use_is_no_change() -> None:
    for before, value in (
        (Storage(parameters={"volume": "images"}, store_id="s1"), "images"),
        (Storage("bind", {"path": "/srv"}, store_id="s1"), "/srv"),
    ):
        assert ask(before, storage_volume=value) is before


@pytest.mark.parametrize("settings", [{"nfs_storage_url": ""}, {"storage_volume": ""}])
def test_leaving_nfs_goes_back_to_the_local_volume(settings: dict[str, Any]) -> None:
    assert ask(NFS, **settings) == Storage()


@pytest.mark.parametrize("settings", [{}, {"async_nfs": False}, {"nfs_options": ""}])
def test_the_nfs_url_in_force_is_no_change(settings: dict[str, Any]) -> None:
    assert ask(NFS, nfs_storage_url=URL, **settings) == NFS


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"async_nfs": True}, {"asynchronous": True}),
        ({"nfs_options": "rw,hard"}, {"options": "rw,hard"}),
    ],
)
def test_other_mount_options_keep_everything_else_of_the_store(
    settings: dict[str, Any], changed: dict[str, Any]
) -> None:
    found = ask(NFS, nfs_storage_url=URL, **settings)
    assert found == Storage("nfs", NFS.parameters | changed, store_id="s1")


def test_async_next_to_options_taken_as_they_are_is_refused() -> None:
    before = Storage("nfs", NFS.parameters | {"options": "rw,sync"})
    with pytest.raises(UsageFault, match="has no effect") as error:
        ask(before, nfs_storage_url=URL, async_nfs=True)
    assert error.value.code == "NFS-OPTIONS"


@pytest.mark.parametrize("url", ["nfs://nas/other", "nfs://other/images"])
def test_another_export_is_another_store_whose_version_is_not_known_yet(url: str) -> None:
    found = ask(NFS, nfs_storage_url=url)
    assert found.kind == "nfs"
    assert (found.store_id, found.parameters.get("version")) == (None, None)


def test_an_object_store_brings_its_secrets_by_name_only() -> None:
    material = Material("c0ffee000001", "0.1.0")
    config = StorageRequest(
        "s3", {"bucket": "images"}, {"secretkey": Secret("not to be seen")}, root_ca="PEM", redirect=False
    )
    found = asked(Storage(), SettingsRequest(storage_config=config), material)
    assert (found.kind, found.parameters, found.root_ca, found.redirect) == (
        "s3",
        {"bucket": "images"},
        "PEM",
        False,
    )
    name = found.secrets["secretkey"]
    assert material.secrets[name][0].reveal() == b"not to be seen"
    assert "not to be seen" not in repr(found) + repr(material)
