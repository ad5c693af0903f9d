"""`msrctl status`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run

replica_option = o.option(
    "--replica-id",
    type=o.Checked("ID", values.replica_id),
    default_text="all",
    help="Only this replica.",
)


@click.command(
    "status",
    cls=Command,
    short_help="Show what runs, whether it is healthy, and what drifted.",
    checks=(checks.endpoint,),
    more="Each component is asked over HTTP. Drift is what somebody changed behind msrctl's back: "
    "name, wanted, found. The exit code is 0 when all is well, 10 when something is not, and 6 when "
    "nothing is installed.",
)
@replica_option
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Show what runs, whether it is healthy, and what drifted.

    Also shows who holds the lock, and an operation that was interrupted.
    """
    from msrctl.model.requests import StatusRequest
    from msrctl.workflows.status import status

    given = Given(ctx)
    request = StatusRequest(common=build.common(given), replica_id=given.value("replica_id"))
    return run(given, lambda reporter: status(request, reporter))
