"""How long it takes to know what a store of 100,000 blobs holds, against `find`."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Figure, pairs

from msrctl.transfer.files import FileStore
from msrctl.transfer.inventory import take
from msrctl.transfer.store import BLOBS, REPOSITORIES

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 5
COUNT = 100_000
REPOSITORY_COUNT = 100


def measure() -> Iterator[Figure]:
    """`inventory.take` against ``find | wc -l``: blobs alone, and with the links that a registry writes."""
    commands = ("msrctl.transfer.inventory.take(FileStore(STORE))", "find STORE | wc -l")
    with TemporaryDirectory(prefix="msrctl-bench-") as name:
        root = Path(name)
        digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(COUNT)]
        for digest in digests:
            _write(root / BLOBS / "sha256" / digest[:2] / digest / "data", "")
        yield _figure(root, f"inventory: {COUNT:,} blobs", commands)
        for number, digest in enumerate(digests):
            repository = root / REPOSITORIES / f"bench/r{number % REPOSITORY_COUNT}"
            _write(repository / "_layers" / "sha256" / digest / "link", f"sha256:{digest}")
        yield _figure(root, f"inventory: {COUNT:,} blobs with a link each", commands)


def _figure(root: Path, name: str, commands: tuple[str, str]) -> Figure:
    def ours() -> float:
        begun = time.perf_counter()
        blobs = len(take(FileStore(root)).blobs)
        seconds = time.perf_counter() - begun
        if blobs != COUNT:
            raise RuntimeError(f"the inventory has {blobs} blobs, not {COUNT}")
        return seconds

    def theirs() -> float:
        begun = time.perf_counter()
        subprocess.run(["sh", "-c", 'find "$1" | wc -l', "sh", str(root)], check=True, capture_output=True)
        return time.perf_counter() - begun

    ours(), theirs()  # both sides then find the directories in memory
    times = pairs(PAIRS, ours, theirs)
    note = "Directory entries in memory on both sides; on a disk that has to be read both wait for it."
    return Figure(name, *times, "s", commands, most=3, note=note)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
