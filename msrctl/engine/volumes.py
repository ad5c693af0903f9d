"""Volumes of replicas: by the API on the endpoint's own node, by a one-shot with the socket on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine.removal import IN_USE_SECONDS, remove_when_free
from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.engine.protocol import Engine


def remove_volume(
    engine: Engine,
    name: str,
    node_id: str,
    labels: Mapping[str, str],
    *,
    image: str | None = None,
    seconds: float = IN_USE_SECONDS,
) -> bool:
    """Removes a volume if it carries all the labels; False if there is none or it is not ours.

    Arguments:
        engine: a manager.
        name: the volume.
        node_id: swarm node that has it.
        labels: what the volume must carry: a volume that somebody else made is never removed.
        image: image id for a one-shot on another node.
        seconds: how long to wait, on the endpoint's own node, for containers to let go of it.

    Raises:
        Conflict: containers still use it.
    """
    if engine.info()["Swarm"]["NodeID"] != node_id:
        return _on_other_node(engine, name, node_id, labels, image)
    found = engine.find("volumes", name)
    if found is None or any((found.get("Labels") or {}).get(k) != v for k, v in labels.items()):
        return False
    return remove_when_free(engine, "volumes", name, seconds)


def _on_other_node(
    engine: Engine, name: str, node_id: str, labels: Mapping[str, str], image: str | None
) -> bool:
    from msrctl.engine.oneshot import run_oneshot

    if image is None:
        raise MsrctlError(
            f"volume {name} is on node {node_id}, and no image is known there to remove it with",
            hint=f"Run on that node: docker volume rm {name}",
        )
    flags = [part for key, value in labels.items() for part in ("--label", f"{key}={value}")]
    socket = {"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/var/run/docker.sock"}
    result = run_oneshot(
        engine,
        image_id=image,
        node_id=node_id,
        args=["node", "remove-volume", name, *flags],
        mounts=[socket],
        labels={},
        timeout=90.0,
        any_version=True,  # an undo and a destroy must not fail for this
    )
    return any(line.get("removed") for line in result.lines)
