"""Saves the image as a tar file and loads it again: the way to sites without a network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msrctl.images.errors import ImageError
from msrctl.images.inventory import ImageEntry, find, image_id, missing, tag_unversioned
from msrctl.images.progress import Progress, silent, time_limit

if TYPE_CHECKING:
    import docker

_CHUNK = 1 << 20


@dataclass(frozen=True)
class SaveResult:
    """What `save` wrote: `path` is None for a stream, `written` counts bytes."""

    reference: str
    image_id: str
    path: str | None
    written: int


@dataclass(frozen=True)
class LoadResult:
    """The images that `load` found in the file."""

    images: tuple[ImageEntry, ...]


def save(api: docker.APIClient, reference: str, destination: Path | IO[bytes]) -> SaveResult:
    """Writes an image in the format of ``docker save``.

    Arguments:
        api: the engine that has it.
        reference: the image.
        destination: a file, which appears only when it is complete, or an open binary stream.

    Raises:
        ImageMissing: the engine does not have it.
        ImageError: the file could not be written.
    """
    from docker.errors import ImageNotFound

    identity = image_id(api, reference)
    try:
        with time_limit(api, None):
            chunks = api.get_image(reference)
            if isinstance(destination, Path):
                written = _write_file(chunks, destination)
            else:
                written = _write(chunks, destination)
    except ImageNotFound as error:
        raise missing(reference) from error
    except OSError as error:
        # Errors of the connection to the engine are OSErrors too, but have no number.
        if error.errno is None:
            raise
        raise _write_failure(reference, destination, error) from error
    path = str(destination) if isinstance(destination, Path) else None
    return SaveResult(reference, identity, path, written)


def _write(chunks: Iterable[bytes], target: IO[bytes]) -> int:
    written = 0
    for chunk in chunks:
        target.write(chunk)
        written += len(chunk)
    target.flush()
    return written


def _write_file(chunks: Iterable[bytes], destination: Path) -> int:
    """Writes beside the destination and renames: an interrupted run leaves no half file under its name."""
    handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            written = _write(chunks, target)
            os.fsync(target.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 is for secrets; an image is an ordinary file
        temporary.replace(destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return written


def _write_failure(reference: str, destination: Path | IO[bytes], error: OSError) -> ImageError:
    where = str(destination) if isinstance(destination, Path) else "the stream"
    return ImageError(
        f"{reference} could not be written to {where}: {error.strerror or error}",
        state="no file was left" if isinstance(destination, Path) else "what was written is incomplete",
        hint="check that the directory exists and has room for the image (`docker image ls` shows its size)",
    )


def load(api: docker.APIClient, source: Path | IO[bytes], progress: Progress = silent) -> LoadResult:
    """Loads images from the format of ``docker save``; one of ours is tagged ``latest`` too.

    Arguments:
        api: the engine to load them into.
        source: a file, or an open binary stream.
        progress: told what the engine says.

    Raises:
        ImageError: the file cannot be read or is no saved image.
    """
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return _load(api, _chunks(stream), str(source), progress)
        except OSError as error:
            # Errors of the connection are OSErrors too, but have no file name.
            if error.filename is None:
                raise
            raise ImageError(
                f"{source} cannot be read: {error.strerror}", state="nothing was changed"
            ) from error
    return _load(api, _chunks(source), "the stream", progress)


def ship(
    source: docker.APIClient, target: docker.APIClient, reference: str, progress: Progress = silent
) -> LoadResult:
    """Sends an image from one engine to another, as it comes: nothing is written to a disk here.

    Arguments:
        source: the engine that has it.
        target: the engine that gets it.
        reference: the image.
        progress: told what the target says.

    Raises:
        ImageMissing: the source does not have it.
        ImageError: it could not be read or loaded, or the connection to one of them ended.
    """
    import requests
    from docker.errors import APIError, ImageNotFound

    try:
        with time_limit(source, None):
            return _load(target, source.get_image(reference), reference, progress)
    except ImageNotFound as error:
        raise missing(reference) from error
    except (ImageError, APIError, requests.RequestException, OSError) as error:
        raise ImageError(
            f"{reference} could not be sent from one engine to the other: {error}",
            state="nothing was changed",
            hint="carry it there: `msrctl images save FILE` here, and `msrctl images load FILE` there",
        ) from error


def _load(api: docker.APIClient, chunks: Iterable[bytes], name: str, progress: Progress) -> LoadResult:
    from docker.errors import APIError

    failure = None
    references = []
    try:
        with time_limit(api, None):
            for line in api.load_image(chunks):  # type: ignore[no-untyped-call]
                text = str(line.get("stream", "")).strip()
                failure = line.get("error", failure)
                if text:
                    progress(text)
                # "Loaded image: NAME:TAG", or "Loaded image ID: sha256:..." for one without a tag.
                if text.startswith("Loaded image"):
                    references.append(text.partition(": ")[2])
    except APIError as error:
        failure = error.explanation or str(error)
    if failure or not references:
        reason = " ".join(str(failure or "there is no image in it").split())
        raise ImageError(
            f"{name} could not be loaded: {reason}",
            hint="it has to be a file that `msrctl images save` or `docker save` wrote, complete",
        )
    for reference in references:
        tag_unversioned(api, reference)
    return LoadResult(tuple(find(api, reference) for reference in references))


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
