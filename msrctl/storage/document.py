"""Finds the storage section in what an operator wrote.

A whole registry configuration, its ``storage`` section, a driver's section alone, or the fields of the
original's storage page.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

from msrctl.model.schema import load

DRIVERS = ("s3", "azure", "swift", "gcs")
OTHER_NAMES = {"s3aws": "s3"}
ELSEWHERE = {
    "filesystem": "directories are not set by a file: use --dtr-storage-volume or --nfs-storage-url",
    "inmemory": "keeps images in memory only, for tests; use a store that keeps them",
    "oss": "msrctl has no back end for OSS; OSS also speaks S3: use s3 with its regionendpoint",
}
LONGEST_KEY = 60
# Sections beside the driver (distribution-storage.md, section 1); all but redirect are msrctl's to set.
BESIDE = ("delete", "cache", "maintenance", "redirect", "tag")
OURS = ("delete", "cache", "maintenance", "tag")
REGISTRY_SECTIONS = frozenset(
    {"version", "log", "loglevel", "auth", "middleware", "reporting", "http", "notifications", "redis"}
    | {"health", "proxy", "compatibility", "validation", "policy", "catalog"}
)


@dataclass
class Part:
    """The storage section taken apart.

    Arguments:
        kind: the driver, or "" if it could not be told.
        path: where its section stands, dotted, for messages.
        section: the driver's parameters as they stand.
        redirect_disabled: `redirect.disable`, if it was given.
        problems: ``path: what`` for everything that is wrong.
        warnings: likewise, for what is only worth knowing.
    """

    kind: str = ""
    path: str = ""
    section: dict[str, Any] = field(default_factory=dict)
    redirect_disabled: bool | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    from_variables: set[str] = field(default_factory=set)
    """Paths of values that are one variable and nothing else: always text, whatever is wanted."""
    unchecked: set[str] = field(default_factory=set)
    """Paths of values with a variable that is not set, where that is only a warning."""


def take_apart(document: Any, version: str) -> Part:
    """Finds the driver and its parameters.

    Arguments:
        document: what was read.
        version: of the registry, ``2.8`` or ``3``.
    """
    part = Part()
    if not isinstance(document, dict) or not document:
        part.problems.append(f"(document): {_not_a_section(document)}")
        return part
    fields = form_fields()
    if all(_label(key) in fields for key in document):
        part.kind, part.path, part.section = "s3", "", dict(document)
        return part
    whole = "storage" in document or not any(name in document for name in [*_driver_names(), *ELSEWHERE])
    if not whole:
        _storage(part, document, "", version)
        return part
    _top_level(part, document)
    storage = document.get("storage")
    if isinstance(storage, str):
        storage = {storage: {}}
    if isinstance(storage, dict) and storage:
        _storage(part, storage, "storage.", version)
    elif "storage" in document:
        part.problems.append(f"storage: {_not_a_section(storage)}")
    return part


def _top_level(part: Part, document: dict[str, Any]) -> None:
    others = sorted(set(document) & REGISTRY_SECTIONS - {"version"})
    if others:
        part.warnings.append(f"only the storage section is used, not {', '.join(others)}")
    for key in document:
        if key == "storage" or key in REGISTRY_SECTIONS:
            continue
        if key in BESIDE:
            part.problems.append(f"{key}: the registry ignores it here; it belongs under storage")
        else:
            part.problems.append(
                f"{joined('', key)}: unknown{suggest(key, [*_driver_names(), *BESIDE, 'storage'])}"
            )
    if "storage" not in document:
        part.problems.append(f"(document): no storage section, and none of the drivers {', '.join(DRIVERS)}")


def _storage(part: Part, storage: dict[str, Any], base: str, version: str) -> None:
    known = [*_driver_names(), *ELSEWHERE]
    named = [key for key in storage if key in known]
    for key in storage:
        if key in REGISTRY_SECTIONS and not base:
            continue
        if key not in known and key not in BESIDE:
            hint = suggest(key, known)
            part.problems.append(
                f"{base}{joined('', key)}: unknown; the registry would take it for a driver{hint}"
            )
    if len(named) > 1:
        part.problems.append(
            f"{base or '(document)'}".rstrip(".") + f": {' and '.join(named)} are two drivers; the registry "
            "takes exactly one, and counts an empty one too"
        )
    elif not named:
        part.problems.append(
            f"{base.rstrip('.') or '(document)'}: names no driver: one of {', '.join(DRIVERS)}"
        )
    _beside(part, storage, base, version)
    if len(named) != 1:
        return
    name, part.path = named[0], base + named[0]
    if name in ELSEWHERE:
        part.problems.append(f"{part.path}: {ELSEWHERE[name]}")
    section = storage[name]
    if name in DRIVERS or name in OTHER_NAMES or name == "filesystem":
        part.kind = OTHER_NAMES.get(name, name)
    if isinstance(section, dict):
        part.section = dict(section)
    elif section is not None or name in DRIVERS:
        part.problems.append(f"{part.path}: {_not_a_section(section)}")
        part.kind = ""


def _beside(part: Part, storage: dict[str, Any], base: str, version: str) -> None:
    if "tag" in storage and version == "2.8":
        part.problems.append(f"{base}tag: only registry 3 knows it; 2.8 would take it for a second driver")
    ours = [key for key in OURS if key in storage and not (key == "tag" and version == "2.8")]
    if ours:
        part.warnings.append(f"msrctl sets {', '.join(ours)} itself: what stands there is not used")
    redirect = storage.get("redirect", {})
    if not isinstance(redirect, dict):
        part.problems.append(f"{base}redirect: must be a section with disable: true or false")
        return
    for key in redirect:
        if key != "disable":
            part.problems.append(f"{base}redirect.{key}: unknown{suggest(key, ['disable'])}")
    disable = redirect.get("disable")
    if "disable" in redirect and not isinstance(disable, bool):
        part.problems.append(
            f"{base}redirect.disable: must be true or false without quotes; the registry panics"
        )
    elif isinstance(disable, bool):
        part.redirect_disabled = disable


def form_fields() -> dict[str, str]:
    """The fields of the original's storage page for S3: label in one spelling to the driver's parameter."""
    return {
        _label(body["x-field"]): name
        for name, body in load("storage-s3")["properties"].items()
        if "x-field" in body
    }


def rename_fields(part: Part) -> None:
    """Replaces labels of the original's storage page by the driver's parameters."""
    if part.kind != "s3":
        return
    fields, renamed = form_fields(), dict[str, Any]()
    for key, value in part.section.items():
        name = fields.get(_label(key), key)
        if name in renamed:
            part.problems.append(f"{joined(part.path, key)}: the same as {name}, which is given too")
        renamed[name] = value
    part.section = renamed


def joined(path: str, key: str) -> str:
    """A dotted path; of a key that is a whole text only the beginning."""
    short = key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..."
    return f"{path}.{short}" if path else short


def suggest(key: str, known: list[str]) -> str:
    """`; did you mean accesskey?`, or nothing."""
    plain = {_label(name).replace(" ", ""): name for name in known}
    wanted = _label(key).replace(" ", "")
    close = difflib.get_close_matches(wanted, plain, 1, 0.75)
    return f"; did you mean {plain[close[0]]}?" if close else ""


def _label(key: str) -> str:
    return " ".join(key.replace("_", " ").replace("-", " ").replace(".", " ").lower().split())


def _driver_names() -> list[str]:
    return [*DRIVERS, *OTHER_NAMES]


def _not_a_section(value: Any) -> str:
    return "empty" if value in (None, {}, "") else "must be a section of keys and values"
