"""`msrctl settings`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run


@click.command(
    "settings",
    cls=Command,
    short_help="Change what takes effect at once: read-only.",
    checks=(checks.endpoint,),
    more="Nothing is restarted. Pushes that are under way end as they would have.",
)
@o.option(
    "--read-only",
    type=click.Choice(["on", "off"], case_sensitive=False),
    metavar="on|off",
    required=True,
    help="Refuse pushes at every replica, or take them again; pulls go on.",
)
@o.endpoint_options
@o.dry_run_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Change settings that take effect at once, at every replica.

    Pushes to a read-only registry are answered with 405, as the registry's own read-only mode does.
    """
    from msrctl.model.requests import SettingsChangeRequest
    from msrctl.workflows.settings import change_settings

    given = Given(ctx)
    request = SettingsChangeRequest(
        common=build.common(given),
        read_only=given.value("read_only") == "on",
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: change_settings(request, reporter), dry_run=request.dry_run)
