"""A backup of 100,000 tags and its restore, against `tar` of the same files; and the memory for it.

What a node's task and the msrctl that asked do, without the engine in between: the snapshot of the store
into a backup file; the file read, proven, compared with a store that has the layers, and the rest written.
It needs 30 GB and six million inodes under $TMPDIR, and half an hour.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from measure import Figure, pairs

from msrctl.transfer.files import FileStore
from msrctl.transfer.inventory import blob_key
from msrctl.transfer.store import BLOBS, REPOSITORIES

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 3
TAGS = 100_000
REPOSITORY_COUNT = 100
MOST_MEMORY = 300.0
MOST_RATIO = 1.5


def measure() -> Iterator[Figure]:
    """Backup and restore against tar, and the memory of each."""
    with TemporaryDirectory(prefix="msrctl-bench-") as name:
        place = Path(name)
        store, layers = place / "store", place / "layers"
        _fill(store, layers, place / "manifests")
        file, archive = place / "backup", place / "files.tar"
        memory: dict[str, list[float]] = {"backup": [], "restore": []}

        def ours(what: str) -> float:
            if what == "restore":
                _layers_only(layers, place)
            found = _worker(what, store if what == "backup" else layers, file)
            memory[what].append(found["megabytes"])
            return float(found["seconds"])

        def tar_in() -> float:
            return _timed(
                "tar", "-cf", str(archive), "-C", str(store), REPOSITORIES, "-T", str(place / "manifests")
            )

        def tar_out() -> float:
            target = place / "out"
            target.mkdir()
            seconds = _timed("tar", "-xf", str(archive), "-C", str(target))
            _aside(target, place)
            return seconds

        ours("backup"), tar_in()  # both sides then find the directories in memory
        for what, theirs in (("backup", tar_in), ("restore", tar_out)):
            memory[what].clear()
            times = pairs(PAIRS, lambda what=what: ours(what), theirs)  # type: ignore[misc]
            words = f"{what}: {TAGS:,} tags"
            commands = (f"bench/backup.py {what}", f"tar -{'cf' if what == 'backup' else 'xf'}")
            yield Figure(words, *times, "s", commands, most=MOST_RATIO)
            ones = (1.0,) * len(memory[what])
            yield Figure(
                f"{words}, memory", tuple(memory[what]), ones, "MB", (commands[0], ""), limit=MOST_MEMORY
            )


def _fill(store: Path, layers: Path, manifests: Path) -> None:
    """Images as builds leave them: a configuration of each one's own, layers that a repository shares."""
    target, side, listed = FileStore(store), FileStore(layers), []
    for number in range(TAGS):
        name = f"bench/r{number % REPOSITORY_COUNT}"
        config = json.dumps({"n": number}).encode()
        shared = [f"{name} {n}".encode() for n in range(3)]
        body = json.dumps(
            {
                "schemaVersion": 2,
                "config": _descriptor(config),
                "layers": [_descriptor(layer) for layer in shared],
            }
        ).encode()
        digest, base = _sha(body), f"{REPOSITORIES}/{name}"
        blobs = [config, *(shared if number < REPOSITORY_COUNT else [])]
        for data in blobs:
            _write(target, blob_key(_sha(data)), data)
            _write(side, blob_key(_sha(data)), data)
            _write(target, f"{base}/_layers/{_path(_sha(data))}/link", _sha(data).encode())
        _write(target, blob_key(digest), body)
        listed.append(blob_key(digest))
        tag = f"{base}/_manifests/tags/v{number}"
        for key in (
            f"{base}/_manifests/revisions/{_path(digest)}/link",
            f"{tag}/index/{_path(digest)}/link",
            f"{tag}/current/link",
        ):
            _write(target, key, digest.encode())
    manifests.write_text("\n".join(listed) + "\n")


def _write(store: FileStore, key: str, data: bytes) -> None:
    store.write(key, (data,), len(data))


def _descriptor(data: bytes) -> dict[str, Any]:
    return {"mediaType": "application/octet-stream", "size": len(data), "digest": _sha(data)}


