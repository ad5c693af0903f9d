"""`msrctl lock status` and `msrctl lock release`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given, Group
from msrctl.cli.running import run


@click.group("lock", cls=Group, short_help="See or release the lock that keeps two runs apart.")
@o.general_options
def command() -> None:
    """See or release the lock that keeps two runs apart.

    Commands that change something hold one lock in the swarm, with their name, start and heartbeat.
    """


@command.command("status", cls=Command, short_help="Show who holds the lock.", checks=(checks.endpoint,))
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def lock_status_command(ctx: click.Context, /, **_: Any) -> int:
    """Show who holds the lock, since when, and when it last gave a sign of life."""
    from msrctl.workflows.lock import lock_status

    given = Given(ctx)
    common = build.common(given)
    return run(given, lambda _reporter: lock_status(common))


@command.command(
    "release",
    cls=Command,
    short_help="Release the lock of a run that died.",
    checks=(checks.endpoint,),
    more="A run that still gives signs of life keeps its lock unless --force is given; two runs at once "
    "damage each other's work.",
)
@o.flag("--force", help="Release it although its holder still gives signs of life.")
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def lock_release_command(ctx: click.Context, /, **_: Any) -> int:
    """Release the lock of a run that died.

    What that run had begun is still in the journal: msrctl status shows it.
    """
    from msrctl.workflows.lock import lock_release

    given = Given(ctx)
    common = build.common(given)
    force = bool(given.value("force"))
    return run(given, lambda _reporter: lock_release(common, force=force))
