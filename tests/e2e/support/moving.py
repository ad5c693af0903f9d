"""For tests that move images to real stores: storage configurations of the labs' stores, digests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msrctl.secret import Secret
from support import look, run
from support.use import client, pull, push

if TYPE_CHECKING:
    from pathlib import Path

    from labs.deployment import Deployment
    from labs.stores.description import ObjectStore

REPOSITORIES = ("team/app", "team/deep/er")
TAGS = ("1", "2")
SECRETS = ("secretkey", "password", "accountkey", "private_key")


def fill(deployment: Deployment) -> None:
    """Pushes two small images into each repository."""
    with client(deployment) as registry:
        for repository in REPOSITORIES:
            for tag in TAGS:
                push(registry, repository, tag, size=200_000)


def digests(deployment: Deployment) -> dict[str, str]:
    """All of `fill`, pulled with every blob."""
    with client(deployment) as registry:
        return {f"{r}:{t}": pull(registry, r, t) for r in REPOSITORIES for t in TAGS}


def config(store: ObjectStore, path: Path) -> tuple[str, list[tuple[str, str]]]:
    """A storage configuration of a store, written to a file; and its secrets with their names.

    Arguments:
        store: a standing store.
        path: the file.
    """
    ((driver, section),) = store.storage_section().items()
    plain: dict[str, Any] = {k: v.reveal_text() if isinstance(v, Secret) else v for k, v in section.items()}
    inner = plain.get("credentials", {})
    secrets = [(key, str(value)) for key, value in (plain | inner).items() if key in SECRETS]
    assert secrets
    if store.ca:
        plain["rootca"] = store.ca
    path.write_text(json.dumps({"storage": {driver: plain}}))
    path.chmod(0o600)
    return str(path), secrets


def to_store(deployment: Deployment, store: ObjectStore, path: Path, *more: str) -> None:
    """Moves the images to a store: no tag is lost, no credential is readable, and once more is no change.

    Arguments:
        deployment: filled by `fill`.
        store: a standing store.
        path: where the storage configuration is written.
        more: further options of the command.
    """
    host = deployment.host
    file, secrets = config(store, path)
    before, left = digests(deployment), look.document(host)["storage"]
    run.data(host, "reconfigure", "--storage-config", file, "--migrate-storage", *more)
    assert digests(deployment) == before
    document = look.document(host)
    (kind,) = store.storage_section()
    assert (document["storage"]["kind"], document["previous_storage"]) == (kind, left)
    assert look.tidy(host)
    assert run.data(host, "status")["healthy"]
    assert look.leaks(look.everything_readable(host), secrets) == []
    shown = host.msrctl("storage", "show", check=0).stdout
    assert "****" in shown
    assert not [key for key, value in secrets if value in shown]
    # The same file again: its secrets are those in force.
    again = run.data(host, "reconfigure", "--storage-config", file)
    assert again["outcome"] == "nothing to do"


def to_volume(deployment: Deployment, *more: str) -> None:
    """Moves the images back to the replica's own volume, and forgets the store they were in.

    Arguments:
        deployment: filled by `fill`.
        more: further options of the command.
    """
    host = deployment.host
    before, left = digests(deployment), look.document(host)["storage"]
    run.data(host, "reconfigure", "--dtr-storage-volume", "", "--migrate-storage", *more)
    assert digests(deployment) == before
    document = look.document(host)
    assert (document["storage"]["kind"], document["previous_storage"]) == ("volume", left)
    run.data(host, "storage", "finalize", "--yes")
    assert look.document(host)["previous_storage"] is None
    assert look.tidy(host)
