"""What a registry writes into Swift we read, and what we write there it serves and replaces."""

from __future__ import annotations

import os
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

# The obligations are the same as for the other stores, with the registry and the store of this module.
from test_store_registry import (  # noqa: F401
    Client,
    digest,
    test_the_registry_moves_a_tag_over_our_links_and_we_over_its,
    test_what_the_registry_pushed_is_read_copied_out_and_back_and_served_again,
)

from labs.stores.bare_registry import bare_registry
from labs.stores.swift import swift_v1, swift_v3
from msrctl.model.cluster import Storage
from msrctl.secret import Secret
from msrctl.storage import backend
from msrctl.storage.config_file import parse_storage_config
from msrctl.storage.sample import sample
from msrctl.transfer.inventory import blob_key, take
from msrctl.transfer.swift import SwiftStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.stores.swift import SwiftStore as Server
    from labs.stores.trial import TrialRegistry

pytestmark = pytest.mark.engine

ADDRESS = "127.0.0.1"
SEVERAL_SEGMENTS = 45 << 20
"""Bytes: the driver's segments are 20 MiB."""


@pytest.fixture(scope="module", params=["version 1", "version 3"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with (swift_v1 if request.param == "version 1" else swift_v3)(ADDRESS) as started:
        yield started


@pytest.fixture
def pair(server: Server) -> Iterator[tuple[TrialRegistry, SwiftStore]]:
    """A registry, and its store as we see it, empty."""
    store = ours(server)
    store.delete([key for key, _ in store.list("docker/registry/v2")])
    with bare_registry(server) as registry:
        yield registry, store


def ours(server: Server, **limits: int) -> SwiftStore:
    (parameters,) = server.storage_section().values()
    secrets = {"password": Secret(parameters.pop("password"))}
    return SwiftStore(parameters, secrets, server.ca, "swift://test", **limits)


def segments(store: SwiftStore) -> list[str]:
    return [name for page in store.client.pages("segments/") for name, _ in page]


def test_a_layer_of_several_segments_is_read_and_leaves_nothing_when_it_is_deleted(
    pair: tuple[TrialRegistry, SwiftStore],
) -> None:
    registry, store = pair
    before = segments(store)
    layer = os.urandom(SEVERAL_SEGMENTS)
    Client(registry).push("team/app", "1", [b"config", layer])
    pushed = set(segments(store)) - set(before)
    assert len(pushed) > 2
    assert take(store).blobs[digest(layer)] == SEVERAL_SEGMENTS
    assert b"".join(store.stream(blob_key(digest(layer)))) == layer
    store.delete([blob_key(digest(layer)), blob_key(digest(b"config"))])
    assert set(segments(store)) == set(before)


def test_a_layer_that_we_wrote_in_segments_is_served_whole_and_in_part(
    server: Server, pair: tuple[TrialRegistry, SwiftStore]
) -> None:
    registry, store = pair
    layer, client = os.urandom(1_000_000), Client(registry)
    image = client.push("team/app", "1", [b"config", layer])
    cut = ours(server, largest=100_000, segment=300_000)
    store.delete([blob_key(digest(layer))])
    cut.write(blob_key(digest(layer)), [layer], len(layer))
    assert client.pull("team/app", "1") == (image, [b"config", layer])
    url = f"{registry.url}/v2/team/app/blobs/{digest(layer)}"
    part = requests.get(url, headers={"Range": "bytes=299990-300009"}, timeout=30)
    assert (part.status_code, part.content) == (206, layer[299_990:300_010])
    assert requests.head(url, timeout=30).headers["Content-Length"] == str(len(layer))
    # The registry finds it there, and does not write it a second time.
    before = segments(store)
    assert client.push("team/other", "1", [b"config", layer]) == image
    assert client.pull("team/other", "1") == (image, [b"config", layer])
    assert take(store).blobs[digest(layer)] == len(layer)
    assert set(before) <= set(segments(store))


def test_the_registry_takes_every_parameter_of_a_configuration_as_msrctl_renders_it(server: Server) -> None:
    if server.version == 1:
        pytest.skip("most parameters are of version 3")
    text = re.sub(r"(?m)^( *)#(?! )", r"\1", sample("swift")).replace("...", "MIIB")
    given: dict[str, Any] = yaml.safe_load(text)["storage"]["swift"]
    for by_id in ("tenantid", "domainid", "tenantdomainid", "trustid", "rootca"):
        del given[by_id]
    (ours_to_use,) = server.storage_section().values()
    given |= ours_to_use | {"secretkey": "k", "accesskey": "a"}
    asked = parse_storage_config(yaml.safe_dump({"swift": given}))
    stored = Storage(kind="swift", parameters=asked.parameters, secrets=dict.fromkeys(asked.secrets, "x"))
    section = backend(stored).driver(lambda name: asked.secrets[name].reveal_text())
    assert set(section["swift"]) == set(given)
    assert section["swift"]["tempurlmethods"] == ["GET", "PUT"]
    described: Any = SimpleNamespace(storage_section=lambda: section, needs_hosts=(), ca="")
    with bare_registry(described) as registry:
        Client(registry).push("team/app", "1", [b"config", b"layer"])
    store = SwiftStore(asked.parameters, asked.secrets, "", "swift://test")
    assert digest(b"layer") in take(store).blobs
    assert store.name("").startswith(given["prefix"])
