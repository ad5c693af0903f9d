"""PEM arguments: the text, a path, or @path; checked for their shape only (msrctl.tls checks the meaning)."""

from __future__ import annotations

import binascii
import re

from msrctl.bootstrapper import about_files

_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----\s*\n(?P<body>.*?)-----END (?P=label)-----", re.DOTALL
)
_MARK = "-----BEGIN "
_LARGEST = 1 << 20


def certificates(text: str) -> str:
    """PEM text with at least one certificate.

    Raises:
        ValueError: the file cannot be read, or it holds no certificate; the reason never quotes the contents.
    """
    pem = _read(text)
    labels = _labels(pem)
    if any("PRIVATE KEY" in label for label in labels):
        raise ValueError("holds a private key; certificates are expected here")
    if "CERTIFICATE" not in labels:
        raise ValueError("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return pem


def private_key(text: str) -> str:
    """PEM text with exactly one private key that has no passphrase.

    Raises:
        ValueError: the file cannot be read, or it holds something else; the reason never quotes the contents.
    """
    pem = _read(text)
    labels = [label for label in _labels(pem) if label.endswith("PRIVATE KEY")]
    if not labels:
        raise ValueError("holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
    if len(labels) > 1:
        raise ValueError("holds more than one private key")
    if labels[0] == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in pem:
        raise ValueError(
            "has a passphrase, and the services start without anybody to type it: remove it first"
        )
    return pem


def _read(text: str) -> str:
    if _MARK in text:
        return text.replace("\r\n", "\n").strip() + "\n"
    name = text.removeprefix("@")
    if "\n" in name or "\0" in name or len(name) > 4096 or not name:
        raise ValueError("is neither PEM text nor the path of a file")
    from pathlib import Path

    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"the file {name} is too large for PEM")
        return path.read_text(encoding="utf-8").replace("\r\n", "\n").strip() + "\n"
    except FileNotFoundError:
        # The name may be a key that lost its first line: it is not repeated.
        raise ValueError(f"is neither PEM text nor the path of a file that exists{about_files()}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the file {name} is not PEM (it is binary, perhaps DER)") from None
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror}") from None


def _labels(pem: str) -> list[str]:
    labels = []
    for block in _BLOCK.finditer(pem):
        body = "".join(line for line in block["body"].split("\n") if ":" not in line and line.strip())
        try:
            raw = binascii.a2b_base64(body, strict_mode=True)
        except binascii.Error:
            raise ValueError(f"the {block['label']} in it is damaged (not base64)") from None
        if not raw:
            raise ValueError(f"the {block['label']} in it is empty")
        labels.append(block["label"])
    return labels
