"""`msrctl storage show`, `revert` and `finalize`: the stores of the cluster, the one before included."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks
from msrctl.cli import options as o
from msrctl.cli import options_settings as s
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run


@click.command("show", cls=Command, short_help="Show the store in use.", checks=(checks.endpoint,))
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def show_command(ctx: click.Context, /, **_: Any) -> int:
    """Show the store in use and the one before, with their settings; secrets as ****.

    No store is asked: see storage usage and status for that.
    """
    from msrctl.model.requests import StatusRequest
    from msrctl.workflows.storage_show import storage_show

    given = Given(ctx)
    request = StatusRequest(common=build.common(given))
    return run(given, lambda reporter: storage_show(request, reporter))


@click.command(
    "revert",
    cls=Command,
    short_help="Go back to the store before the last switch.",
    checks=(checks.endpoint,),
    more="A switch like every other, with the store before as the new one: it must be an exact copy, so "
    "nothing may have been pushed or deleted since. What would be lost otherwise is listed.",
)
@o.flag(
    "--migrate-storage",
    section=s.STORAGE,
    help="First copy there what was pushed since.",
)
@o.endpoint_options
@o.dry_run_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def revert_command(ctx: click.Context, /, **_: Any) -> int:
    """Go back to the store before the last switch.

    Works until storage finalize. An interrupted one is finished or taken back by reconfigure --resume or
    --undo.
    """
    from msrctl.model.requests import ReconfigureRequest, SettingsRequest
    from msrctl.workflows.reconfigure import reconfigure

    given = Given(ctx)
    request = ReconfigureRequest(
        common=build.common(given),
        settings=SettingsRequest(),
        revert_storage=True,
        migrate_storage=bool(given.value("migrate_storage")),
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: reconfigure(request, reporter), dry_run=request.dry_run)


@click.command(
    "finalize",
    cls=Command,
    short_help="Forget the store before the last switch.",
    checks=(checks.endpoint,),
    more="Only this cluster's marker and credentials for it go; its images stay, to be removed by hand. "
    "Without a terminal --yes is needed.",
)
@o.endpoint_options
@o.dry_run_option
@o.yes_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def finalize_command(ctx: click.Context, /, **_: Any) -> int:
    """Forget the store before the last switch: from then on there is no way back to it."""
    from msrctl.model.requests import FinalizeRequest
    from msrctl.workflows.finalize import finalize

    given = Given(ctx)
    request = FinalizeRequest(
        common=build.common(given),
        yes=bool(given.value("yes")),
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: finalize(request, reporter), dry_run=request.dry_run)
