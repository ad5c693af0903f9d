"""How long pushes wait in a switch of the storage, beside the last pass of what one would run by hand.

By hand the registry is stopped, the copy that was made before is brought up to date by `rsync` or `rclone`,
and the registry is started on the new store. Only that last pass is measured here: stopping and starting come
on top of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Figure

from labs.cleaning import clean
from labs.deployment import Deployment, install
from labs.engines import Lab
from labs.images import msr_image
from labs.stores.moto import MotoStore, moto
from msrctl.model import names
from msrctl.transfer.store import BLOBS, REPOSITORIES

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY_COUNT = 100
BLOB = b"x" * 500
LIMITS = {10_000: 5.0, 100_000: 30.0}
"""Blobs that were copied already, and the seconds that pushes may wait then."""


def measure() -> Iterator[Figure]:
    """Volume to directory with both numbers of blobs, volume to S3 with both."""
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(1, images=[msr_image()]))
        store = stack.enter_context(moto(lab.gateway))
        for count, limit in LIMITS.items():
            yield _to_directory(lab, count, limit)
            yield _to_s3(lab, store, count, limit)


def _to_directory(lab: Lab, count: int, limit: float) -> Figure:
    with TemporaryDirectory(prefix="msrctl-bench-") as name:
        place, copy = Path(name) / "new", Path(name) / "by-hand"
        place.mkdir(mode=0o777)
        place.chmod(0o777)
        deployment, old = _filled(lab, count)
        ours = _frozen(deployment, "--dtr-storage-volume", str(place))
        theirs = _twice("rsync", "-a", "--delete", f"{old}/", f"{copy}/")
    return _figure(f"freeze: {count:,} blobs, volume to directory", ours, theirs, limit, "rsync -a --delete")


def _to_s3(lab: Lab, store: MotoStore, count: int, limit: float) -> Figure:
    deployment, old = _filled(lab, count)
    with TemporaryDirectory(prefix="msrctl-bench-") as name:
        file = Path(name) / "store.yml"
        ((driver, section),) = store.storage_section().items()
        file.write_text(json.dumps({"storage": {driver: {**section, "rootdirectory": f"/ours-{count}"}}}))
        ours = _frozen(deployment, "--storage-config", str(file))
        remote = Path(name) / "rclone.conf"
        remote.write_text(
            "[store]\ntype = s3\nprovider = Other\n"
            f"access_key_id = {store.access_key}\nsecret_access_key = {store.secret_key.reveal_text()}\n"
            f"endpoint = {store.endpoint}\nregion = {store.region}\nforce_path_style = true\n"
        )
        to = f"store:{store.container}/theirs-{count}"
        theirs = _twice("rclone", "--config", str(remote), "sync", "--transfers", "16", str(old), to)
    return _figure(f"freeze: {count:,} blobs, volume to S3 (moto)", ours, theirs, limit, "rclone sync")


def _figure(name: str, ours: float, theirs: float, limit: float, by_hand: str) -> Figure:
    return Figure(
        name,
        (ours,),
        (theirs,),
        "s",
        ("msrctl reconfigure --migrate-storage, from hold to release", f"{by_hand}, second pass"),
        limit=limit,
        note="The other side is the last pass alone, without stopping and starting the registry.",
    )


def _filled(lab: Lab, count: int) -> tuple[Deployment, Path]:
    """A new registry on a volume with so many small blobs, each a layer of one of the repositories."""
    clean(lab, leave_swarm=True)
    deployment = install(lab[1])
    root = lab[1].directory / "data" / "volumes" / names.default_volume(deployment.replica_id) / "_data"
    for number in range(count):
        data = b"%d" % number + BLOB
        digest = hashlib.sha256(data).hexdigest()
        _write(root / BLOBS / "sha256" / digest[:2] / digest / "data", data)
        repository = root / REPOSITORIES / f"bench/r{number % REPOSITORY_COUNT}"
        _write(repository / "_layers" / "sha256" / digest / "link", f"sha256:{digest}".encode())
    subprocess.run(["chown", "-R", f"{root.stat().st_uid}:{root.stat().st_gid}", str(root)], check=True)
    return deployment, root


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _frozen(deployment: Deployment, *store: str) -> float:
    done = deployment.host.msrctl("reconfigure", *store, "--migrate-storage", check=0, timeout=3600)
    return float(re.findall(r"frozen for ([0-9.]+) s", done.stderr)[0])


def _twice(*command: str) -> float:
    """Seconds of the second pass: the first has copied everything."""
    subprocess.run(command, check=True, capture_output=True)
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun
