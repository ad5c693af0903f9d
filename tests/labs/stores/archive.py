"""Writes images of one layer as `docker save` archives, without an engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def image_archive(
    archive: Path,
    reference: str,
    files: Mapping[str, tuple[bytes, int]],
    links: Mapping[str, str],
    config: Mapping[str, Any],
) -> str:
    """Writes an image.

    Arguments:
        archive: where to write it.
        reference: its name.
        files: content and mode by path, without a leading slash.
        links: targets of symbolic links by path.
        config: the image's ``config``: Entrypoint, Cmd ...

    Returns:
        The image's id (``sha256:...``).
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in files.items():
            _add(tar, name, content, mode)
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    layer = buffer.getvalue()
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]},
    }
    encoded = json.dumps(document).encode()
    name, layer_name = f"{_sha256(encoded)}.json", f"{_sha256(layer)}/layer.tar"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": [layer_name]}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, layer_name, layer)
        _add(tar, name, encoded)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return f"sha256:{_sha256(encoded)}"


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
