"""`msrctl logs`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run, stream
from msrctl.cli.status import replica_option

if TYPE_CHECKING:
    from msrctl.workflows.reporter import Reporter

DEFAULT_LINES = 1000


@click.command(
    "logs",
    cls=Command,
    short_help="Show what the services wrote, from every node, by time.",
    checks=(checks.endpoint,),
    more="Each line begins with its replica and component. A log that cannot be had, for example because its "
    "node is down, is named in a warning and keeps no other away. With --output json there is one document "
    "with all lines; with --follow as well, each line is a JSON object of its own. Ctrl-C is how --follow "
    "ends: the exit code is 0 then.",
)
@replica_option
@o.option(
    "--component",
    type=click.Choice(["nginx", "registry"], case_sensitive=False),
    metavar="nginx|registry",
    default_text="all",
    help="Only this component.",
)
@o.option(
    "--tail",
    type=o.Checked("LINES", values.lines),
    default_text=f"{DEFAULT_LINES}, or all with --since",
    help="Only the last lines of each service: a number, or all.",
)
@o.option(
    "--since",
    type=o.Checked("TIME", values.since),
    help="Only what is not older: a duration such as 10m, or a time such as 2026-01-02T03:04:05Z.",
)
@o.flag("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Show what the services wrote, from every node, by time.

    Where the services log to a syslog server (--log-protocol), there is nothing to show here.
    """
    from msrctl.model.requests import LogsRequest
    from msrctl.workflows.logs import follow, logs

    given = Given(ctx)
    tail = given.value("tail")
    if tail is None and given.value("since") is None:
        tail = DEFAULT_LINES
    request = LogsRequest(
        common=build.common(given),
        replica_id=given.value("replica_id"),
        component=given.value("component"),
        tail=None if tail == values.ALL else tail,
        since=given.value("since"),
    )
    if not given.value("follow"):
        return run(given, lambda reporter: logs(request, reporter))

    def show(reporter: Reporter) -> None:
        from msrctl.ui import loglines

        loglines.show(follow(request, reporter), json_lines=given.invocation.json)

    return stream(given, show)
