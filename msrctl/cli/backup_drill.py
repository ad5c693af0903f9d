"""`msrctl backup drill`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from msrctl.cli import backup_options as b
from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given
from msrctl.cli.running import run

PLACE = "Place and sample"
HTTP_PORT, HTTPS_PORT, SAMPLE = 18080, 18443, 10


def _two_ports(given: Given) -> Iterator[str]:
    http = given.value("replica_http_port") or HTTP_PORT
    https = given.value("replica_https_port") or HTTPS_PORT
    if http == https:
        yield f"both ports would be {http}: give two different ones"


@click.command(
    "drill",
    cls=Command,
    short_help="Restore a backup into a throw-away registry, pull from it, take it away.",
    checks=(checks.endpoint, b.from_stdin, _two_ports),
    more="A deployment in the same swarm goes on untouched: the drill has its own replica, ports, network, "
    "volume and lock. The manifests of all tags are restored, and the layers of those that are pulled; each "
    "byte is compared with its digest, after a login with an account of the backup. A backup without "
    "layers takes them from the store that it recorded, which is only read, and in which every tag is looked "
    "for; where that store is a volume of another node, the drill says so. A drill that was killed is "
    "cleaned up by the next. Exit code 0: passed; 7: it did not pass; 9: passed, but something is left.",
)
@click.argument("file", type=o.Checked("FILE", values.single_line))
@o.option(
    "--sample",
    type=o.Checked("N", values.lines),
    variable="MSRCTL_DRILL_SAMPLE",
    section=PLACE,
    default_text=str(SAMPLE),
    help="How many tags to pull, chosen by chance; or all.",
)
@o.option(
    "--replica-http-port",
    type=o.Checked("PORT", values.port),
    variable="MSRCTL_DRILL_HTTP_PORT",
    section=PLACE,
    default_text=str(HTTP_PORT),
    help="The throw-away registry's port for http, on its node.",
)
@o.option(
    "--replica-https-port",
    type=o.Checked("PORT", values.port),
    variable="MSRCTL_DRILL_HTTPS_PORT",
    section=PLACE,
    default_text=str(HTTPS_PORT),
    help="The throw-away registry's port for https; this machine must reach it.",
)
@o.option(
    "--ucp-node",
    type=o.Checked("NODE", values.word, empty=True),
    variable="UCP_NODE",
    section=PLACE,
    default_text="the node of the engine that is talked to",
    help="Host name or id of the swarm node for the drill.",
)
@o.option(
    "--advertise-addr",
    type=o.Checked("ADDRESS", values.word),
    variable="MSRCTL_ADVERTISE_ADDR",
    section=PLACE,
    default_text="the engine chooses",
    help="Address that a single-node swarm advertises, where the engine is in none.",
    more="Such a swarm is made for the drill, and left again.",
)
@o.option(
    "--image",
    type=o.Checked("IMAGE", values.image_reference),
    variable="MSRCTL_IMAGE",
    section=PLACE,
    default_text="msrctl/msr of this version",
    help="The image to run.",
)
@b.identity_option
@b.passphrase_option
@o.endpoint_options
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, file: str, **_: Any) -> int:
    """Restore the backup FILE (- is stdin) into a throw-away registry, pull from it, take it away."""
    from msrctl.model.requests import DrillRequest
    from msrctl.workflows.drill import drill

    given = Given(ctx)
    node, sample = given.value("ucp_node"), given.value("sample")
    request = DrillRequest(
        common=build.common(given),
        file=file,
        keys=b.keys(given, may_ask=file != "-"),
        sample=None if sample == values.ALL else SAMPLE if sample is None else sample,
        http_port=given.value("replica_http_port") or HTTP_PORT,
        https_port=given.value("replica_https_port") or HTTPS_PORT,
        node=None if node in ("", "_random_") else node,
        advertise_addr=given.value("advertise_addr"),
        image=given.value("image"),
    )
    return run(given, lambda reporter: drill(request, reporter))
