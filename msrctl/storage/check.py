"""Checks a driver's section against its schema. In words of our own: a message never quotes a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msrctl.model.schema import load
from msrctl.storage.document import joined, suggest
from msrctl.storage.hints import HINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jsonschema

    from msrctl.storage.document import Part

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""Text that Go's strconv.ParseBool takes, and so the registry where it takes text at all."""

_TYPES = {
    "string": "must be text: put it in quotes",
    "integer": "must be a whole number",
    "boolean": "must be true or false",
    "object": "must be a section of keys and values",
    "array": "must be a list",
}


def normalise(part: Part) -> dict[str, Any]:
    """Turns quoted numbers and switches into real ones where the registry does so too, and from variables."""
    properties = load(f"storage-{part.kind}")["properties"]
    return {
        key: _normal(value, properties.get(key, {}), variable=joined(part.path, key) in part.from_variables)
        for key, value in part.section.items()
    }


def _normal(value: Any, body: dict[str, Any], *, variable: bool) -> Any:
    if not isinstance(value, str) or "x-kind" not in body:
        return value
    if not variable and not isinstance(body["type"], list):
        return value
    if body["x-kind"] == "boolean" and value in TRUE | FALSE:
        return value in TRUE
    if body["x-kind"] == "integer" and value.removeprefix("-").isdecimal() and len(value) < 20:
        return int(value)
    return value


def problems(kind: str, section: dict[str, Any], path: str, version: str) -> Iterator[str]:
    """``path: what`` for everything that the schema refuses.

    Arguments:
        kind: the driver.
        section: its parameters, normalised.
        path: where they stand.
        version: of the registry, ``2.8`` or ``3``.
    """
    import jsonschema

    schema = load(f"storage-{kind}")
    if version not in schema.get("x-versions", [version]):
        yield f"{path}: registry {version} has no {kind} driver any more; move the images to another store"
    validator = jsonschema.Draft202012Validator(schema)
    for error in sorted(validator.iter_errors(section), key=lambda e: [str(p) for p in e.absolute_path]):
        where = ".".join([*([path] if path else []), *(str(p) for p in error.absolute_path)])
        yield from _words(kind, error, where)
    yield from _quoted(schema["properties"], section, path)
    yield from _versions(schema["properties"], section, path, version)
    yield from _texts(schema["properties"], section, path)


def _words(kind: str, error: jsonschema.ValidationError, where: str) -> Iterator[str]:
    schema: Any = error.schema
    wanted: Any = error.validator_value
    section: Any = error.instance
    if error.validator == "required":
        missing = [key for key in wanted if key not in section and repr(key) in error.message]
        yield from (f"{joined(where, key)}: missing" for key in missing)
    elif error.validator == "additionalProperties":
        known = list(schema["properties"])
        yield from (
            f"{joined(where, key)}: {_unknown(kind, key, known)}" for key in section if key not in known
        )
    else:
        yield f"{where}: {_value_words(kind, error, schema, wanted)}"


def _value_words(  # noqa: PLR0911 - one line a rule
    kind: str, error: jsonschema.ValidationError, schema: Any, wanted: Any
) -> str:
    hint = HINTS.get((kind, str(error.absolute_path[-1]), str(error.validator)), "")
    match error.validator:
        case "type":
            return _type_words(schema, error.instance)
        case "enum":
            return f"must be one of {', '.join(str(item) for item in wanted)}"
        case "pattern":
            return f"must be {schema.get('x-pattern', 'of another form')}"
        case "minimum":
            return f"must be at least {wanted:,}{hint}"
        case "maximum":
            return f"must be at most {wanted:,}"
        case "multipleOf":
            return f"must be a multiple of {wanted:,}"
        case "minLength":
            return "empty"
    return "not allowed"


def _unknown(kind: str, key: str, known: list[str]) -> str:
    hint = HINTS.get((kind, key))
    return hint or f"unknown; the registry would ignore it{suggest(key, known)}"


def _type_words(schema: dict[str, Any], value: Any) -> str:
    kind = schema.get("x-kind") or schema["type"]
    if value is None:
        return "empty; the registry would take it for the text <nil>" if kind == "string" else "empty"
    if isinstance(value, str) and kind in {"boolean", "integer"} and not isinstance(schema["type"], list):
        return f"{_TYPES[kind]}, without quotes"
    return _TYPES[kind]


def _quoted(properties: dict[str, Any], section: dict[str, Any], path: str) -> Iterator[str]:
    """Text that stands for a number or a switch, and is none: the registry would not start."""
    for key, value in section.items():
        body = properties.get(key, {})
        if isinstance(value, str) and isinstance(body.get("type"), list):
            yield f"{joined(path, key)}: {_TYPES[body['x-kind']]}"


def _versions(properties: dict[str, Any], section: dict[str, Any], path: str, version: str) -> Iterator[str]:
    for key, value in section.items():
        body = properties.get(key, {})
        if version not in body.get("x-versions", [version]):
            why = body.get("x-why", f"{version} ignores it")
            if (key, value) != ("forcepathstyle", True):
                yield f"{joined(path, key)}: only registry {' and '.join(body['x-versions'])} knows it; {why}"
        elif isinstance(value, str) and version not in body.get("x-versions-of", {}).get(value, [version]):
            yield f"{joined(path, key)}: registry {version} does not know {value}"


def _texts(properties: dict[str, Any], section: dict[str, Any], path: str) -> Iterator[str]:
    for key, value in section.items():
        body = properties.get(key, {})
        if isinstance(value, dict) and "properties" in body:
            yield from _texts(body["properties"], value, joined(path, key))
        elif isinstance(value, str) and body.get("x-role") != "root-ca":
            if any(ord(c) < 32 or ord(c) == 127 for c in value):
                yield f"{joined(path, key)}: a control character or a line break is in it"
            elif value != value.strip():
                yield f"{joined(path, key)}: begins or ends with a blank"
