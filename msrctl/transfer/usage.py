"""How much an image store in a directory holds, uploads and strays included; read only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msrctl.transfer.store import BLOBS, REPOSITORIES

if TYPE_CHECKING:
    from pathlib import Path


def usage(root: Path) -> dict[str, int]:
    """Counts and sizes of an image store, in one walk of directory entries.

    Arguments:
        root: the directory that holds ``docker/registry/v2``.

    Returns:
        blobs, blob_bytes, repositories, tags, total_bytes (all files, uploads included).
    """
    out = {"blobs": 0, "blob_bytes": 0, "repositories": 0, "tags": 0, "total_bytes": 0}
    blobs, repositories = str(root / BLOBS), str(root / REPOSITORIES)
    stack = [str(root)]
    while stack:
        directory = stack.pop()
        try:
            entries = list(os.scandir(directory))
        except FileNotFoundError:
            continue  # an upload that ended while we walked
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)
                if entry.name == "_manifests" and directory.startswith(repositories):
                    out["repositories"] += 1
                    out["tags"] += _count(f"{entry.path}/tags")
                continue
            try:
                size = entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
            out["total_bytes"] += size
            if entry.name == "data" and directory.startswith(blobs):
                out["blobs"] += 1
                out["blob_bytes"] += size
    return out


def _count(directory: str) -> int:
    try:
        return sum(1 for _ in os.scandir(directory))
    except FileNotFoundError:
        return 0
