"""Versions of the registry (CNCF Distribution) that msrctl runs, and what differs between them."""

from __future__ import annotations

import re

from msrctl.errors import PreflightFailed

OWN = "2.8.3"
"""In msrctl's own image (Debian's docker-registry)."""
NOT_IN_OWN = frozenset({"azure", "gcs"})
"""Drivers that Debian builds its registry without: it panics when it starts (object-stores.md, section 1)."""

SUPPORTED = "2.8.3 or a later 2.8, and 3.1.1 or a later 3.1"
_OLDEST = {(2, 8): 3, (3, 1): 1}
"""The first patch of each minor version that is run; 3.0 and 3.1.0 have faults that 3.1.1 corrects
(distribution-storage.md, section 2)."""


def from_output(text: str) -> str | None:
    """The version in the answer of `registry --version`, or None.

    Arguments:
        text: for example ``registry github.com/distribution/distribution/v3 v3.1.1``; Debian's has no v and
            ends with +ds1 or the like.
    """
    # The last word: the name of the module may have a v3 in it too.
    last = (text.split() or [""])[-1]
    found = re.fullmatch(r"v?(\d+\.\d+\.\d+)(?:[-+~].*)?", last)
    return found[1] if found else None


def require_supported(version: str | None, image: str) -> str:
    """The version, if msrctl runs it.

    Arguments:
        version: from `from_output`.
        image: the image's name, for the message.

    Raises:
        PreflightFailed: PRE-REGISTRY-VERSION.
    """
    major, minor, patch = (int(part) for part in (version or "0.0.0").split("."))
    if version and patch >= _OLDEST.get((major, minor), patch + 1):
        return version
    what = f"version {version}" if version else "of no version that it tells"
    raise PreflightFailed(
        f"the registry in image {image} is {what}",
        code="PRE-REGISTRY-VERSION",
        state="Nothing was changed.",
        hint=f"msrctl runs {SUPPORTED}; without --registry-image the one in its own image, {OWN}.",
    )


def is_3(version: str | None) -> bool:
    """Whether a version (None: msrctl's own) reads the configuration of registry 3."""
    return (version or OWN).startswith("3.")