def _sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _path(digest: str) -> str:
    return digest.replace(":", "/", 1)


def _aside(directory: Path, place: Path) -> None:
    """Out of the way: a million files are removed in the end, not between two measurements."""
    if directory.exists():
        trash = place / "trash"
        trash.mkdir(exist_ok=True)
        directory.rename(trash / str(time.monotonic_ns()))


def _layers_only(layers: Path, place: Path) -> None:
    """A store that has the layers and nothing else, as before the first restore."""
    _aside(layers / REPOSITORIES, place)
    for link in (layers / BLOBS).rglob("data"):
        if link.stat().st_size > 200:  # a manifest that a restore before has written
            link.unlink()


def _timed(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begun


def _worker(what: str, store: Path, file: Path) -> dict[str, Any]:
    """Runs the work in a process of its own, so that its memory is its own."""
    done = subprocess.run(
        [sys.executable, __file__, what, str(store), str(file)], check=True, capture_output=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _backup(store: Path, file: Path) -> None:
    from plan_support import a_cluster

    from msrctl.backup import check, layout
    from msrctl.backup.content import read_manifests
    from msrctl.backup.writer import Writer
    from msrctl.transfer.snapshot import Snapshot

    cluster = a_cluster()
    with file.open("wb") as sink:
        writer = Writer(sink, mtime=0)
        writer.json(
            layout.HEAD, {"product": "msrctl", "format": layout.FORMAT, "version": "1", "created": "now"}
        )
        writer.json(layout.CLUSTER, cluster.to_json())
        writer.json(layout.SECRETS, dict.fromkeys(check.roles(cluster), "eA=="))
        snapshot, manifests = Snapshot(FileStore(store)), 0
        for section, data in snapshot.chunks():
            writer.chunk(section, data)
            if section == layout.MANIFESTS:
                manifests += sum(1 for _ in read_manifests(data))
        tags = snapshot.inventory.tags
        writer.finish(
            {"tags": tags, "manifests": manifests, "layers": 0, "broken_tags": [], "offline": False}
        )
    if (tags, manifests) != (TAGS, TAGS):
        raise RuntimeError(f"{tags} tags and {manifests} manifests in the backup")


def _restore(store: Path, file: Path) -> None:
    from msrctl.backup import check, layout
    from msrctl.backup.content import Unpacked, pack_inventory, read_manifests
    from msrctl.backup.judge import Judge
    from msrctl.backup.reader import Reader
    from msrctl.transfer.inventory import take
    from msrctl.transfer.writeback import MANIFEST, carry_out, packages, unpacked

    with file.open("rb") as source:
        found = check.read(source)
    there = Unpacked(digests=found.unpacked.digests)
    for section, data in pack_inventory(take(FileStore(store))):
        there.add(section, data)
    judge = Judge(found, there.inventory)
    verdict = judge.judge()
    if verdict.broken or len(verdict.set) != TAGS:
        raise RuntimeError(f"{len(verdict.broken)} broken, {len(verdict.set)} to set")

    def operations(reader: Reader) -> Iterator[tuple[int, str, bytes | None]]:
        for member in reader.members():
            if member.section == layout.MANIFESTS:
                for manifest in read_manifests(member.data()):
                    if manifest.digest in verdict.manifests:
                        yield MANIFEST, blob_key(manifest.digest), manifest.body
        for stage, key, digest in judge.links():
            yield stage, key, digest.encode()

    with file.open("rb") as source:
        for package in packages(operations(Reader(source))):
            carry_out(FileStore(store), unpacked(package))


def main() -> None:
    """One piece of work, in this process; its seconds and its largest memory as JSON."""
    tests = Path(__file__).resolve().parents[1] / "tests"
    sys.path[:0] = [str(tests / "unit"), str(tests)]
    what, store, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    begun = time.perf_counter()
    (_backup if what == "backup" else _restore)(store, file)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": round(peak, 1)}))


if __name__ == "__main__":
    main()
