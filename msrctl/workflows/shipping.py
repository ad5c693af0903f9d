"""Brings msrctl's image to a node that does not have it: from the endpoint's engine to that node's own.

A swarm cannot hand images on, and a service whose image is missing pulls from a registry; so the node's own
engine must be reached, by the address that the operator gives (`--node-docker-host`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msrctl.engine.connect import Endpoint, connect
from msrctl.errors import PreflightFailed
from msrctl.workflows.preflight import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msrctl.engine.docker import DockerEngine
    from msrctl.model.cluster import Replica
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.swarm import Node


def ship_image(
    engine: DockerEngine, report: Reporter, replica: Replica, node: Node, docker_host: str
) -> None:
    """Loads the replica's image into a node's engine, if that does not have it.

    Arguments:
        engine: where the image is.
        report: where progress goes.
        replica: whose image.
        node: the node that must have it.
        docker_host: address of that node's own engine, as DOCKER_HOST takes it.

    Raises:
        PreflightFailed: another node answers there (PRE-NODE-HOST), or the image is not here (PRE-IMAGE).
        Unreachable: nobody answers there.
        ImageError: it could not be loaded.
    """
    from msrctl.images.archive import load

    target = connect(Endpoint(), {**os.environ, "DOCKER_HOST": docker_host})
    try:
        found = target.info().get("Swarm", {}).get("NodeID")
        if found != node.id:
            raise PreflightFailed(
                f"the engine at {target.endpoint} is not that of node {node.name}",
                code="PRE-NODE-HOST",
                state=NOTHING,
                hint=f"Give the address of {node.name}'s own engine with --node-docker-host.",
            )
        if target.image(replica.image) is not None:
            return
        if engine.image(replica.image) is None:
            raise PreflightFailed(
                f"image {replica.image_reference} is not on the engine at {engine.endpoint} any more",
                code="PRE-IMAGE",
                state=NOTHING,
                hint="Run this where a replica has it, or load it here with msrctl images load.",
            )
        with report.step("image", f"{replica.image_reference} to {node.name}") as progress:
            # The reference goes along, so that people recognise it; services name the image by its id.
            chunks = engine.api.get_image(replica.image_reference)
            load(target.api, _Stream(chunks), progress.detail)
            progress.detail(f"{replica.image_reference} is on {node.name}")
    finally:
        target.close()


class _Stream:
    """Pieces of bytes as an open file that is only read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)

    def read(self, size: int, /) -> bytes:  # noqa: ARG002 - a piece as it comes suits the reader
        """The next piece; empty at the end."""
        return next(self._chunks, b"")
