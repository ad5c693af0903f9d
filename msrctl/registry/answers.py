"""Small readings of a registry's URLs and answers, without importing an HTTP library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests

_EXCERPT = 300


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL, with the port that the scheme implies."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


def status_text(answer: requests.Response) -> str:
    """Status and reason of an answer: the registry's own errors if the body has them, else how it begins."""
    text = " ".join(answer.text.split())[:_EXCERPT]
    try:
        text = "; ".join(_error_text(error) for error in json.loads(answer.content)["errors"]) or text
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {answer.status_code}: {text}".removesuffix(": ")
    return f"HTTP {answer.status_code}: {text}"


def _error_text(error: dict[str, object]) -> str:
    detail = json.dumps(error["detail"])[:_EXCERPT] if error.get("detail") else ""
    return " ".join(str(part) for part in (error.get("code"), error.get("message"), detail) if part)
