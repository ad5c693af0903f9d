"""`msrctl support-bundle`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import sys
from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run

DEFAULT_LINES = 1000


@click.command(
    "support-bundle",
    cls=Command,
    short_help="Pack what somebody who helps needs to see, without secrets.",
    checks=(checks.endpoint, checks.bundle_to_stdout),
    more="In it are the cluster document, the status, services, tasks, configs, nodes and volumes as the "
    "engine has them, configurations as msrctl renders them, the ends of the logs, versions, journal and "
    "lock. Contents of secrets are not in it, and what looks like one elsewhere is masked; look through it "
    "all the same before you give it away. What could not be had is named in index.json and in warnings.",
)
@o.option(
    "--output-file",
    type=o.Checked("FILE", values.single_line),
    default_text="msrctl-support-<cluster>-<time>.tar.gz",
    help="Where to write it; - is stdout.",
)
@o.option(
    "--tail",
    type=click.IntRange(min=0),
    metavar="LINES",
    default_text=str(DEFAULT_LINES),
    help="Lines of each service's log.",
)
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Pack what somebody who helps needs to see, without secrets.

    The file is for its owner only (mode 0600), and is there only when it is whole. Nothing is changed.
    """
    from msrctl.model.requests import SupportBundleRequest
    from msrctl.workflows.support_bundle import support_bundle

    given = Given(ctx)
    tail = given.value("tail")
    request = SupportBundleRequest(
        common=build.common(given),
        output_file=given.value("output_file"),
        tail=DEFAULT_LINES if tail is None else tail,
    )
    to_stdout = request.output_file == "-"
    stream = sys.stdout.buffer if to_stdout else None
    return run(
        given, lambda reporter: support_bundle(request, reporter, stream), result_on_stdout=not to_stdout
    )
