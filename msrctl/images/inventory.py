"""Which images msrctl needs, and what an engine has of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msrctl.images.errors import ImageMissing

if TYPE_CHECKING:
    import docker

REPOSITORY = "msrctl/msr"
# What `docker run msrctl/msr` means, as nobody types a version there.
UNVERSIONED = "latest"


@dataclass(frozen=True)
class ImageEntry:
    """One image; `image_id` and `size` (bytes) are None when the engine does not have it."""

    reference: str
    image_id: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class ListResult:
    """The images that an installation of one version needs."""

    images: tuple[ImageEntry, ...]

    def __str__(self) -> str:
        return "\n".join(image.reference for image in self.images)


def image_reference(version: str) -> str:
    """The reference of the image of a version, for example ``msrctl/msr:0.1.0``."""
    # A tag may not hold the plus sign of a local version (PEP 440).
    return f"{REPOSITORY}:{version.replace('+', '-')}"


def inspect(api: docker.APIClient, reference: str) -> dict[str, Any] | None:
    """The engine's description of an image, or None when it has no such image."""
    from docker.errors import ImageNotFound

    try:
        found: dict[str, Any] = api.inspect_image(reference)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return None
    return found


def find(api: docker.APIClient, reference: str) -> ImageEntry:
    """What the engine has under a reference."""
    found = inspect(api, reference)
    return ImageEntry(reference, found["Id"], found["Size"]) if found else ImageEntry(reference)


def image_id(api: docker.APIClient, reference: str) -> str:
    """The id of an image, ``sha256:...``; services name it, so that no engine asks a registry for the tag.

    Raises:
        ImageMissing: the engine does not have it.
    """
    found = find(api, reference)
    if found.image_id is None:
        raise missing(reference)
    return found.image_id


def missing(reference: str) -> ImageMissing:
    """The error for an image that the engine does not have."""
    return ImageMissing(
        f"the engine has no image {reference}",
        state="nothing was changed",
        hint="build it with `msrctl images build`, or bring it along: `msrctl images save FILE` where it is, "
        "`msrctl images load FILE` here",
    )


def tag_unversioned(api: docker.APIClient, reference: str) -> None:
    """Lets `docker run msrctl/msr` run an image of ours: the one that was built or loaded last.

    Services name images by id and msrctl looks for its own version, so nothing that runs follows this tag.

    Arguments:
        api: the engine that has it.
        reference: the image; one of another repository is left alone.
    """
    repository, _, tag = reference.rpartition(":")
    if repository == REPOSITORY and tag != UNVERSIONED:
        api.tag(reference, REPOSITORY, UNVERSIONED)


def list_images(api: docker.APIClient | None, version: str) -> ListResult:
    """The images that a version needs, with their ids where an engine is given and has them."""
    reference = image_reference(version)
    return ListResult((find(api, reference) if api else ImageEntry(reference),))
