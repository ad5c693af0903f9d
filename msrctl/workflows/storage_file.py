"""`msrctl storage validate`, `msrctl storage sample`, and `--storage-config` of install and reconfigure."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from msrctl.errors import UsageFault
from msrctl.model.cluster import Storage
from msrctl.model.requests import StorageRequest
from msrctl.model.results import SampleResult, ValidateResult
from msrctl.registry.version import is_3
from msrctl.storage import backend
from msrctl.storage.config_file import VERSIONS, parse_storage_config
from msrctl.storage.sample import sample as sample_text
from msrctl.storage.yaml_safe import MAX_BYTES

if TYPE_CHECKING:
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import ReconfigureRequest

STDIN = "-"


def read(file: str, registry_version: str = "2.8", *, lenient: bool = False) -> StorageRequest:
    """A storage configuration, complete and checked.

    Arguments:
        file: a path, or ``-`` for stdin.
        registry_version: ``2.8`` or ``3``.
        lenient: a variable that is not set is a warning.

    Raises:
        UsageFault: STORAGE-CONFIG, with every problem in its details.
    """
    source = sys.stdin.buffer.read(MAX_BYTES + 1) if file == STDIN else Path(file)
    return parse_storage_config(source, registry_version=registry_version, lenient=lenient)


def read_for_any(file: str) -> StorageRequest:
    """A storage configuration for a registry that is not known yet: for 2.8, the one for 3 with it.

    Arguments:
        file: a path, or ``-`` for stdin.

    Raises:
        UsageFault: STORAGE-CONFIG: no registry would take it; the problems are those of 2.8.
    """
    stdin = sys.stdin.buffer.read(MAX_BYTES + 1) if file == STDIN else None
    found: dict[str, StorageRequest | UsageFault] = {}
    for version in VERSIONS:
        try:
            found[version] = parse_storage_config(
                Path(file) if stdin is None else stdin, registry_version=version
            )
        except UsageFault as fault:
            found[version] = fault
    old, new = found["2.8"], found["3"]
    if isinstance(old, StorageRequest):
        return replace(old, other=new)
    if isinstance(new, StorageRequest):
        return replace(new, other=old)
    raise old


def for_registry(request: ReconfigureRequest, before: Cluster) -> ReconfigureRequest:
    """The request with the storage configuration as the registry in use takes it.

    Arguments:
        request: as it was read, before an engine was asked.
        before: the document in force.

    Raises:
        UsageFault: STORAGE-CONFIG: the registry in use does not take it.
    """
    config = request.settings.storage_config
    wanted = "3" if is_3(before.replicas[0].registry_version) else "2.8"
    if config is None or config.other is None or config.registry == wanted:
        return request
    if not isinstance(config.other, StorageRequest):
        raise config.other
    return replace(request, settings=replace(request.settings, storage_config=config.other))


def validate(file: str, registry_version: str) -> ValidateResult:
    """Checks a storage configuration, with no engine and no store.

    Arguments:
        file: a path, or ``-`` for stdin.
        registry_version: ``2.8`` or ``3``.

    Raises:
        UsageFault: STORAGE-CONFIG, with every problem in its details.
    """
    found = read(file, registry_version, lenient=True)
    stored = Storage(
        kind=found.kind,
        parameters=found.parameters,
        secrets=dict.fromkeys(found.secrets, ""),
        root_ca=found.root_ca,
        redirect=found.redirect,
    )
    made = backend(stored)
    return ValidateResult(
        kind=found.kind,
        store=made.words(""),
        registry_version=registry_version,
        parameters=found.parameters,
        secrets=tuple(sorted(found.secrets)),
        root_ca=found.root_ca is not None,
        redirect=made.redirect(),
        warnings=found.warnings,
    )


def sample(driver: str, registry_version: str) -> SampleResult:
    """A commented storage configuration.

    Raises:
        UsageFault: STORAGE-DRIVER, that registry has no such driver.
    """
    return SampleResult(driver, registry_version, sample_text(driver, registry_version))
