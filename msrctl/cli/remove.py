"""`msrctl remove`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run


@click.command(
    "remove",
    cls=Command,
    short_help="Take replicas out of a cluster that goes on serving.",
    checks=(checks.endpoint, checks.replicas_to_remove),
    more="Balancers are told first. The last replica is taken away by destroy. An interrupted remove is "
    "finished or taken back by reconfigure --resume or --undo.",
)
@o.option(
    "--replica-ids",
    type=o.Checked("ID[,ID...]", values.replica_ids),
    variable="DTR_REMOVE_REPLICA_IDS",
    help="Replicas to remove.",
)
@o.option(
    "--replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_REMOVE_REPLICA_ID",
    help="One replica to remove; --replica-ids is the newer name.",
)
@o.option(
    "--existing-replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_REPLICA_ID",
    default_text="any",
    help="A replica that stays; it must be one.",
)
@o.flag(
    "--force",
    variable="DTR_FORCE_REMOVE_REPLICA",
    help="Remove a replica whose node does not answer.",
)
@o.flag(
    "--remove-data",
    help="Delete the removed replicas' own image volumes as well.",
    more="Shared storage is never emptied by removing a replica.",
)
@o.endpoint_options
@o.dry_run_option
@o.yes_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Take replicas out of a cluster that goes on serving."""
    from msrctl.model.requests import RemoveRequest
    from msrctl.workflows.removal import remove

    given = Given(ctx)
    one = given.value("replica_id")
    request = RemoveRequest(
        common=build.common(given),
        replica_ids=tuple(given.value("replica_ids") or ((one,) if one else ())),
        existing_replica_id=given.value("existing_replica_id"),
        force=bool(given.value("force")),
        remove_data=bool(given.value("remove_data")),
        yes=bool(given.value("yes")),
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: remove(request, reporter), dry_run=request.dry_run)
