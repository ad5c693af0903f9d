"""What is made once per machine and kept: its directory, a lock around making, hashes for names."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROJECT = Path(__file__).resolve().parents[2]


def cache_directory() -> Path:
    """``$MSRCTL_TEST_CACHE``, default ``~/.cache/msrctl-tests``; made if it is not there."""
    named = os.environ.get("MSRCTL_TEST_CACHE")
    directory = Path(named) if named else Path.home() / ".cache" / "msrctl-tests"
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


@contextlib.contextmanager
def making(what: str) -> Iterator[Path]:
    """Holds the lock of one kind of thing while it is made or found; yields the cache directory."""
    directory = cache_directory()
    with (directory / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


def hash_of_files(paths: Iterable[Path]) -> str:
    """A short hash over names and contents of files, and of all files in directories."""
    digest = hashlib.sha256()
    for path in sorted(_files(paths)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PROJECT)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def hash_of_text(text: str) -> str:
    """A short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        elif path.exists():
            yield path
