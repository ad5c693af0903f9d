"""What Azure's answers say: names and sizes of blobs, reasons of failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator


def sizes_in(answer: bytes) -> Iterator[tuple[str, int]]:
    """Names and sizes in bytes in an answer of List Blobs."""
    for blob in ET.fromstring(answer).iter("Blob"):  # noqa: S314 - expat 2.4.1 and newer limit entities
        name = blob.find("Name")
        if name is not None and name.text:
            text = unquote(name.text) if name.get("Encoded") == "true" else name.text
            yield text, int(blob.findtext("Properties/Content-Length") or 0)


def code_of(error: Any) -> str:
    """Azure's code of an error, such as ContainerNotFound; "" if there is none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def reason_of(error: Any) -> str:
    """What Azure says: its first line, without the id of the request, and its code."""
    text = str(error.message or error.reason or "").strip().splitlines()
    code = code_of(error)
    said = text[0] if text else f"status {error.status_code}"
    return f"{said} ({code})" if code and code not in said else said
