"""Names and labels of everything that msrctl makes in a swarm.

Names of services, volumes and networks are those of the original (reference: mirantis/dtr 2.9), so that
scripts that look for them keep working. Limits: names of services 63, of configs and secrets 64 characters.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from typing import Any

NETWORK = "dtr-ol"
LOCK = "msrctl-lock"
JOURNAL = "msrctl-journal"
DRILL_LOCK = "msrctl-drill"
"""The lock of drills, which do not wait for changes of the deployment, nor those for a drill."""
DRILL = "drill-"
"""How the id of a drill begins. It stands where other objects have their cluster's: no command takes what a
drill makes for a part of a deployment."""

COMPONENTS = ("nginx", "registry")
"""What a replica consists of."""

LABEL_CLUSTER = "io.msrctl.cluster"
LABEL_REPLICA = "io.msrctl.replica"
LABEL_COMPONENT = "io.msrctl.component"
LABEL_VERSION = "io.msrctl.version"
LABEL_HASH = "io.msrctl.config-hash"
LABEL_GENERATION = "io.msrctl.generation"
LABEL_OWNER = "io.msrctl.owner"
LABEL_DTR_REPLICA = "com.docker.dtr.replica"
LABEL_DTR_VERSION = "com.docker.dtr.version"

REPLICA_ID = re.compile(r"[0-9a-f]{12}")


def new_id() -> str:
    """A new replica or cluster id: 12 random hex digits."""
    return secrets.token_hex(6)


def new_drill() -> str:
    """A new id for a drill."""
    return f"{DRILL}{new_id()}"


def is_drill(cluster: str | None) -> bool:
    """Whether the label of a cluster is that of a drill."""
    return bool(cluster and cluster.startswith(DRILL))


def service(component: str, replica: str) -> str:
    """Name of a replica's service, for example ``dtr-nginx-5f0c2a9be417``."""
    return f"dtr-{component}-{replica}"


def services(replica: str) -> tuple[str, ...]:
    """Names of a replica's own services, the proxy first."""
    return tuple(service(component, replica) for component in COMPONENTS)


def next_registry(replica: str) -> str:
    """Name of the registry that stands in while a replica's own moves to another store."""
    return f"{service('registry', replica)}-next"


def default_volume(replica: str) -> str:
    """Name of a replica's own image volume."""
    return f"dtr-registry-{replica}"


def config(component: str, path: str, text: str) -> str:
    """Name of the config that holds a file: by its content, so that a change is another config."""
    slug = path.rsplit("/", 1)[-1].replace(".", "-")
    return f"dtr-{component}-{slug}-{digest_of(text.encode())}"


def digest_of(data: Any) -> str:
    """A short hash (12 hex digits) of JSON data or bytes, independent of the order of keys."""
    if not isinstance(data, bytes):
        data = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(data).hexdigest()[:12]


def gate_volume(replica: str) -> str:
    """Name of the small volume through which a replica's proxy is told to refuse writes."""
    return f"dtr-gate-{replica}"


def labels(cluster: str, version: str, *, component: str, replica: str | None = None) -> dict[str, str]:
    """Labels for an object of a cluster; objects of one replica also carry the original's labels."""
    out = {LABEL_CLUSTER: cluster, LABEL_COMPONENT: component, LABEL_VERSION: version}
    if replica:
        out |= {LABEL_REPLICA: replica, LABEL_DTR_REPLICA: replica, LABEL_DTR_VERSION: version}
    return out
