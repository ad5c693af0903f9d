"""`msrctl storage validate`, `msrctl storage sample`, and `--storage-config` of install and reconfigure."""

from __future__ import annotations

import sys
from pathlib import Path

from msrctl.model.cluster import Storage
from msrctl.model.requests import StorageRequest
from msrctl.model.results import SampleResult, ValidateResult
from msrctl.storage import backend
from msrctl.storage.config_file import parse_storage_config
from msrctl.storage.sample import sample as sample_text
from msrctl.storage.yaml_safe import MAX_BYTES

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
