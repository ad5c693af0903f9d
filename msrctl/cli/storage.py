"""`msrctl storage usage`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given, Group
from msrctl.cli.running import run
from msrctl.cli.status import replica_option


@click.group("storage", cls=Group, short_help="Look at the image store.")
@o.general_options
def command() -> None:
    """Look at the image store."""


@command.command(
    "usage",
    cls=Command,
    short_help="Show bytes, blobs and free space of the store.",
    checks=(checks.endpoint,),
)
@replica_option
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def usage_command(ctx: click.Context, /, **_: Any) -> int:
    """Show bytes, blobs and free space of the store, as each replica sees it.

    With --output json, sizes are exact bytes.
    """
    from msrctl.model.requests import StatusRequest
    from msrctl.workflows.usage import usage

    given = Given(ctx)
    request = StatusRequest(common=build.common(given), replica_id=given.value("replica_id"))
    return run(given, lambda reporter: usage(request, reporter))
