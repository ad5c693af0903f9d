"""Opens the stores of a one-shot from the descriptions that are mounted into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrctl.secret import Secret
from msrctl.transfer.files import FileStore
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.transfer.store import Store

DESCRIPTIONS = Path("/run/msrctl")
SECRETS = Path("/run/secrets")
MOUNTED = frozenset({"volume", "bind", "nfs"})


def open_side(side: str) -> Store:
    """The old or the new store.

    Arguments:
        side: ``old`` or ``new``.
    """
    described = json.loads((DESCRIPTIONS / f"{side}.json").read_text())
    secrets = {p: Secret((SECRETS / f"{side}.{p}").read_bytes()) for p in described["secrets"]}
    return open_store(described, secrets, Path(f"/{side}"))


def open_store(
    described: Mapping[str, Any],
    secrets: Mapping[str, Secret],  # noqa: ARG001 - for stores reached over the network
    mounted: Path,
) -> Store:
    """A store from its description.

    Arguments:
        described: JSON with kind, parameters, root_ca and words.
        secrets: values of the secret parameters.
        mounted: where a store that is mounted is found.

    Raises:
        StoreError: a kind that this msrctl does not know.
    """
    if described["kind"] in MOUNTED:
        return FileStore(mounted, described["words"])
    raise StoreError(f"unknown kind of store: {described['kind']}", "STORE-KIND")
