"""The stores of the labs: each one starts, refuses who has no business there, and serves a registry."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import yaml

from labs.stores.full_registry import REFERENCE
from labs.stores.names import NameServer, names_for
from labs.stores.trial import blobs, logs, trial_registry
from labs.system import eventually
from msrctl import __version__
from msrctl.storage.config_file import parse_storage_config
from msrctl.transfer.pulse import ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host
    from labs.stores.azure import AzureStore
    from labs.stores.description import ObjectStore
    from labs.stores.gcs import GcsServer
    from labs.stores.moto import MotoStore
    from labs.stores.s3 import S3Store

pytest_plugins = ("labs.stores.fixtures",)

OURS = f"msrctl/msr:{__version__}"
# Store by fixture, with the image whose registry has the driver.
STORES = {
    "moto_s3": OURS,
    "moto_s3_tls": OURS,
    "ceph_s3": OURS,
    "swift_v1": OURS,
    "swift_v3": OURS,
    "azurite": REFERENCE,
    "fake_gcs": REFERENCE,
}


@pytest.fixture(scope="module")
def engine(lab: Lab, full_registry_image: Path) -> Host:
    """The lab's host, with both images."""
    lab[1].load(full_registry_image)
    return lab[1]


@pytest.fixture(params=STORES)
def stored(request: pytest.FixtureRequest, lab: Lab) -> Iterator[tuple[ObjectStore, str]]:
    """Each store with the image for it, its names resolvable."""
    store: ObjectStore = request.getfixturevalue(request.param)
    with names_for(lab, *store.needs_hosts) if store.needs_hosts else contextlib.nullcontext():
        yield store, STORES[request.param]


@pytest.fixture(scope="module")
def overlay(lab: Lab) -> Iterator[str]:
    """An attachable overlay network, as a replica's services have."""
    host = lab[1]
    if host.client.info()["Swarm"]["LocalNodeState"] == "inactive":
        lab.swarm()
    name = "trial-overlay"
    host.cli("network", "create", "--driver", "overlay", "--attachable", name)
    yield name
    eventually(lambda: host.cli("network", "rm", name, check=False).returncode == 0, 20)


def test_a_registry_in_an_overlay_pushes_and_pulls(
    engine: Host, overlay: str, stored: tuple[ObjectStore, str]
) -> None:
    store, image = stored
    with trial_registry(engine, image, store, network=overlay) as registry:
        for blob in blobs():
            answer = registry.push("team/app", blob)
            assert answer.status_code == 201, f"{answer.text}\n{logs(engine, registry)}"
            assert registry.pull("team/app", _digest(blob)) == blob


def test_a_wrong_password_or_key_is_refused(engine: Host, stored: tuple[ObjectStore, str]) -> None:
    store, image = stored
    with trial_registry(engine, image, store.with_wrong_secret(), network="host", wait=False) as registry:

        def refused() -> bool:
            # Swift's and Azure's drivers end the registry, the others' fail at the first request.
            state = engine.cli("inspect", "-f", "{{.State.Running}}", registry.container).stdout
            if "false" in state:
                return True
            with contextlib.suppress(OSError):
                assert registry.push("team/app", b"not mine").status_code >= 500
                return True
            return False

        eventually(refused, 30)
        said = logs(engine, registry)
    assert any(word in said for word in REFUSALS), said


REFUSALS = ("SignatureDoesNotMatch", "Authorization Failed", "AuthorizationFailure", "Invalid JWT Signature")


@pytest.mark.parametrize(
    ("permission", "method", "path", "query"),
    [
        ("ListBucket", "GET", "", {"list-type": "2"}),
        ("GetBucketLocation", "GET", "", {"location": ""}),
        ("ListBucketMultipartUploads", "GET", "", {"uploads": ""}),
        ("PutObject", "PUT", "/probe", {}),
        ("GetObject", "GET", "/probe", {}),
        ("DeleteObject", "DELETE", "/probe", {}),
    ],
)
def test_a_restricted_user_lacks_that_permission_alone(
    moto_s3: MotoStore, permission: str, method: str, path: str, query: dict[str, str]
) -> None:
    url = f"{moto_s3.endpoint}/{moto_s3.container}"
    assert moto_s3.signer.send("PUT", f"{url}/probe", body=b"x").ok
    user = moto_s3.restricted(permission)
    refused = user.signer.send(method, url + path, query)
    assert refused.status_code == 403
    assert "AccessDenied" in refused.text
    assert user.signer.send("HEAD" if permission != "GetObject" else "PUT", f"{url}/probe").ok


def test_parts_of_uploads_have_permissions_of_their_own(moto_s3: MotoStore) -> None:
    url = f"{moto_s3.endpoint}/{moto_s3.container}/parts"
    begun = moto_s3.signer.send("POST", url, {"uploads": ""}).text
    upload = begun.split("<UploadId>")[1].split("<")[0]
    for permission, method in (("ListMultipartUploadParts", "GET"), ("AbortMultipartUpload", "DELETE")):
        refused = moto_s3.restricted(permission).signer.send(method, url, {"uploadId": upload})
        assert refused.status_code == 403, permission
        assert moto_s3.signer.send(method, url, {"uploadId": upload}).ok, permission


