"""Image stores on a host's disk as they are: files, marker, gate; and what the registry gives out of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrctl.errors import MsrctlError
from msrctl.model import names
from msrctl.secret import Secret
from support import look
from support.use import client, pull, push

if TYPE_CHECKING:
    from labs.deployment import Deployment
    from labs.host import Host
    from labs.stores.description import ObjectStore

MARKER = "msrctl-owner.json"


def volume(host: Host, name: str) -> Path:
    """Where a volume's files are, on the machine as on the host."""
    return host.directory / "data" / "volumes" / name / "_data"


def directory(host: Host, name: str) -> Path:
    """A new empty directory that the host sees under the same path."""
    path = host.directory / "stores" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def root(deployment: Deployment) -> Path:
    """Where the files of the store in use are, as the document says."""
    storage = look.document(deployment.host)["storage"]
    if storage["kind"] == "bind":
        return Path(storage["parameters"]["path"])
    name = storage["parameters"].get("volume") or names.default_volume(deployment.replica_id)
    return volume(deployment.host, name)


def listing(top: Path) -> dict[str, str]:
    """Every file of a store with its sha256; empty directories count too."""
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(top))] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir() and not any(path.iterdir()):
            found[f"{path.relative_to(top)}/"] = ""
    return found


def images(top: Path) -> dict[str, str]:
    """Blobs and links of a store, without marker, uploads and repositories that only a check has used."""
    return {k: v for k, v in listing(top).items() if k.startswith("docker/") and "/_uploads" not in k}


def marker(top: Path) -> dict[str, str] | None:
    """What the owner marker says, if there is one."""
    path = top / MARKER
    return json.loads(path.read_text()) if path.exists() else None


def gate(deployment: Deployment) -> list[str]:
    """What is set at the replica's gate."""
    where = volume(deployment.host, names.gate_volume(deployment.replica_id))
    return sorted(path.name for path in where.iterdir())


def fill(deployment: Deployment, *, repositories: int = 3, tags: int = 2, size: int = 50_000) -> None:
    """Pushes some small images."""
    with client(deployment) as registry:
        for r in range(repositories):
            for t in range(tags):
                push(registry, f"team{r}/app", f"v{t}", size=size)


def pulled(deployment: Deployment) -> dict[str, str]:
    """All tags of the registry with the digests of their manifests; every blob is pulled and hashed."""
    found = {}
    with client(deployment) as registry:
        for repository in registry.catalog():
            try:
                tags = registry.tags(repository)
            except MsrctlError as error:
                if error.code != "NOT-FOUND":
                    raise
                continue
            found |= {f"{repository}:{tag}": pull(registry, repository, tag) for tag in tags}
    return found


def lacks(deployment: Deployment, tags: dict[str, str]) -> list[str]:
    """Which of these tags cannot be pulled with their digests, all blobs included; asked side by side."""

    def one(item: tuple[str, str]) -> str:
        repository, tag = item[0].rsplit(":", 1)
        try:
            with client(deployment) as registry:
                found = pull(registry, repository, tag)
        except MsrctlError as error:
            return f"{item[0]}: {error}"
        return "" if found == item[1] else f"{item[0]}: {found} instead of {item[1]}"

    with ThreadPoolExecutor(8) as pool:
        return [line for line in pool.map(one, sorted(tags.items())) if line]


def one_blob(top: Path, *, largest: bool = True) -> Path:
    """The data file of the largest (a layer) or smallest blob of a store."""
    found = sorted(top.rglob("blobs/sha256/*/*/data"), key=lambda path: path.stat().st_size)
    return found[-1 if largest else 0]


def storage_file(store: ObjectStore, path: Path) -> str:
    """A storage configuration of an object store, for ``--storage-config``; returns its name."""
    ((driver, section),) = store.storage_section().items()
    plain = {k: v.reveal_text() if isinstance(v, Secret) else v for k, v in section.items()}
    if store.ca:
        plain["rootca"] = store.ca
    path.write_text(json.dumps({"storage": {driver: plain}}))
    path.chmod(0o600)
    return str(path)


def document_of(host: Host, kind: str) -> dict[str, Any]:
    """``storage`` or ``previous_storage`` of the document, kind and parameters alone."""
    stored = look.document(host)[kind] or {}
    return {key: stored.get(key) for key in ("kind", "parameters")}
