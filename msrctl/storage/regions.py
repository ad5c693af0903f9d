"""Regions of Amazon S3: those that the original documents, those that the registry knows, and newer ones."""

from __future__ import annotations

import re

DOCUMENTED = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-central-1"),
    *("ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2", "sa-east-1"),
    *("cn-north-1", "us-gov-west-1", "ca-central-1"),
)
"""The original's storage page, "Supported regions"."""

KNOWN_TO_2_8 = frozenset({*DOCUMENTED, "eu-west-3", "cn-northwest-1"})
"""Without a region endpoint registry 2.8.3 panics at any other (distribution-storage.md, section 6)."""

_FORM = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")


def is_region(name: str) -> bool:
    """Whether a name looks like a region of AWS, be it a new one."""
    return _FORM.fullmatch(name) is not None


def endpoint(region: str) -> str:
    """Amazon's address of S3 in a region."""
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def is_amazon(address: str) -> bool:
    """Whether an address is Amazon's own."""
    host = address.partition("://")[2] or address
    return host.partition("/")[0].partition(":")[0].endswith((".amazonaws.com", ".amazonaws.com.cn"))
