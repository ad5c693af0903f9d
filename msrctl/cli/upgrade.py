"""`msrctl upgrade`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run


@click.command(
    "upgrade",
    cls=Command,
    short_help="Move all replicas to another version of the image.",
    checks=(checks.endpoint,),
    more="Patch versions may be skipped, minor versions not, and there is no way down. An interrupted "
    "upgrade is finished or taken back by reconfigure --resume or --undo.",
)
@o.option(
    "--image",
    type=o.Checked("IMAGE", values.image_reference),
    variable="MSRCTL_IMAGE",
    default_text="msrctl/msr:<version>",
    help="Image to move to; it must be on every replica's node.",
)
@o.option(
    "--existing-replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_REPLICA_ID",
    default_text="any",
    help="A replica of the cluster; it must be one.",
)
@o.endpoint_options
@o.skip_unreachable_option
@o.dry_run_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Move all replicas to another version of the image, one after another.

    Each must be healthy and open an upload before the next is touched.
    """
    from msrctl.model.requests import UpgradeRequest
    from msrctl.workflows.upgrade import upgrade

    given = Given(ctx)
    request = UpgradeRequest(
        common=build.common(given),
        image=given.value("image"),
        existing_replica_id=given.value("existing_replica_id"),
        skip_unreachable=bool(given.value("skip_unreachable")),
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: upgrade(request, reporter), dry_run=request.dry_run)
