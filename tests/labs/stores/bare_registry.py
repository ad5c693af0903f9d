"""The registry with all drivers as a plain process, with a store behind it: no engine is needed."""

from __future__ import annotations

import contextlib
import json
import tarfile
from typing import IO, TYPE_CHECKING

import yaml

from labs.stores.full_registry import full_registry_image
from labs.stores.ports import answers, free_ports
from labs.stores.running import store_machine
from labs.stores.trial import TrialRegistry, registry_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.stores.description import ObjectStore

ADDRESS = "127.0.0.1"
PROGRAM = "bin/registry"


@contextlib.contextmanager
def bare_registry(store: ObjectStore) -> Iterator[TrialRegistry]:
    """Runs a registry that knows the store's names and CA.

    Arguments:
        store: what is behind it.

    Raises:
        RuntimeError: it did not start; the text has the end of its log.
    """
    with store_machine("registry") as machine:
        program = _unpack(full_registry_image(), machine.directory)
        (port,) = free_ports(ADDRESS, 1)
        config = registry_config(store.storage_section())
        config["http"]["addr"] = f"{ADDRESS}:{port}"
        file = machine.directory / "config.yml"
        file.write_text(yaml.safe_dump(config))
        authority = machine.directory / "ca.crt"
        authority.write_text(store.ca)
        machine.hosts_text = "".join(f"{address} {name}\n" for name, address in store.needs_hosts)
        machine.write_hosts()
        trust = {"SSL_CERT_FILE": str(authority)} if store.ca else {}
        machine.start("registry", str(program), "serve", str(file), env=trust)
        url = f"http://{ADDRESS}:{port}"
        machine.wait_for(lambda: answers(f"{url}/v2/"), 30, "the registry answers")
        yield TrialRegistry(url, container="")


def _unpack(archive: Path, directory: Path) -> Path:
    """The program out of a `docker save` archive."""
    with tarfile.open(archive) as image:
        (manifest,) = json.load(_member(image, "manifest.json"))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=_member(image, name)) as layer:
                if PROGRAM in layer.getnames():
                    program = directory / "registry"
                    program.write_bytes(_member(layer, PROGRAM).read())
                    program.chmod(0o755)
                    return program
    raise RuntimeError(f"{archive}: there is no {PROGRAM} in it")


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise RuntimeError(f"{name} is not a file")
    return file
