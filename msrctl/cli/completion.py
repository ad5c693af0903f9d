"""`msrctl completion`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import options as o
from msrctl.cli.base import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    short_help="Print a completion script for bash, zsh or fish.",
    more="bash: msrctl completion bash > /etc/bash_completion.d/msrctl. zsh: into a file _msrctl in $fpath. "
    "fish: into ~/.config/fish/completions/msrctl.fish.",
)
@click.argument("shell", type=click.Choice(SHELLS))
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, shell: str, **_: Any) -> int:
    """Print a completion script for bash, zsh or fish."""
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    # click's class for bash starts bash to ask for its version; the script itself needs no such thing.
    script = ShellComplete.source(kind(ctx.find_root().command, {}, "msrctl", "_MSRCTL_COMPLETE"))
    click.echo(script)
    return 0
