"""Renders the configuration of the registry (CNCF Distribution 2.8 or 3.1) as a templated swarm config.

Secrets come in when the task starts, by the engine's own templates (``{{ secret "..." }}``); the file that
the swarm stores holds none.
"""

from __future__ import annotations

from typing import Any

import yaml

from msrctl.model.cluster import Cluster, Storage
from msrctl.registry.version import is_3
from msrctl.storage import backend

CONFIG_PATH = "/etc/docker/registry/config.yml"
CONFIG_PATH_3 = "/etc/distribution/config.yml"
"""Where each image has the configuration that it comes with (distribution-storage.md, section 1)."""
HTTP_PORT = 5000
DEBUG_PORT = 5001
DRAIN_SECONDS = 20
"""Must be less than the service's stop grace period (reference: swarm.md, zero downtime)."""

LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "error": "error", "fatal": "error"}
"""The original's log levels in the registry's words; it has no level above error for its access log."""


def path(version: str | None = None) -> str:
    """Where a registry of this version (None: msrctl's own) has its configuration."""
    return CONFIG_PATH_3 if is_3(version) else CONFIG_PATH


def render(cluster: Cluster, storage: Storage | None = None, version: str | None = None) -> str:
    """The registry's config.yml, the same for every replica with that registry.

    Everything but the driver's section is the same in 2.8 and 3.1 (distribution-storage.md, sections 1 to 5).

    Arguments:
        cluster: the cluster document.
        storage: another store than the document's, for a registry that is about to take over.
        version: the registry's version; None: msrctl's own.

    Raises:
        UsageFault: this version has no driver for the store.
    """
    templates: list[str] = []

    def secret(target: str) -> str:
        """A placeholder for a secret's value; %q quotes it as YAML's double quotes do."""
        templates.append(f'{{{{ printf "%q" (secret "{target}") }}}}')
        return f"msrctl-template-{len(templates) - 1}-"

    store = backend(storage or cluster.storage)
    driver = store.driver_3 if is_3(version) else store.driver
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {
            "level": LEVELS[cluster.settings.log_level],
            "accesslog": {"disabled": cluster.settings.log_level in {"warn", "error", "fatal"}},
        },
        "storage": driver(lambda parameter: secret(f"store.{parameter}"))
        | {
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
            "redirect": {"disable": not store.redirect()},
            "maintenance": {
                "uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}
            },
        },
        "auth": {"htpasswd": {"realm": "msrctl", "path": "/run/secrets/htpasswd"}},
        "http": {
            "addr": f":{HTTP_PORT}",
            "secret": secret("http.secret"),
            "draintimeout": f"{DRAIN_SECONDS}s",
            "debug": {"addr": f":{DEBUG_PORT}"},
        },
        # Without this section a broken store shows nowhere: /v2/ answers 200 for ever (object-stores.md, 2).
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    text = yaml.safe_dump(config, sort_keys=False)
    for number, template in enumerate(templates):
        text = text.replace(f"msrctl-template-{number}-", template)
    return text
