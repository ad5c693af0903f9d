"""What a drill makes in a swarm where a deployment may live: the same bodies, with no name of a deployment's.

Services and volumes have a replica's id in their names, and a drill's replica has a new one. What a document
names for all replicas (the network) or by content (configs) would be the deployment's own.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from msrctl.model import names
from msrctl.plan.desired import Desired

if TYPE_CHECKING:
    JSON = dict[str, Any]

GRACE = 3_000_000_000
"""Nanoseconds: nobody pushes to a drill, so there is nothing to drain."""


def throwaway(wanted: Desired, drill: str) -> Desired:
    """The bodies under names of their own.

    Arguments:
        wanted: from the drill's document.
        drill: its id, ``drill-...``.
    """
    mark = drill.removeprefix(names.DRILL)
    network = f"dtr-{drill}"
    (body,) = wanted.networks.values()
    renamed = {name: f"{name}-{mark}" for name in wanted.configs}
    configs = {renamed[name]: {**body, "Name": renamed[name]} for name, body in wanted.configs.items()}
    services = {name: _service(body, network, renamed) for name, body in wanted.services.items()}
    return Desired({network: {**body, "Name": network}}, configs, wanted.secrets, services)


def _service(body: JSON, network: str, configs: dict[str, str]) -> JSON:
    made: JSON = copy.deepcopy(body)
    container = made["TaskTemplate"]["ContainerSpec"]
    for reference in container["Configs"]:
        reference["ConfigName"] = configs[reference["ConfigName"]]
    container["StopGracePeriod"] = GRACE
    made["TaskTemplate"]["Networks"] = [{"Target": network}]
    return made
