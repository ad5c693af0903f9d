"""`msrctl install`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli import options_settings as s
from msrctl.cli.base import Command, Given, Option
from msrctl.cli.running import run

PLACE = "Place and images"

placement_options = o.together(
    o.option(
        "--ucp-node",
        type=o.Checked("NODE", values.word, empty=True),
        variable="UCP_NODE",
        section=PLACE,
        default_text="the node of the engine that is talked to",
        help="Host name or id of the swarm node for the replica.",
        more="_random_ and an empty value, which the original took, mean the default.",
    ),
    o.option(
        "--replica-id",
        type=o.Checked("ID", values.replica_id),
        variable="DTR_INSTALL_REPLICA_ID",
        section=PLACE,
        default_text="random",
        help="Id of the replica, 12 hex digits.",
    ),
    o.option(
        "--overlay-subnet",
        type=o.Checked("CIDR", values.subnet),
        variable="DTR_OVERLAY_SUBNET",
        section=PLACE,
        default_text="the engine chooses",
        help="Subnet of the overlay network dtr-ol, such as 10.1.0.0/24.",
    ),
    o.option(
        "--advertise-addr",
        type=o.Checked("ADDRESS", values.word),
        variable="MSRCTL_ADVERTISE_ADDR",
        section=PLACE,
        default_text="the engine chooses",
        help="Address or interface that a new single-node swarm advertises.",
        more="Needed where the engine has several addresses and is in no swarm yet.",
    ),
    o.flag(
        "--skip-network-test",
        variable="DTR_SKIP_NETWORK_TEST",
        section=PLACE,
        ignored="a single replica has no other node to test the overlay network with",
        help="Accepted for compatibility; without effect, as one replica has no overlay to test.",
    ),
    o.option(
        "--image",
        type=o.Checked("IMAGE", values.image_reference),
        variable="MSRCTL_IMAGE",
        section=PLACE,
        default_text="msrctl/msr:<version>",
        help="Image that the services run.",
    ),
    o.option(
        "--registry-image",
        type=o.Checked("IMAGE", values.image_reference),
        variable="MSRCTL_REGISTRY_IMAGE",
        section=PLACE,
        default_text="the registry in --image",
        help="Another image for the registry, such as registry:2.8.3 or registry:3.1.1.",
        more="It must be on the node; msrctl pulls no images.",
    ),
)


@click.command(
    "install",
    cls=Command,
    short_help="Install a registry with one replica.",
    checks=(
        checks.endpoint,
        checks.ports,
        checks.certificates,
        checks.client_certificates,
        checks.logging,
        checks.nfs,
        checks.storage_config,
        checks.continuation,
        checks.address_of_images,
    ),
    more="An engine in no swarm becomes a swarm of one node. Without --dtr-cert, a CA and certificate "
    "are made. Without a password, one is generated and shown once. On a live deployment it refuses; "
    "what an interrupted run left is taken away first, and --undo does only that.",
)
@s.settings_options
@s.adopt_option
@s.account_options
@placement_options
@o.endpoint_options
@o.dry_run_option
@o.flag("--undo", section=o.GENERAL, help="Only take away what an interrupted install left.")
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Install a registry with one replica.

    Checks everything first, then starts nginx and the registry on one node, and waits until an upload opens
    over https. A failed install leaves nothing behind.
    """
    from msrctl.model.requests import InstallRequest
    from msrctl.workflows.install import install

    given = Given(ctx)
    node = given.value("ucp_node")
    request = InstallRequest(
        settings=build.settings(given, empty_is_absent=True),
        admin_username=given.value("admin_username") or InstallRequest.admin_username,
        admin_password=None if given.value("undo") else build.admin_password(given),
        node=None if node in ("", "_random_") else node,
        replica_id=given.value("replica_id"),
        overlay_subnet=given.value("overlay_subnet"),
        advertise_addr=given.value("advertise_addr"),
        image=given.value("image"),
        registry_image=given.value("registry_image"),
        adopt_storage=bool(given.value("adopt_storage")),
        dry_run=bool(given.value("dry_run")),
        undo=bool(given.value("undo")),
        common=build.common(given),
    )
    return run(given, lambda reporter: install(request, reporter), dry_run=request.dry_run)


for parameter in command.params:
    if isinstance(parameter, Option) and parameter.name == "admin_username":
        parameter.default_text = "admin"
