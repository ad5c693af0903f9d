"""`msrctl status`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given, Option
from msrctl.cli.running import run, stream

if TYPE_CHECKING:
    from msrctl.workflows.reporter import Reporter

DEFAULT_INTERVAL = 5.0

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
    checks=(checks.endpoint, checks.watching),
    more="Each component is asked over HTTP. Drift is what somebody changed behind msrctl's back: "
    "name, wanted, found. The exit code is 0 when all is well, 10 when something is not, and 6 when "
    "nothing is installed. With --watch on a terminal the picture is redrawn; elsewhere there is one line "
    "for each change, or with --output json one document a line with its time. Ctrl-C is how --watch ends: "
    "the exit code is 0 then. --output prometheus is for the node exporter's textfile collector: gauges by "
    "name, the same exit codes.",
)
@replica_option
@o.flag("--watch", "-w", help="Look again and again, until Ctrl-C.")
@o.option(
    "--interval",
    type=o.Checked("SECONDS", values.seconds),
    default_text=f"{DEFAULT_INTERVAL:g}",
    help="Time between two looks of --watch.",
)
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
    if not given.value("watch"):
        return run(given, lambda reporter: status(request, reporter))
    interval = given.value("interval") or DEFAULT_INTERVAL

    def show(_: Reporter) -> None:
        from msrctl.ui import watching
        from msrctl.workflows.watch import changes, watch

        seen, invocation = watch(request, interval), given.invocation
        if watching.is_picture(json_wanted=invocation.json):
            watching.draw(seen, interval=interval, nocolor=invocation.nocolor)
        else:
            watching.write(changes(seen), command=invocation.command, json_lines=invocation.json)

    return stream(given, show)


for parameter in command.params:
    if isinstance(parameter, Option) and parameter.name == "output":
        parameter.type = click.Choice(["text", "json", "prometheus"], case_sensitive=False)
        parameter.metavar = "text|json|prometheus"
