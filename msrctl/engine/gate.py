"""Opens and closes the gates of replicas: files in a small volume that the proxies look at on every request.

``frozen`` holds writes with 503 and a time to come back, ``read-only`` refuses them with 405, ``next`` sends
requests to the replica's registry that is about to take over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.engine.oneshot import run_oneshot
from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msrctl.engine.protocol import JSON, Engine

GATE_SECONDS = 60.0


def set_gate(engine: Engine, gate: JSON, *, set: Sequence[str] = (), clear: Sequence[str] = ()) -> list[str]:  # noqa: A002
    """Changes the gate of one replica; returns what is set afterwards.

    Arguments:
        engine: a manager.
        gate: JSON that a journal can keep: ``node`` (its id), ``image`` (image id), ``mount`` of the volume.
        set: names to set.
        clear: names to clear.

    Raises:
        MsrctlError: the node did not do it.
    """
    args = ["node", "gate"]
    args += [part for name in set for part in ("--set", name)]
    args += [part for name in clear for part in ("--clear", name)]
    result = run_oneshot(
        engine,
        image_id=gate["image"],
        node_id=gate["node"],
        args=args,
        mounts=[gate["mount"]],
        labels={},
        timeout=GATE_SECONDS,
        user="0:0",
        wait_gone=False,
        any_version=True,  # a gate that is closed must be opened by whoever undoes
    )
    if not result.ok:
        raise MsrctlError(f"the gate on node {gate['node']} cannot be set: {result.why}", code="GATE")
    return [str(name) for name in result.lines[-1]["gate"]]
