"""Validation against the JSON Schema files in schemas/: all errors at once, each with a dotted path."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any


def problems(name: str, data: Any) -> tuple[str, ...]:
    """Everything that is wrong with `data`, as ``path: what`` lines in document order.

    Arguments:
        name: a file of schemas/ without its ending.
        data: parsed JSON or YAML.
    """
    import jsonschema

    validator = jsonschema.Draft202012Validator(load(name))
    errors = sorted(validator.iter_errors(data), key=lambda e: [str(p) for p in e.absolute_path])
    return tuple(f"{_dotted(e.absolute_path)}: {e.message}" for e in errors)


@cache
def load(name: str) -> dict[str, Any]:
    """A schema by its file's name. An installed msrctl has them inside the package, a checkout beside it."""
    inside = resources.files("msrctl") / "schemas" / f"{name}.json"
    beside = Path(__file__).resolve().parents[2] / "schemas" / f"{name}.json"
    text = inside.read_text() if inside.is_file() else beside.read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _dotted(path: Any) -> str:
    return ".".join(str(p) for p in path) or "(document)"
