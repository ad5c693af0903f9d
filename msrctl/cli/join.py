"""`msrctl join`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli import options_settings as s
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run

PLACE = "Replica"


@click.command(
    "join",
    cls=Command,
    short_help="Add a replica on another node.",
    checks=(checks.endpoint, checks.ports),
    more="Run it once for each node. Version, storage, certificates and accounts come from the cluster. The "
    "image must be on the node (msrctl images save and load). What an interrupted run left is taken away "
    "first.",
)
@o.option(
    "--ucp-node",
    type=o.Checked("NODE", values.word),
    variable="UCP_NODE",
    section=PLACE,
    default_text="the only node without a replica",
    help="Swarm node for the replica, by host name or id.",
)
@o.option(
    "--existing-replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_REPLICA_ID",
    section=PLACE,
    default_text="any",
    help="A replica of the cluster to join; it must be one.",
)
@o.option(
    "--replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_INSTALL_REPLICA_ID",
    section=PLACE,
    default_text="random",
    help="Id of the new replica, 12 hex digits.",
)
@s.replica_ports_options
@o.option(
    "--node-engine",
    type=o.Checked("HOST", values.engine_address),
    variable="MSRCTL_NODE_ENGINE",
    section=PLACE,
    default_text="the image is on the node already",
    help="The node's own engine, as DOCKER_HOST names it (ssh://root@node2): it is sent the image if it "
    "lacks it.",
)
@o.flag(
    "--skip-network-test",
    variable="DTR_SKIP_NETWORK_TEST",
    section=PLACE,
    help="Do not send packets between the nodes first.",
)
@o.flag(
    "--unsafe-join",
    variable="DTR_UNSAFE_JOIN",
    section=PLACE,
    help="Join although replicas are not healthy.",
)
@o.flag(
    "--shared-storage-path",
    variable="MSRCTL_SHARED_STORAGE_PATH",
    section=s.STORAGE,
    help="The volume or directory of the images is shared storage, the same on every node.",
    more="That is proven: a marker written on one node is read on the other.",
)
@o.endpoint_options
@o.dry_run_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Add a replica on another node.

    Checks first: the node, its ports, packets to and from the other nodes, and that it sees the very store
    that the others use. A failed join leaves no trace.
    """
    from msrctl.model.requests import JoinRequest
    from msrctl.workflows.join import join

    given = Given(ctx)
    node = given.value("ucp_node")
    request = JoinRequest(
        common=build.common(given),
        node=None if node in ("", "_random_") else node,
        existing_replica_id=given.value("existing_replica_id"),
        replica_id=given.value("replica_id"),
        http_port=given.value("replica_http_port"),
        https_port=given.value("replica_https_port"),
        skip_network_test=bool(given.value("skip_network_test")),
        unsafe_join=bool(given.value("unsafe_join")),
        shared_storage_path=bool(given.value("shared_storage_path")),
        node_engine=given.value("node_engine"),
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: join(request, reporter), dry_run=request.dry_run)
