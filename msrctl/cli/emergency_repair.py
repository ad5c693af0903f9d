"""`msrctl emergency-repair`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run


@click.command(
    "emergency-repair",
    cls=Command,
    short_help="Go on with the replicas that live when most managers are lost.",
    checks=(checks.endpoint, checks.no_controller),
    more="Run it on a node that has a replica. It makes that node the only manager of the swarm "
    "(docker swarm init --force-new-cluster), drops the replicas whose nodes do not answer, repairs the "
    "others, and takes the lost nodes out of the swarm. Images are kept. Lost managers must never come back "
    "as they are: two of them together would go on as a swarm of their own. Run docker swarm leave --force "
    "there first. It can be run again after an interruption. With a quorum it refuses; remove --force is for "
    "one dead node.",
)
@o.option(
    "--existing-replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_REPLICA_ID",
    default_text="the one on this node",
    help="The replica to go on with; it must be on this node.",
)
@o.flag(
    "--prune",
    variable=("PRUNE", "DTR_PRUNE"),
    help="Delete the volumes that dropped replicas left on this node.",
    more="Those of a replica that lives, and what is on a server or in an object store, are never touched.",
)
@o.option(
    "--overlay-subnet",
    type=o.Checked("CIDR", values.subnet),
    variable="DTR_OVERLAY_SUBNET",
    ignored="the network dtr-ol is still there, with its subnet",
    help="Accepted; the network stays as it is.",
)
@o.endpoint_options
@o.dry_run_option
@o.flag(
    "--yes",
    "-y",
    variable=("MSRCTL_YES", "YES"),
    section=o.GENERAL,
    help="Answer yes to questions.",
)
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Go on with the replicas that live when the swarm has lost most of its managers."""
    from msrctl.model.requests import EmergencyRepairRequest
    from msrctl.workflows.emergency import emergency_repair

    given = Given(ctx)
    request = EmergencyRepairRequest(
        common=build.common(given),
        existing_replica_id=given.value("existing_replica_id"),
        prune=bool(given.value("prune")),
        yes=bool(given.value("yes")),
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: emergency_repair(request, reporter), dry_run=request.dry_run)
