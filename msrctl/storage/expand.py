"""``${NAME}`` and ``<key>_file`` in a storage configuration: credentials that do not stand in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrctl.model.schema import load
from msrctl.storage.document import joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.storage.document import Part

MAX_FILE_BYTES = 64 << 10
_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FILED = "_file"


def expand(part: Part, environ: Mapping[str, str], *, lenient: bool = False) -> None:
    """Puts variables into the section's values: once, only in values; what is put in is not looked at again.

    Arguments:
        part: changed in place; a variable that is not set is a problem that names it.
        environ: the variables.
        lenient: a variable that is not set is only a warning; its value is left unchecked.
    """
    put = _Variables(part, environ, lenient=lenient)
    part.section = {key: put.into(value, joined(part.path, key)) for key, value in part.section.items()}
    for key in part.section:
        if "${" in key:
            part.problems.append(f"{joined(part.path, key)}: variables may only stand in values")


class _Variables:
    def __init__(self, part: Part, environ: Mapping[str, str], *, lenient: bool) -> None:
        self._part = part
        self._environ = environ
        self._lenient = lenient

    def into(self, value: Any, path: str) -> Any:
        """A value with its variables put in."""
        if isinstance(value, dict):
            return {key: self.into(item, joined(path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.into(item, f"{path}.{n}") for n, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        if _REFERENCE.fullmatch(value):
            self._part.from_variables.add(path)
        return _REFERENCE.sub(lambda match: self._value(match, path), value)

    def _value(self, match: re.Match[str], path: str) -> str:
        name = match[1]
        problems = self._part.problems
        if not match[0].endswith("}") or not _NAME.fullmatch(name):
            problems.append(f"{path}: only ${{NAME}} is expanded, without defaults or nesting")
        elif name not in self._environ and self._lenient:
            self._part.unchecked.add(path)
            self._part.warnings.append(
                f"{path}: the variable {name} is not set here, so its value is not checked"
            )
        elif name not in self._environ:
            problems.append(f"{path}: the variable {name} is not set")
        elif "\0" in self._environ[name]:
            problems.append(f"{path}: the variable {name} has a NUL character in it")
        else:
            return self._environ[name]
        return match[0]


def read_files(part: Part, directory: Path) -> None:
    """Replaces ``<key>_file`` by the contents of the file, for keys that hold a secret or a certificate.

    Arguments:
        part: changed in place.
        directory: what relative paths are relative to.
    """
    if not part.kind:
        return
    part.section = _with_files(part, part.section, load(f"storage-{part.kind}"), part.path, directory)


def _with_files(
    part: Part, section: dict[str, Any], schema: dict[str, Any], base: str, directory: Path
) -> dict[str, Any]:
    properties = schema["properties"]
    found: dict[str, Any] = {}
    for key, value in section.items():
        name = key.removesuffix(FILED)
        body = properties.get(name, {})
        if isinstance(value, dict) and "properties" in properties.get(key, {}):
            found[key] = _with_files(part, value, properties[key], joined(base, key), directory)
        elif key in properties or not (body.get("x-secret") or body.get("x-role") == "root-ca"):
            found[key] = value
        elif name in section:
            part.problems.append(f"{joined(base, key)}: {name} is given too; one of them is enough")
        elif joined(base, key) in part.unchecked:
            part.unchecked.add(joined(base, name))
            found[name] = value
        else:
            text = read_text(part, value, joined(base, key), directory)
            if text is not None:
                found[name] = text
    return found


def read_text(part: Part, name: Any, path: str, directory: Path) -> str | None:
    """The contents of a file without its last line break, or None with a problem noted."""
    if not isinstance(name, str) or not name:
        part.problems.append(f"{path}: must be the path of a file")
        return None
    file = directory / name
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        text = data.decode()
    except OSError as error:
        part.problems.append(f"{path}: cannot read {file}: {(error.strerror or 'error').lower()}")
        return None
    except (UnicodeDecodeError, ValueError):
        part.problems.append(f"{path}: {file} is not text")
        return None
    if len(data) > MAX_FILE_BYTES:
        part.problems.append(f"{path}: {file} is larger than {MAX_FILE_BYTES >> 10} KiB")
        return None
    return text.removesuffix("\n").removesuffix("\r")