def test_s3_refuses_a_key_that_it_does_not_know(ceph_s3: S3Store) -> None:
    url = f"{ceph_s3.endpoint}/{ceph_s3.container}"
    assert ceph_s3.signer.send("GET", url, {"max-keys": "1"}).ok
    refused = ceph_s3.with_wrong_secret().signer.send("GET", url, {"max-keys": "1"})
    assert refused.status_code == 403
    assert "SignatureDoesNotMatch" in refused.text


def test_a_service_account_without_a_right_is_refused(engine: Host, lab: Lab, fake_gcs: GcsServer) -> None:
    reader = fake_gcs.others["without-create"]
    with names_for(lab, *reader.needs_hosts), trial_registry(engine, REFERENCE, reader) as registry:
        assert registry.push("team/app", b"read only").status_code >= 500
        denied = "does not have storage.objects.create access"
        eventually(lambda: denied in logs(engine, registry), 10, what="the registry logs why")


@pytest.mark.parametrize("kind", ["azurite", "fake_gcs"])
def test_msrctl_in_its_image_checks_the_store_as_the_registry_will_reach_it(
    request: pytest.FixtureRequest, lab: Lab, overlay: str, kind: str
) -> None:
    store: ObjectStore = request.getfixturevalue(kind)
    host, directory = lab[1], lab[1].directory / f"check-{kind}"
    ((driver, section),) = store.storage_section().items()
    asked = parse_storage_config(yaml.safe_dump({driver: section | {"rootca": store.ca}}), environ={})
    described = {
        "kind": asked.kind,
        "parameters": asked.parameters,
        "root_ca": asked.root_ca,
        "words": "the store",
        "secrets": sorted(asked.secrets),
    }
    (directory / "secrets").mkdir(parents=True)
    (directory / "new.json").write_text(json.dumps(described))
    for name, secret in asked.secrets.items():
        (directory / "secrets" / f"new.{name}").write_bytes(secret.reveal())
    mounts = (
        "-v",
        f"{directory}/new.json:/run/msrctl/new.json:ro",
        "-v",
        f"{directory}/secrets:/run/secrets:ro",
    )
    with names_for(lab, *store.needs_hosts):
        told = host.cli("run", "--rm", "--network", overlay, *mounts, OURS, "node", "store", "check").stdout
    answers = [answer for line in told.splitlines() if (answer := json.loads(line))["type"] != ALIVE]
    assert [answer for answer in answers if not answer["ok"]] == []
    assert {"check", "result"} == {answer["type"] for answer in answers}


def test_a_frozen_store_answers_again_when_it_thaws(moto_s3: MotoStore) -> None:
    moto_s3.machine.freeze()
    try:
        with pytest.raises(OSError, match=r"timed out"):
            moto_s3.signer.send("GET", moto_s3.endpoint, timeout=1)
    finally:
        moto_s3.machine.freeze(False)
    assert moto_s3.signer.send("GET", moto_s3.endpoint).ok


def test_no_description_shows_a_secret(moto_s3: MotoStore, azurite: AzureStore, fake_gcs: GcsServer) -> None:
    for store in (moto_s3, azurite, fake_gcs):
        (section,) = store.storage_section().values()
        hidden = [section.get("secretkey"), section.get("accountkey")]
        hidden.append(section.get("credentials", {}).get("private_key"))
        assert any(hidden)
        assert not any(secret in repr(store) for secret in hidden if secret)


def test_the_image_with_all_drivers_starts_like_the_registry_projects(engine: Host) -> None:
    arguments = ("--entrypoint", "registry", REFERENCE, "--version")
    assert "2.8.3" in engine.cli("run", "--rm", *arguments).stdout
    told = json.loads(engine.cli("image", "inspect", REFERENCE).stdout)[0]["Config"]
    assert told["Cmd"] == ["/etc/docker/registry/config.yml"]
    name = "trial-plain"
    engine.cli("run", "-d", "--name", name, REFERENCE)
    try:
        eventually(lambda: "listening on" in engine.cli("logs", name).stderr, 20)
    finally:
        engine.cli("rm", "-f", "-v", name)


def test_the_name_server_knows_its_names_and_denies_the_rest() -> None:
    server = NameServer({"Storage.example": "10.1.2.3"})
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    known = server.answer(question + b"\x07STORAGE\x07example\x00\x00\x01\x00\x01")
    assert known[:2] == b"\x12\x34"
    assert known[6:8] == b"\x00\x01"
    assert known.endswith(b"\x00\x04\x0a\x01\x02\x03")
    unknown = server.answer(question + b"\x05other\x00\x00\x01\x00\x01")
    assert unknown[3] & 15 == 3
    six = server.answer(question + b"\x07storage\x07example\x00\x00\x1c\x00\x01")
    assert (six[3] & 15, six[6:8]) == (0, b"\x00\x00")


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"
