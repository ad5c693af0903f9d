"""The root of the command line; knows its commands from a table and imports them when they are used."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli.base import Group, Late
from msrctl.cli.options import general_options
from msrctl.errors import EXIT_CODES

COMMANDS = {
    "install": Late("msrctl.cli.install", "Install a registry with one replica."),
    "status": Late("msrctl.cli.status", "Show what runs, whether it is healthy, and what drifted."),
    "reconfigure": Late("msrctl.cli.reconfigure", "Change settings of the registry."),
    "join": Late("msrctl.cli.join", "Add a replica on another node."),
    "remove": Late("msrctl.cli.remove", "Take replicas out of a cluster that goes on serving."),
    "emergency-repair": Late(
        "msrctl.cli.emergency_repair", "Go on with the replicas that live when most managers are lost."
    ),
    "upgrade": Late("msrctl.cli.upgrade", "Move all replicas to another version of the image."),
    "destroy": Late("msrctl.cli.destroy", "Take a replica away; images are kept unless told otherwise."),
    "settings": Late("msrctl.cli.settings", "Change what takes effect at once: read-only."),
    "storage": Late("msrctl.cli.storage", "Look at the image store, go back to the one before."),
    "backup": Late(
        "msrctl.cli.backup", "Write a backup of everything but layers, while the registry serves."
    ),
    "restore": Late("msrctl.cli.restore", "Make a registry again from a backup."),
    "images": Late("msrctl.cli.images", "Build, list, save and load the image that everything runs from."),
    "logs": Late("msrctl.cli.logs", "Show what the services wrote, from every node, by time."),
    "lock": Late("msrctl.cli.lock", "See or release the lock that keeps two runs apart."),
    "support-bundle": Late(
        "msrctl.cli.support_bundle", "Pack what somebody who helps needs to see, without secrets."
    ),
    "completion": Late("msrctl.cli.completion", "Print a completion script for bash, zsh or fish."),
    "node": Late("msrctl.cli.node", "What msrctl runs inside its image on a node.", hidden=True),
}

ENVIRONMENT_RULE = (
    "An option with a $VARIABLE next to it is also read from that environment variable; one that begins "
    "with DTR_ may also begin with MSR_. The command line wins, and an empty variable counts as not set. "
    "Booleans are true or false, and can be given as --option=false."
)


class Root(Group):
    """The root group, whose help ends with the environment rule and the exit codes."""

    def format_epilog(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Environment rule and exit codes."""
        with formatter.section("Environment"):
            formatter.write_text(ENVIRONMENT_RULE)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        from msrctl.cli.version import version_text

        click.echo(version_text())
        ctx.exit()


@click.group("msrctl", cls=Root, late=COMMANDS, context_settings={"max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version, and the commit if it is known, and exit.",
)
@general_options
def cli() -> None:
    """Install and reconfigure a private image registry on Docker Swarm.

    msrctl COMMAND --help tells about a command, --help-extended more about it.
    """
