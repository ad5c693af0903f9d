"""Opens the stores of a one-shot from the descriptions that are mounted into it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrctl.secret import Secret
from msrctl.transfer.files import FileStore
from msrctl.transfer.pulse import Watched
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.transfer.store import Store

DESCRIPTIONS = Path("/run/msrctl")
SECRETS = Path("/run/secrets")
MOUNTED = frozenset({"volume", "bind", "nfs"})
OVER_THE_NETWORK = {
    "s3": ("msrctl.transfer.s3", "S3Store"),
    "azure": ("msrctl.transfer.azure", "AzureStore"),
    "gcs": ("msrctl.transfer.gcs", "GcsStore"),
    "swift": ("msrctl.transfer.swift", "SwiftStore"),
}
"""Kind to module and class; imported when used, as their libraries are large. All are made alike:
parameters, secrets, root_ca (PEM or ""), words."""


def open_side(side: str) -> Store:
    """The old or the new store; what it does is counted (`pulse`).

    Arguments:
        side: ``old`` or ``new``.
    """
    described = json.loads((DESCRIPTIONS / f"{side}.json").read_text())
    secrets = {p: Secret((SECRETS / f"{side}.{p}").read_bytes()) for p in described["secrets"]}
    return Watched(open_store(described, secrets, Path(f"/{side}")))


def open_store(
    described: Mapping[str, Any],
    secrets: Mapping[str, Secret],
    mounted: Path,
) -> Store:
    """A store from its description.

    Arguments:
        described: JSON with kind, parameters, root_ca and words.
        secrets: values of the secret parameters.
        mounted: where a store that is mounted is found.

    Raises:
        StoreError: STORE-KIND, a kind that this msrctl does not know; STORE-LIBRARY, a library is missing.
    """
    kind, words = described["kind"], described["words"]
    if kind in MOUNTED:
        return FileStore(mounted, words)
    if kind not in OVER_THE_NETWORK:
        raise StoreError(f"unknown kind of store: {kind}", "STORE-KIND")
    module, name = OVER_THE_NETWORK[kind]
    try:
        made = getattr(importlib.import_module(module), name)
        store: Store = made(described["parameters"], secrets, described.get("root_ca") or "", words)
    except ImportError as error:
        raise StoreError(
            f"{words}: {error.name} is not installed, which {kind} needs: pip install 'msrctl[stores]'",
            "STORE-LIBRARY",
        ) from None
    return store
