"""What a registry writes we read, and what we write it serves and replaces: its drivers for Azure and Google.

The registry is a process of its own here, not a container: the stores' names and CA are all it needs.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import requests

from labs.stores.azure import azurite
from labs.stores.bare_registry import bare_registry
from labs.stores.gcs import fake_gcs
from labs.stores.here import names_known, own_loopback
from msrctl.secret import Secret
from msrctl.transfer.azure import AzureStore
from msrctl.transfer.copy import Progress, copy_blobs, mirror_links, verify_digests
from msrctl.transfer.files import FileStore
from msrctl.transfer.gcs import GcsStore
from msrctl.transfer.inventory import blob_key, take
from msrctl.transfer.resolve import broken_tags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.stores.azure import AzureStore as AzureServer
    from labs.stores.gcs import GcsServer
    from labs.stores.trial import TrialRegistry
    from msrctl.transfer.store import Store

TYPE = "application/vnd.docker.distribution.manifest.v2+json"
SIZES = (100, 1_000, 300_000, 17_000_000)


@pytest.fixture(params=["azure", "gcs"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[TrialRegistry, Store]]:
    """A registry, and its store as we see it."""
    started = azurite(own_loopback()) if request.param == "azure" else fake_gcs(own_loopback())
    with started as server, names_known(*server.needs_hosts), bare_registry(server) as registry:
        yield registry, ours(server)


def ours(server: AzureServer | GcsServer) -> Store:
    (parameters,) = server.storage_section().values()
    if "accountname" in parameters:
        secrets = {"accountkey": Secret(parameters.pop("accountkey"))}
        return AzureStore(parameters, secrets, server.ca, "azure://test")
    secrets = {"keyfile": Secret(json.dumps(parameters.pop("credentials")))}
    return GcsStore(parameters, secrets, server.ca, "gs://test")


class Client:
    """Pushes and pulls images as docker does."""

    def __init__(self, registry: TrialRegistry) -> None:
        self._registry = registry
        self._session = requests.Session()
        self._session.trust_env = False

    def push(self, repository: str, tag: str, layers: list[bytes]) -> str:
        """Pushes an image; returns its digest."""
        for blob in layers:
            answer = self._registry.push(repository, blob)
            assert answer.status_code == 201, answer.text
        described = [{"mediaType": "x/y", "size": len(b), "digest": digest(b)} for b in layers]
        manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": TYPE}
        manifest |= {"config": described[0], "layers": described[1:]}
        body = json.dumps(manifest).encode()
        answer = self._session.put(
            self._url(repository, tag), data=body, headers={"Content-Type": TYPE}, timeout=60
        )
        assert answer.status_code == 201, answer.text
        return digest(body)

    def pull(self, repository: str, tag: str) -> tuple[str, list[bytes]]:
        """Pulls an image: its digest and its layers."""
        answer = self._session.get(self._url(repository, tag), headers={"Accept": TYPE}, timeout=60)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        parts = [told["config"], *told["layers"]]
        return digest(answer.content), [self._registry.pull(repository, p["digest"]) for p in parts]

    def _url(self, repository: str, tag: str) -> str:
        return f"{self._registry.url}/v2/{repository}/manifests/{tag}"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image() -> list[bytes]:
    return [os.urandom(size) for size in SIZES]


def copied(source: Store, target: Store) -> None:
    """All of one store to another, which then holds the same."""
    progress = Progress()
    there = take(source)
    before = take(target)
    copy_blobs(source, target, there.blobs, before.blobs, progress)
    mirror_links(there, target, before, progress)
    assert not progress.corrupt
    assert take(target) == there
    assert verify_digests(target, there.blobs) == []


def test_what_the_registry_pushed_is_read_copied_out_and_back_and_served_again(
    pair: tuple[TrialRegistry, Store], tmp_path: Path
) -> None:
    registry, store = pair
    client, first, second = Client(registry), image(), image()
    named = {tag: client.push("team/app", tag, layers) for tag, layers in (("1", first), ("2", second))}

    there = take(store)
    assert there.repositories["team/app"].tags == named
    assert set(there.blobs) == {digest(b) for b in first + second} | set(named.values())
    assert broken_tags(there, there, store) == []

    aside = FileStore(tmp_path)
    copied(store, aside)
    store.delete([key for key, _ in store.list("docker/registry/v2")])
    assert take(store).blobs == {}
    copied(aside, store)

    assert client.pull("team/app", "1") == (named["1"], first)
    assert client.pull("team/app", "2") == (named["2"], second)


def test_the_registry_moves_a_tag_over_our_links_and_we_over_its(
    pair: tuple[TrialRegistry, Store], tmp_path: Path
) -> None:
    registry, store = pair
    client, old, new = Client(registry), image(), image()
    first = client.push("team/app", "latest", old)
    copied(store, FileStore(tmp_path))
    # All is ours now: links, manifests and layers, in place of what the registry wrote.
    for key, size in list(store.list("docker/registry/v2")):
        data = b"".join(store.stream(key))
        store.write(key, [data], size)
    assert client.pull("team/app", "latest") == (first, old)

    second = client.push("team/app", "latest", new)
    assert take(store).repositories["team/app"].tags == {"latest": second}
    assert client.pull("team/app", "latest") == (second, new)
    # The same layers once more: the registry finds them there, whoever wrote them.
    assert client.push("team/app", "again", old) == first
    assert client.pull("team/app", "again") == (first, old)

    # Back to what it was: over the link that the registry has just written.
    before = take(FileStore(tmp_path))
    mirror_links(before, store, take(store), Progress())
    assert take(store).repositories == before.repositories
    assert client.pull("team/app", "latest") == (first, old)
    assert store.size(blob_key(second)) is not None
