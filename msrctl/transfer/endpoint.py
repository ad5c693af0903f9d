"""What all clients of object stores do alike: whom they trust, which proxy they take, how keys are called."""

from __future__ import annotations

import os
import ssl
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Setting:
    """The keys of a storage configuration that remedies name.

    Arguments:
        address: the key with the address, such as ``regionendpoint``; "" if there is none.
        root_ca: the key with the CA.
        skip_verify: the key that turns verification off.
    """

    address: str = "regionendpoint"
    root_ca: str = "rootca"
    skip_verify: str = "skipverify"


class Fault(Exception):
    """A step failed.

    Arguments:
        title: the step.
        code: PRE-STORE-...
        detail: what was seen.
        hint: what to do.
    """

    def __init__(self, title: str, code: str, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.check: dict[str, Any] = {
            "title": title,
            "ok": False,
            "detail": detail,
            "code": code,
            "hint": hint,
        }


def context(root_ca: str, *, skip_verify: bool = False) -> ssl.SSLContext:
    """What the registry takes: the system's authorities and one more, or anything.

    Arguments:
        root_ca: PEM; "" for none.
        skip_verify: take any certificate.

    Raises:
        ssl.SSLError: root_ca is no certificate.
    """
    made = ssl.create_default_context()
    # Python 3.13 refuses certificates that lack what RFC 5280 asks for; the registry's Go takes them.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # Go takes a certificate that is itself among the trusted ones, whoever signed it.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if root_ca:
        made.load_verify_locations(cadata=root_ca)
    if skip_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def proxy_for(url: str) -> tuple[str, int] | None:
    """Host and port of the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY send requests for an URL to."""
    parts = urlsplit(url)
    given = os.environ.get(f"{parts.scheme}_proxy") or os.environ.get(f"{parts.scheme.upper()}_PROXY")
    if not given or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxy = urlsplit(given if "://" in given else f"http://{given}")
    return (proxy.hostname, proxy.port or PORTS.get(proxy.scheme, 80)) if proxy.hostname else None
