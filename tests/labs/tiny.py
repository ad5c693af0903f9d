"""A small image made without an engine or a registry: busybox in one layer, as a `docker save` archive."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.cache import making

APPLETS = ("cat", "echo", "ls", "sh", "sleep", "wget")


def tiny_image(archive: Path, reference: str, text: str = "", *, random_bytes: int = 0) -> str:
    """Writes an image of 2 MB that prints `text`.

    Arguments:
        archive: where to write it; `docker load`, ``skopeo copy docker-archive:`` and `podman load` read it.
        reference: its name, ``registry/repository:tag``.
        text: stands in the image; images with different texts have different digests.
        random_bytes: size of a second layer that does not compress; 0: none.

    Returns:
        The image's id (``sha256:...``).
    """
    layers = [
        _layer({"bin/busybox": (busybox().read_bytes(), 0o755), "text": (text.encode(), 0o644)}, APPLETS)
    ]
    if random_bytes:
        # The same for the same text, so that a test may make an image twice.
        noise = hashlib.shake_256(text.encode()).digest(random_bytes)
        layers.append(_layer({"noise": (noise, 0o644)}))
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Cmd": ["/bin/cat", "/text"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}" for layer in layers]},
        }
    ).encode()
    names = [f"{_sha256(layer)}/layer.tar" for layer in layers]
    manifest = [{"Config": f"{_sha256(config)}.json", "RepoTags": [reference], "Layers": names}]
    with tarfile.open(archive, "w") as tar:
        for name, layer in zip(names, layers, strict=True):
            _add(tar, name, layer)
        _add(tar, f"{_sha256(config)}.json", config)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return f"sha256:{_sha256(config)}"


def busybox() -> Path:
    """A static busybox, from Debian's package; kept in the cache directory.

    Raises:
        subprocess.CalledProcessError: apt-get could not download it.
    """
    with making("busybox") as cache, TemporaryDirectory() as scratch:
        program = cache / "busybox"
        if not program.exists():
            # As root apt-get drops to a user that must be able to write here.
            Path(scratch).chmod(0o777)
            subprocess.run(["apt-get", "-qq", "download", "busybox-static"], cwd=scratch, check=True)
            package = next(Path(scratch).glob("busybox-static*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(package), f"{scratch}/x"], check=True)
            found = next(path for path in Path(scratch).glob("x/**/bin/busybox") if path.is_file())
            program.write_bytes(found.read_bytes())
            program.chmod(0o755)
        return program


def _layer(files: dict[str, tuple[bytes, int]], applets: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in files.items():
            _add(tar, name, content, mode)
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _architecture() -> str:
    command = ["dpkg", "--print-architecture"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
