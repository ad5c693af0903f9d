"""What can go wrong with images, by remedy."""

from __future__ import annotations

from msrctl.errors import MsrctlError, PreflightFailed


class ImageError(MsrctlError):
    """An image could not be built, saved or loaded."""

    default_code = "IMAGE"


class ImageMissing(PreflightFailed):
    """The engine does not have an image that is needed."""

    default_code = "PRE-IMAGE"
