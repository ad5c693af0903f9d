"""Fixtures of the tests of failures: three replicas, which are well again after each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import trio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.engines import Lab
    from support.trio import Cluster


@pytest.fixture(scope="module")
def deployed(three_engines: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with trio.one_replica(three_engines, tmp_path_factory.mktemp("shared")) as cluster:
        yield cluster


@pytest.fixture
def cluster(deployed: Cluster) -> Iterator[Cluster]:
    """Three replicas, which are well again after each test."""
    with trio.three_replicas(deployed):
        yield deployed
