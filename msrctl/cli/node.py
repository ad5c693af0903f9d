"""`msrctl node`: what msrctl runs inside its own image on a node; not for people."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import click


@click.command(
    "node",
    short_help="What msrctl runs inside its image on a node.",
    hidden=True,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run a task on this node and answer in JSON lines. Started by msrctl, not by people."""
    from msrctl.workflows import node

    return node.main(list(arguments)) or 0
