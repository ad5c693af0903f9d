"""What a backup file is made of: names of its members, their order, and the limits that a reader holds to."""

from __future__ import annotations

import re
from typing import Any

FORMAT = 1
"""Counts up when an older msrctl could not restore what a newer one writes."""
TOP = "msrctl-backup"
HEAD = f"{TOP}/format.json"
CLUSTER = f"{TOP}/cluster.json"
SECRETS = f"{TOP}/secrets.json"
MANIFESTS = f"{TOP}/manifests"
BLOBS = f"{TOP}/inventory/blobs"
REPOSITORIES = f"{TOP}/inventory/repositories"
LAYERS = f"{TOP}/layers"
SUMMARY = f"{TOP}/summary.json"
CHECKSUMS = f"{TOP}/SHA256SUMS"
MARKER = f"{TOP}/END"

SINGLE = (HEAD, CLUSTER, SECRETS, SUMMARY, CHECKSUMS, MARKER)
CHUNKED = (MANIFESTS, BLOBS, REPOSITORIES)
ORDER = (HEAD, CLUSTER, SECRETS, MANIFESTS, BLOBS, REPOSITORIES, LAYERS, SUMMARY, CHECKSUMS, MARKER)

SMALL = 8 << 20
"""Bytes: the most that a member may have which is read as a whole."""
CHUNK = 1 << 20
"""Bytes after which a new chunk of the inventory begins."""
LARGEST_MANIFEST = 4 << 20
"""Bytes: the registry takes no larger one (distribution, handlers/manifests.go, maxManifestBodySize)."""
LARGEST_CHECKSUMS = 256 << 20
"""Bytes: a line is about 100, so this is for two million layers."""
PART = 1 << 30
"""Bytes of a layer in one member: the format's limit is 8 GiB."""

_NUMBERED = re.compile(rf"({TOP}/(?:manifests|inventory/blobs|inventory/repositories))/([0-9]{{5,7}})")
_LAYER = re.compile(rf"{TOP}/layers/([0-9a-f]{{64}})/([0-9]{{5}})")


def chunk_name(section: str, number: int) -> str:
    """Name of a chunk of a section."""
    return f"{section}/{number:05d}"


def layer_name(digest: str, part: int) -> str:
    """Name of a part of a layer."""
    return f"{LAYERS}/{digest.removeprefix('sha256:')}/{part:05d}"


def section_of(name: str) -> tuple[str, Any] | None:
    """Section of a name, and its number, or layer and part; None if it is no name of ours."""
    if name in SINGLE:
        return name, 0
    if found := _NUMBERED.fullmatch(name):
        return found[1], int(found[2])
    if found := _LAYER.fullmatch(name):
        return LAYERS, (f"sha256:{found[1]}", int(found[2]))
    return None


def limit_of(section: str) -> int:
    """The most bytes that a member of a section may have."""
    if section == LAYERS:
        return PART
    return LARGEST_CHECKSUMS if section == CHECKSUMS else SMALL
