"""Takes secrets out of what is given to others: by their names, by their look, and known ones by value."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from msrctl.secret import Secret

MASK = "****"
HARMLESS_VARIABLES = frozenset({"NO_PROXY", "OTEL_TRACES_EXPORTER", "SSL_CERT_DIR", "PATH"})
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY"})
SHORTEST = 4
"""Shorter secrets are not looked for by value: they would stand in any text."""

_NAMES = (
    "pass(?:word|wd|phrase)?|secret|token|credential|authorization|accesskey|access_key|accountkey|account_key"
    "|privatekey|private_key|apikey|api_key|htpasswd|signature"
)
# Exactly these, where a part of a name would say nothing: signatures of stores' links, state of an upload.
_WHOLE_NAMES = r"sig|_state|pwd|auth"
_SUSPICIOUS = re.compile(rf"(?:{_NAMES})|^(?:{_WHOLE_NAMES})$", re.IGNORECASE)
# Keys of the engine's and of msrctl's own that are about secrets and hold none.
_ABOUT_SECRETS = frozenset({"secrets", "secretid", "secretname"})

# Lengths are bounded so that a long word without any secret in it does not take long.
_KEY_PAIR = re.compile(
    rf"""(?P<name>(?:(?:{_NAMES})[\w.\-]{{0,40}}|(?<![\w.\-])(?:{_WHOLE_NAMES})))
    (?P<sign>\\*["']?\s{{0,4}}[:=]\s{{0,4}})
    (?P<value>\\*"(?:[^"\\]|\\.)*\\*"?|'[^']*'?
        |[^\s&;,"'}}\])]+(?:[ \t]+(?![\w.\-]+=)[^\s&;,"'}}\])]+)*)""",
    re.IGNORECASE | re.VERBOSE,
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*=")
_PRIVATE_KEY = r"[A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----"
_PATTERNS = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, flags, replacement in (
        (
            rf"-----BEGIN {_PRIVATE_KEY}.*?(?:-----END {_PRIVATE_KEY}|\Z)",
            re.DOTALL,
            f"({MASK}: a private key)",
        ),
        (r"(://)[^/\s@\"'<>]+@", 0, rf"\1{MASK}@"),
        (r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{4,}", re.IGNORECASE, rf"\1 {MASK}"),
        (r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{20,}", 0, MASK),
        (r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*", 0, MASK),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", 0, MASK),
        (r"\bSWMTKN-[\w-]+", 0, MASK),
        (r"\bAGE-SECRET-KEY-\w+", re.IGNORECASE, MASK),
    )
)


class Redactor:
    """Redacts text and JSON data.

    Arguments:
        known: secrets of this run, which are looked for by value as well.
        names: names of the swarm's secrets: they may stand anywhere, for they are no secrets themselves.
    """

    def __init__(self, known: Iterable[Secret | None] = (), names: Collection[str] = ()) -> None:
        texts = {secret.reveal_text() for secret in known if secret}
        self._known = sorted(
            {form for text in texts if len(text) >= SHORTEST for form in _forms(text)}, key=len, reverse=True
        )
        self._names = frozenset(names)

    def text(self, text: str) -> str:
        """Text of any form, such as a log, without secrets."""
        for known in self._known:
            text = text.replace(known, MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return _KEY_PAIR.sub(self._pair, text)

    def data(self, value: Any, name: str = "", *, hidden: bool = False) -> Any:
        """JSON data without secrets; keys stay.

        Arguments:
            value: the data.
            name: the key that they stand under.
            hidden: they are part of something that is a secret by its name.
        """
        hidden = hidden or (name.lower() not in _ABOUT_SECRETS and bool(_SUSPICIOUS.search(name)))
        if isinstance(value, dict):
            # Drift has the name of what it is about beside what was found.
            about = str(value.get("name", "")) if "found" in value else ""
            hidden = hidden or bool(_SUSPICIOUS.search(about))
            return {self.text(str(k)): self.data(item, str(k), hidden=hidden) for k, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(item, name, hidden=hidden) for item in value]
        if not value or isinstance(value, bool) or value in self._names:
            return value
        if hidden:
            return MASK
        return self._string(value, name) if isinstance(value, str) else value

    def _string(self, text: str, name: str) -> str:
        if name == "Env" or _VARIABLE.match(text):
            return self._variable(text)
        if text[0] in "{[":
            # Labels hold JSON too: the journal's steps, the owner of a one-shot.
            with contextlib.suppress(ValueError):
                return json.dumps(self.data(json.loads(text)), ensure_ascii=False)
        return self.text(text)

    def _variable(self, text: str) -> str:
        """A variable of an environment: only what msrctl itself sets is shown with its value."""
        name, sign, value = text.partition("=")
        if name in HARMLESS_VARIABLES or name in PROXIES:
            return f"{name}{sign}{self.text(value)}"
        return f"{name}{sign}{MASK}" if value else text

    def _pair(self, match: re.Match[str]) -> str:
        value = match["value"].strip("\\\"'")
        # A template of the engine's stands for a secret; it is none.
        if value in self._names or not value or value.startswith("{{"):
            return match[0]
        return f"{match['name']}{match['sign']}{MASK}"


def _forms(text: str) -> set[str]:
    """A secret as it is, and as it stands in JSON, in URLs and in what is base64."""
    coded = base64.b64encode(text.encode()).decode()
    return {text, json.dumps(text)[1:-1], quote(text, safe=""), quote(text), coded, coded.rstrip("=")}
