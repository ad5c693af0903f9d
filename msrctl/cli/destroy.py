"""`msrctl destroy`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run


@click.command(
    "destroy",
    cls=Command,
    short_help="Take a replica away; images are kept unless told otherwise.",
    checks=(checks.endpoint,),
    more="Services, configs, secrets, the network and the state go, and a swarm that install made if nothing "
    "else is in it. Volumes with images stay until --remove-data is given. Without a terminal, --yes or "
    "--replica-id is needed, and with --remove-data nothing but --yes will do.",
)
@o.option(
    "--replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_DESTROY_REPLICA_ID",
    default_text="the only one; asked for if there are several",
    help="Replica to destroy.",
)
@o.flag("--remove-data", help="Also remove the volumes with the images. This cannot be undone.")
@o.endpoint_options
@o.dry_run_option
@o.yes_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Take a replica away; images are kept unless told otherwise.

    Asks before it acts. Nothing of other programs on the node is touched.
    """
    from msrctl.model.requests import DestroyRequest
    from msrctl.workflows.destroy import destroy

    given = Given(ctx)
    request = DestroyRequest(
        replica_id=given.value("replica_id"),
        remove_data=bool(given.value("remove_data")),
        yes=bool(given.value("yes")),
        dry_run=bool(given.value("dry_run")),
        common=build.common(given),
    )
    return run(given, lambda reporter: destroy(request, reporter), dry_run=request.dry_run)
