"""An engine under contract, the fake or a real one, and what tests do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.swarm import FakeSwarm, OneShot
from msrctl.engine.oneshot import OneShotResult, run_oneshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msrctl.engine.protocol import JSON, Engine

SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True)
class Subject:
    """An engine under contract, the manager of a swarm of two nodes.

    Arguments:
        engine: the engine.
        image: id of an image that both nodes have; it has a shell.
        here: the endpoint's node.
        other: the other node, a worker.
        swarm: the fake's inside; None for a real engine.
    """

    engine: Engine
    image: str
    here: str
    other: str
    swarm: FakeSwarm | None

    def run(self, *lines: str, exit_code: int = 0, hangs: bool = False, **options: Any) -> OneShotResult:
        """A one-shot that prints lines and ends with a code, or hangs."""
        if self.swarm:
            self.swarm.oneshot = lambda _: OneShot(exit_code, lines, hangs=hangs)
        script = "; ".join(
            [*(f"echo '{line}'" for line in lines), "sleep 60" if hangs else f"exit {exit_code}"]
        )
        return self.script(script, **options)

    def script(self, script: str, **options: Any) -> OneShotResult:
        """A one-shot that runs a script for the shell."""
        settings = {"image_id": self.image, "node_id": self.here, "labels": {}, "timeout": 30.0, **options}
        return run_oneshot(self.engine, args=[script], program=SHELL, **settings)

    def service(self, name: str, **container: Any) -> JSON:
        """The body of a service that runs until it is stopped."""
        return {
            "Name": name,
            "Labels": {"test": name},
            "Mode": {"Replicated": {"Replicas": 1}},
            "EndpointSpec": {"Mode": "dnsrr"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": self.image,
                    "Command": ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"],
                    "Labels": {"test": name},
                    **container,
                },
                "Placement": {"Constraints": [f"node.id=={self.here}"]},
            },
        }


def states(tasks: Sequence[JSON]) -> list[str]:
    """States of tasks."""
    return [task["Status"]["State"] for task in tasks]
