"""The build context as a tar file, and the hash of all that goes into it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from importlib.resources import files
from pathlib import Path
from typing import IO

from msrctl.images.wheels import IMAGE_PYTHON


def dockerfile() -> bytes:
    """The Dockerfile, which is package data."""
    return files("msrctl.images").joinpath("Dockerfile").read_bytes()


def build_hash(own_files: dict[str, Path], needed: tuple[str, ...], **settings: str) -> str:
    """A hash (64 hex digits) of what an image is made from, known without making or fetching anything.

    Arguments:
        own_files: the files that make up msrctl, name -> file.
        needed: the requirement lines of what it needs; newer releases of those make no other hash.
        settings: whatever else counts, such as the version, the base and the machine.
    """
    total = hashlib.sha256(dockerfile())
    lines = [
        f"file {name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in own_files.items()
    ]
    lines += [f"needs {line}" for line in needed]
    lines += [f"set {name} {value}" for name, value in {"python": IMAGE_PYTHON, **settings}.items()]
    total.update("\n".join(sorted(lines)).encode())
    return total.hexdigest()


def write_context(target: IO[bytes], own_wheel: Path, wheels: Path) -> None:
    """Writes the context that the Dockerfile expects as a tar file; these files only, with nobody's name.

    Arguments:
        target: an open binary file.
        own_wheel: msrctl's wheel.
        wheels: the directory of the wheels that it needs, with pip's and the requirements.
    """
    with tarfile.open(fileobj=target, mode="w") as tar:
        _add(tar, "Dockerfile", dockerfile())
        _add(tar, own_wheel.name, own_wheel.read_bytes())
        for path in sorted(wheels.iterdir()):
            _add(tar, f"wheels/{path.name}", path.read_bytes())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)  # owner 0, date 0: the same contents give the same tar
    entry.size = len(data)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(data))
