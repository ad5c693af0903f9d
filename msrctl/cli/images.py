"""`msrctl images build`, `list`, `save` and `load`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msrctl import __version__
from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given, Group
from msrctl.cli.running import run

if TYPE_CHECKING:
    from docker import APIClient

    from msrctl.workflows.reporter import Reporter

image_option = o.option(
    "--image",
    type=o.Checked("IMAGE", values.image_reference),
    variable="MSRCTL_IMAGE",
    default_text="msrctl/msr:<version>",
    help="The image.",
)


@click.group(
    "images",
    cls=Group,
    short_help="Build, list, save and load the image that everything runs from.",
    default="list",
)
@o.general_options
def command() -> None:
    """Build, list, save and load the image that everything runs from.

    One image holds msrctl, the registry and nginx: one file to bring to a site without a network. Without a
    command, the list is printed, as the original does.
    """


@command.command("list", cls=Command, short_help="Print the images that this version needs, one per line.")
@o.general_options
@click.pass_context
def list_command(ctx: click.Context, /, **_: Any) -> int:
    """Print the images that this version needs, one per line. Needs no engine."""
    from msrctl.images.inventory import list_images

    return run(Given(ctx), lambda _reporter: list_images(None, __version__))


@command.command(
    "build",
    cls=Command,
    short_help="Build the image on the engine.",
    checks=(checks.endpoint,),
    more="An image that was made from the same things is left alone. If the base cannot be pulled, it is "
    "made from Debian packages with mmdebstrap.",
)
@o.option(
    "--base",
    type=o.Checked("IMAGE", values.image_reference),
    variable="MSRCTL_BASE_IMAGE",
    default_text="debian:trixie-slim",
    help="The image to build upon.",
)
@o.flag("--force", help="Build without looking at what is there, and without the engine's cache.")
@o.endpoint_options
@o.general_options
@click.pass_context
def build_command(ctx: click.Context, /, **_: Any) -> int:
    """Build the image on the engine, from this installation of msrctl."""
    from msrctl.images.base import BASE
    from msrctl.images.build import build as build_image

    given = Given(ctx)

    def workflow(reporter: Reporter) -> Any:
        with _api(given, "build the image") as api, reporter.step("build") as progress:
            result = build_image(
                api,
                __version__,
                progress.detail if reporter.interactive else reporter.info,
                base=given.value("base") or BASE,
                force=bool(given.value("force")),
            )
            progress.detail(result.reference)
            return result

    return run(given, workflow)


@command.command(
    "save",
    cls=Command,
    short_help="Save the image to a file, for a site without a network.",
    checks=(checks.endpoint, checks.save_to_stdout),
)
@click.argument("file", type=o.Checked("FILE", values.single_line))
@image_option
@o.endpoint_options
@o.general_options
@click.pass_context
def save_command(ctx: click.Context, /, file: str, **_: Any) -> int:
    """Save the image to FILE (- is stdout), for a site without a network.

    The file appears under its name only when it is complete.
    """
    from msrctl.images.archive import save
    from msrctl.images.inventory import image_reference

    given = Given(ctx)
    reference = given.value("image") or image_reference(__version__)

    def workflow(reporter: Reporter) -> Any:
        with _api(given, "save the image") as api, reporter.step("save", reference):
            return save(api, reference, sys.stdout.buffer if file == "-" else Path(file))

    return run(given, workflow, result_on_stdout=file != "-")


@command.command(
    "load",
    cls=Command,
    short_help="Load the image from a file.",
    checks=(checks.endpoint, checks.load_from_stdin),
)
@click.argument("file", type=o.Checked("FILE", values.single_line))
@o.endpoint_options
@o.general_options
@click.pass_context
def load_command(ctx: click.Context, /, file: str, **_: Any) -> int:
    """Load the image from FILE (- is stdin), which images save or docker save wrote."""
    from msrctl.images.archive import load

    given = Given(ctx)

    def workflow(reporter: Reporter) -> Any:
        with _api(given, "load the image") as api, reporter.step("load", file) as progress:
            return load(api, sys.stdin.buffer if file == "-" else Path(file), progress.detail)

    return run(given, workflow)


@contextmanager
def _api(given: Given, doing: str) -> Iterator[APIClient]:
    """The docker SDK's client of the endpoint; what it raises becomes an error with a remedy."""
    import requests
    from docker.errors import APIError

    from msrctl.engine import faults
    from msrctl.workflows.session import open_engine

    engine = open_engine(build.common(given))
    try:
        yield engine.api
    except APIError as error:
        status = error.status_code or 500
        raise faults.from_answer(
            status, error.explanation or str(error), doing=doing, endpoint=engine.endpoint
        ) from error
    except requests.RequestException as error:
        raise faults.from_exception(error, doing=doing, endpoint=engine.endpoint) from error
    finally:
        engine.close()
