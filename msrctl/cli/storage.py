"""`msrctl storage usage`, `validate` and `sample`; the rest of the group is in storage_change.py."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, storage_change, values
from msrctl.cli import options as o
from msrctl.cli.base import Command, Given, Group
from msrctl.cli.running import run
from msrctl.cli.status import replica_option

DEFAULT_VERSION = "2.8"

version_option = o.option(
    "--registry-version",
    type=o.Checked("2.8|3", values.registry_version),
    variable="MSRCTL_REGISTRY_VERSION",
    default_text="2.8",
    help="Version of the registry: what it knows, ignores and fails at differs.",
)


@click.group("storage", cls=Group, short_help="Look at the image store, go back to the one before.")
@o.general_options
def command() -> None:
    """Look at the image store, go back to the one before a switch, check a configuration for one.

    The switch itself is msrctl reconfigure.
    """


for change in (storage_change.show_command, storage_change.revert_command, storage_change.finalize_command):
    command.add_command(change)


@command.command(
    "usage",
    cls=Command,
    short_help="Show bytes, blobs and free space of the store.",
    checks=(checks.endpoint,),
)
@replica_option
@o.endpoint_options
@o.max_wait_option
@o.general_options
@click.pass_context
def usage_command(ctx: click.Context, /, **_: Any) -> int:
    """Show bytes, blobs and free space of the store, as each replica sees it.

    With --output json, sizes are exact bytes.
    """
    from msrctl.model.requests import StatusRequest
    from msrctl.workflows.usage import usage

    given = Given(ctx)
    request = StatusRequest(common=build.common(given), replica_id=given.value("replica_id"))
    return run(given, lambda reporter: usage(request, reporter))


@command.command(
    "validate",
    cls=Command,
    short_help="Check a storage configuration, without touching anything.",
    checks=(checks.storage_from_stdin,),
    more="The file is the storage section of a registry's configuration, a whole configuration, a driver's "
    "section alone, or the fields of the original's storage page. A variable that is not set is only a "
    "warning here; install and reconfigure need it.",
)
@click.argument("file", type=o.Checked("FILE", values.single_line))
@version_option
@o.general_options
@click.pass_context
def validate_command(ctx: click.Context, /, file: str, **_: Any) -> int:
    """Check the storage configuration FILE (.yml, .yaml or .txt; - is stdin) for --storage-config.

    Everything that is wrong is listed at once, also what the registry would ignore silently. Neither an
    engine nor the store is asked.
    """
    from msrctl.workflows.storage_file import validate

    given = Given(ctx)
    version = given.value("registry_version") or DEFAULT_VERSION
    return run(given, lambda _reporter: validate(file, version))


@command.command(
    "sample",
    cls=Command,
    short_help="Print a commented storage configuration.",
)
@click.argument("driver", type=click.Choice(["s3", "azure", "swift", "gcs", "filesystem"]))
@version_option
@o.general_options
@click.pass_context
def sample_command(ctx: click.Context, /, driver: str, **_: Any) -> int:
    """Print a commented storage configuration for DRIVER, to fill in and to give to --storage-config."""
    from msrctl.workflows.storage_file import sample

    given = Given(ctx)
    version = given.value("registry_version") or DEFAULT_VERSION
    return run(given, lambda _reporter: sample(driver, version))
