"""A commented storage configuration for a driver, written from its schema."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from msrctl.errors import UsageFault
from msrctl.model.schema import load
from msrctl.storage.document import DRIVERS

WIDTH = 100
DIRECTORY_NOTE = """\
# The driver filesystem needs no file: msrctl sets the directory, and mounts the store there.
#   a volume:                msrctl install --dtr-storage-volume NAME
#   a directory of the node: msrctl install --dtr-storage-volume /path
#   NFS:                     msrctl install --nfs-storage-url nfs://host/directory
"""


def sample(driver: str, version: str = "2.8") -> str:
    """The file as text: what is usually needed stands there, everything else as a comment.

    Arguments:
        driver: s3, azure, swift or gcs; for filesystem there is only a note in comments.
        version: of the registry, ``2.8`` or ``3``.

    Raises:
        UsageFault: STORAGE-DRIVER, the registry has no such driver.
    """
    if driver == "filesystem":
        return DIRECTORY_NOTE
    schema = load(f"storage-{driver}") if driver in DRIVERS else {"x-versions": []}
    if version not in schema.get("x-versions", [version]):
        raise UsageFault(
            f"registry {version} has no driver {driver}",
            code="STORAGE-DRIVER",
            state="Nothing was touched.",
            hint=f"There are {', '.join(DRIVERS)} (swift with registry 2.8 only).",
        )
    lines = [
        *_comment(f"{schema['description']} For registry {version}; msrctl storage validate FILE checks it."),
        *_comment("Lines that begin with # and no blank after it are options: take the # away to use them."),
        *_comment(
            "${NAME} is taken from the environment. A secret or a certificate may also stand in a file of "
            "its own: password_file: /path in the place of password."
        ),
        "storage:",
        f"  {driver}:",
        *_section(schema, version, 4),
        *_comment(
            "Whether clients fetch layers from the store itself, which they must reach and trust then.", 2
        ),
        *_off(["  redirect:", "    disable: true"]),
    ]
    return "\n".join(lines) + "\n"


def _section(schema: dict[str, Any], version: str, indent: int) -> list[str]:
    lines: list[str] = []
    required = schema.get("required", [])
    for key, body in schema["properties"].items():
        if version not in body.get("x-versions", [version]):
            continue
        wanted = key in required or version in body.get("x-sample", [])
        lines += _comment(_about(body, version, required=key in required), indent)
        if "properties" in body:
            inner = [f"{' ' * indent}{key}:", *_section(body, version, indent + 2)]
            lines += inner if wanted else _off(inner)
        elif wanted:
            lines += [" " * indent + line for line in _lines(key, body)]
        elif "examples" in body:
            lines += _off([" " * indent + line for line in _lines(key, body)])
    return lines


def _about(body: dict[str, Any], version: str, *, required: bool) -> str:
    words = str(body["description"])
    only = body.get("x-versions-of", {})
    values = body.get("enum") or body.get("items", {}).get("enum") or []
    known = [str(value) for value in values if version in only.get(value, [version])]
    if known:
        words += f" One of {', '.join(known)}."
    if "default" in body:
        words += f" Default: {_scalar(body['default'])}."
    if "x-field" in body:
        words += f" (On the original's storage page: {body['x-field']}.)"
    return f"Required. {words}" if required else words


def _lines(key: str, body: dict[str, Any]) -> list[str]:
    example = body["examples"][0]
    if isinstance(example, str) and "\n" in example:
        return [f"{key}: |", *(f"  {line}" for line in example.splitlines())]
    return [f"{key}: {_scalar(example)}"]


def _scalar(value: Any) -> str:
    # JSON is YAML. Words that YAML would not take for anything else go without quotes.
    if isinstance(value, str) and not value.isdigit() and value not in {"off", "on", "yes", "no", ""}:
        return value
    return json.dumps(value, ensure_ascii=False)


def _off(lines: list[str]) -> list[str]:
    """Lines as options: the # stands where the text begins, so without it the indentation is right."""
    return [line if line.lstrip().startswith("#") else _sign(line) for line in lines]


def _sign(line: str) -> str:
    text = line.lstrip()
    return f"{line[: len(line) - len(text)]}#{text}"


def _comment(text: str, indent: int = 0) -> list[str]:
    return [f"{' ' * indent}# {line}" for line in textwrap.wrap(text, WIDTH - indent)]
