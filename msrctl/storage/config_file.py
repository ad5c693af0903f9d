"""Reads a storage configuration (`--storage-config FILE`) and names everything that is wrong with it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrctl.errors import UsageFault
from msrctl.model.requests import StorageRequest
from msrctl.model.schema import load
from msrctl.secret import Secret
from msrctl.storage import check, expand, rules
from msrctl.storage.document import Part, joined, rename_fields, take_apart
from msrctl.storage.yaml_safe import MAX_BYTES, YamlRefused
from msrctl.storage.yaml_safe import load as load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSIONS = ("2.8", "3")
ENDINGS = (".yml", ".yaml", ".txt")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def parse_storage_config(
    source: str | bytes | Path,
    *,
    registry_version: str = "2.8",
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    lenient: bool = False,
) -> StorageRequest:
    """What a storage configuration asks for, complete and checked.

    Arguments:
        source: the text, or the path of a .yml, .yaml or .txt file.
        registry_version: ``2.8`` or ``3``: what the registry knows, ignores and panics at.
        environ: variables for ``${NAME}``; default: those of this process.
        directory: what relative paths in it are relative to; default: the file's, or the current one.
        lenient: a variable that is not set is a warning; what depends on it is left unchecked.

    Raises:
        UsageFault: STORAGE-CONFIG, with every problem as ``dotted.path: what`` in its details.
    """
    name = str(source) if isinstance(source, Path) else "the storage configuration"
    data = _read(source) if isinstance(source, Path) else source
    if directory is None:
        directory = source.parent if isinstance(source, Path) else Path()
    try:
        document = load_yaml(data)
    except YamlRefused as error:
        raise _fault(name, [f"(document): {error}"]) from None
    part = take_apart(document, registry_version)
    rename_fields(part)
    expand.expand(part, os.environ if environ is None else environ, lenient=lenient)
    expand.read_files(part, directory)
    _check(part, registry_version)
    secrets, root_ca = _set_apart(part, directory)
    if part.problems:
        raise _fault(name, part.problems)
    return StorageRequest(
        kind=part.kind,
        parameters=_flat(part.section),
        secrets=secrets,
        root_ca=root_ca,
        redirect=None if part.redirect_disabled is None else not part.redirect_disabled,
        warnings=tuple(part.warnings),
        registry=registry_version,
    )


def _read(path: Path) -> bytes:
    if not path.exists():
        raise _fault(str(path), ["(document): there is no such file"])
    if path.suffix.lower() not in ENDINGS:
        raise _fault(str(path), [f"(document): must be a file that ends in {', '.join(ENDINGS)}"])
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _fault(str(path), [f"(document): {(error.strerror or 'cannot be read').lower()}"]) from None


def _fault(name: str, problems: list[str]) -> UsageFault:
    found = tuple(dict.fromkeys(problems))
    return UsageFault(
        f"{name}: {len(found)} problem{'s' if len(found) > 1 else ''}",
        code="STORAGE-CONFIG",
        state="Nothing was touched.",
        hint="`msrctl storage sample DRIVER` shows a complete one for s3, azure, swift or gcs.",
        details=found,
    )


def _check(part: Part, version: str) -> None:
    if not part.kind:
        return
    part.section = check.normalise(part)
    found = check.problems(part.kind, part.section, part.path, version)
    part.problems += [line for line in found if line.partition(": ")[0] not in part.unchecked]
    rules.apply(part, version)


def _set_apart(part: Part, directory: Path) -> tuple[dict[str, Secret], str | None]:
    """Takes secrets and the CA out of the section."""
    if part.problems or not part.kind:
        return {}, None
    secrets: dict[str, Secret] = {}
    properties = load(f"storage-{part.kind}")["properties"]
    root_ca = part.section.pop("rootca", None)
    unchecked = joined(part.path, "rootca") in part.unchecked
    if root_ca is not None and not unchecked and not _PEM.search(root_ca):
        part.problems.append(f"{joined(part.path, 'rootca')}: no certificate in PEM form")
    if part.kind == "gcs":
        _keyfile(part, secrets, directory)
    for key in [key for key in part.section if properties[key].get("x-secret")]:
        secrets[key] = Secret(str(part.section.pop(key)))
    credentials = part.section.get("credentials")
    if isinstance(credentials, dict) and "secret" in credentials:
        secrets["credentials.secret"] = Secret(str(credentials.pop("secret")))
    return secrets, root_ca


def _keyfile(part: Part, secrets: dict[str, Secret], directory: Path) -> None:
    """The service account's key, from its file or inline, as one secret; the registry gets it as a file."""
    path = joined(part.path, "keyfile" if "keyfile" in part.section else "credentials")
    if path in part.unchecked:
        secrets["keyfile"] = Secret(str(part.section.pop("keyfile")))
        return
    if "keyfile" in part.section:
        text = expand.read_text(part, part.section.pop("keyfile"), path, directory)
    elif "credentials" in part.section:
        text = json.dumps(part.section.pop("credentials"))
    else:
        return
    if text is None:
        return
    wrong = service_account_problem(text)
    if wrong:
        part.problems.append(f"{path}: {wrong}")
    secrets["keyfile"] = Secret(text)


def service_account_problem(text: str) -> str | None:
    """What is wrong with a service account's key in JSON, or None."""
    try:
        key = json.loads(text)
    except ValueError:
        return "not JSON"
    if not isinstance(key, dict) or key.get("type") != "service_account":
        return "not the key of a service account (type: service_account)"
    missing = [
        name for name in ("client_email", "private_key", "token_uri") if not isinstance(key.get(name), str)
    ]
    return f"{', '.join(missing)} missing in the key" if missing else None


def _flat(section: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the cluster document keeps them: one level, lists as words with commas between."""
    found: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict):
            found |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            found[key] = ",".join(value) if isinstance(value, list) else value
    return found
