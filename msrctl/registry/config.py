"""Renders the configuration of the registry (CNCF Distribution 2.8) as a templated swarm config.

Secrets come in when the task starts, by the engine's own templates (``{{ secret "..." }}``); the file that
the swarm stores holds none.
"""

from __future__ import annotations

from typing import Any

import yaml

from msrctl.model.cluster import Cluster
from msrctl.storage import backend

CONFIG_PATH = "/etc/docker/registry/config.yml"
HTTP_PORT = 5000
DEBUG_PORT = 5001
DRAIN_SECONDS = 20
"""Must be less than the service's stop grace period (reference: swarm.md, zero downtime)."""

LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "error": "error", "fatal": "error"}
"""The original's log levels in the registry's words; it has no level above error for its access log."""


class _Template(str):
    """A string that is written without quotes, because the engine fills it in."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Template, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", str(value), style="'")
)


def render(cluster: Cluster) -> str:
    """The registry's config.yml, the same for every replica.

    Arguments:
        cluster: the cluster document.
    """
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {
            "level": LEVELS[cluster.settings.log_level],
            "accesslog": {"disabled": cluster.settings.log_level in {"warn", "error", "fatal"}},
        },
        "storage": backend(cluster.storage).driver()
        | {
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {
                "uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}
            },
        },
        "auth": {"htpasswd": {"realm": "msrctl", "path": "/run/secrets/htpasswd"}},
        "http": {
            "addr": f":{HTTP_PORT}",
            "secret": _Template('{{ secret "http.secret" }}'),
            "draintimeout": f"{DRAIN_SECONDS}s",
            "debug": {"addr": f":{DEBUG_PORT}"},
        },
        # Without this section a broken store shows nowhere: /v2/ answers 200 for ever (object-stores.md, 2).
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False)
