"""Builds the image msrctl/msr:<version> on an engine, from the running installation."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msrctl.images.base import BASE, ensure_base
from msrctl.images.context import build_hash, write_context
from msrctl.images.errors import ImageError
from msrctl.images.inventory import image_reference, inspect, tag_unversioned
from msrctl.images.progress import Progress, silent
from msrctl.images.wheels import dependency_wheels, installation, own_files, own_wheel, requirements

if TYPE_CHECKING:
    import docker

LABEL_BUILD_HASH = "io.msrctl.build-hash"

# The engine's name of a processor (Go's) -> that of wheels (Linux's).
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_LOG_LINES = 20
_STEP_WIDTH = 100


@dataclass(frozen=True)
class BuildResult:
    """What `build` did.

    Arguments:
        reference: the image, for example ``msrctl/msr:0.1.0``.
        image_id: its id, ``sha256:...``.
        size: its size in bytes, as the engine counts it.
        built: False when the engine had it already.
        base: how the base came to be there; None when nothing was built.
        build_hash: the hash of what it was made from, also in the label ``io.msrctl.build-hash``.
    """

    reference: str
    image_id: str
    size: int
    built: bool
    base: Literal["present", "pulled", "made"] | None
    build_hash: str


def build(
    api: docker.APIClient, version: str, progress: Progress = silent, *, base: str = BASE, force: bool = False
) -> BuildResult:
    """Builds the image, unless the engine has one that was made from the same things; tags it ``latest`` too.

    Arguments:
        api: the engine; the context is sent to it, so it may be far away.
        version: msrctl's version, which becomes the tag.
        progress: told what goes on, a line at a time.
        base: the base image, see `ensure_base`.
        force: build without looking at what is there, and without the engine's cache.

    Raises:
        ImageError: the base, the wheels or the build failed; details hold the end of the log.
    """
    reference = image_reference(version)
    distribution = installation()
    needed = requirements(distribution)
    machine = _machine(api)
    wanted = build_hash(own_files(distribution), needed, version=version, base=base, machine=machine)
    if not force and _built_from(api, reference) == wanted:
        return _result(api, reference, wanted, built=False, base=None)
    # First, as the image itself has no pip, and nobody should install mmdebstrap there to hear that.
    wheels = dependency_wheels(needed, machine, progress)
    origin = ensure_base(api, progress, reference=base).origin
    with (
        tempfile.TemporaryDirectory(prefix="msrctl-build-") as temporary,
        tempfile.TemporaryFile() as context,
    ):
        write_context(context, own_wheel(Path(temporary), distribution), wheels)
        context.seek(0)
        progress(f"building {reference}")
        lines = api.build(
            fileobj=context,
            custom_context=True,
            tag=reference,
            buildargs={"BASE": base, "VERSION": version, "BUILD_HASH": wanted},
            # apt in the build reaches its mirrors as this machine does, also without a bridge to the world.
            network_mode="host",
            nocache=force,
            rm=True,
            forcerm=True,
            decode=True,
        )
        follow(lines, progress)
    return _result(api, reference, wanted, built=True, base=origin)


def _machine(api: docker.APIClient) -> str:
    architecture = str(api.version()["Arch"])
    machine = _MACHINES.get(architecture)
    if machine is None:
        raise ImageError(
            f"the engine's processor is {architecture}; the image can be made for {', '.join(_MACHINES)}",
            state="nothing was changed",
        )
    return machine


def _built_from(api: docker.APIClient, reference: str) -> str | None:
    image = inspect(api, reference)
    return _label(image) if image else None


def _label(image: dict[str, Any]) -> str | None:
    found: str | None = (image["Config"].get("Labels") or {}).get(LABEL_BUILD_HASH)
    return found


def _result(
    api: docker.APIClient,
    reference: str,
    wanted: str,
    *,
    built: bool,
    base: Literal["present", "pulled", "made"] | None,
) -> BuildResult:
    image = inspect(api, reference)
    # An engine that dies ends the log of the build without a word, and may have an older image.
    if image is None or _label(image) != wanted:
        raise ImageError(
            f"the build ended early: the engine has no {reference} of what was sent to it",
            hint="look at the engine's own log, then run it again",
        )
    tag_unversioned(api, reference)
    return BuildResult(reference, image["Id"], image["Size"], built, base, wanted)


def follow(lines: Iterable[dict[str, Any]], progress: Progress) -> None:
    """Reads a build's log: steps go to `progress`, the last lines are kept for an error.

    Raises:
        ImageError: the build failed.
    """
    from docker.errors import APIError

    tail: deque[str] = deque(maxlen=_LOG_LINES)
    failure = None
    try:
        for line in lines:
            text = str(line.get("stream", "")).rstrip()
            tail.extend(text.splitlines())
            if text.startswith("Step "):
                progress(" ".join(text.split())[:_STEP_WIDTH])
            failure = line.get("error", failure)
    except APIError as error:
        failure = error.explanation or str(error)
    if failure:
        raise ImageError(
            f"the image could not be built: {' '.join(str(failure).split())}",
            state="no image was tagged",
            hint="see the end of the build's log; if the network or a mirror is at fault, try again",
            details=tuple(tail),
        )
