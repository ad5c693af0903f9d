"""The image msrctl/msr:<version>: build, list, save and load it. Nothing here prints.

For commands (`api` is a ``docker.APIClient``, `progress` is called with one line of text at a time):

* ``build(api, version, progress, *, base=BASE, force=False) -> BuildResult``
* ``list_images(api, version) -> ListResult``: ``str(result)`` is one image reference per line
* ``save(api, reference, destination) -> SaveResult``: to a path, or a stream as ``sys.stdout.buffer``
* ``load(api, source, progress) -> LoadResult``: from a path, or a stream as ``sys.stdin.buffer``
* ``image_reference(version) -> str``: the reference that all of them mean
* ``image_id(api, reference) -> str``: the id that services name, or an error that says how to get the image

All results are frozen; errors are `ImageError` and `ImageMissing`, or what the Docker SDK raises when the
engine does not answer.
"""

from __future__ import annotations

from msrctl.images.archive import LoadResult, SaveResult, load, save
from msrctl.images.base import BASE, BaseImage, ensure_base
from msrctl.images.build import BuildResult, build
from msrctl.images.errors import ImageError, ImageMissing
from msrctl.images.inventory import ImageEntry, ListResult, image_id, image_reference, list_images

__all__ = [
    "BASE",
    "BaseImage",
    "BuildResult",
    "ImageEntry",
    "ImageError",
    "ImageMissing",
    "ListResult",
    "LoadResult",
    "SaveResult",
    "build",
    "ensure_base",
    "image_id",
    "image_reference",
    "list_images",
    "load",
    "save",
]
