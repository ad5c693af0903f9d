"""`msrctl restore`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from msrctl.cli import backup_options as b
from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli import options_settings as s
from msrctl.cli.base import Command, Given, Option
from msrctl.cli.install import placement_options
from msrctl.cli.running import run

STORES = ("dtr_use_default_storage", *checks.NEW_STORE)


def _one_store(given: Given) -> Iterator[str]:
    """Where the images are must be said, and only once."""
    named = [checks.option_name(name) for name in STORES if given.sets(name)]
    if not named:
        yield f"say where the images are: one of {', '.join(map(checks.option_name, STORES))}"
    elif "--dtr-use-default-storage" in named and len(named) > 1:
        yield f"--dtr-use-default-storage and {named[1]} exclude each other"


def _one_stdin(given: Given) -> Iterator[str]:
    if given.value("file") in (None, "-") and given.value("storage_config") == "-":
        yield "the backup and --storage-config - would both read stdin"


@click.command(
    "restore",
    cls=Command,
    short_help="Make a registry again from a backup.",
    checks=(
        checks.endpoint,
        b.from_stdin,
        _one_store,
        _one_stdin,
        checks.ports_given,
        checks.certificates,
        checks.client_certificates_given,
        checks.logging,
        checks.nfs,
        checks.storage_config,
        checks.address_of_images,
    ),
    more="Accounts, keys and CA are those of the backup, so clients need nothing new; the certificate is "
    "signed anew, by the same CA, where the node has another name. Settings that are given win over the "
    "backup's. Tags that the store has and the backup has not are taken out, and listed; their images "
    "become garbage. Further replicas join afterwards.",
)
@click.argument("file", type=o.Checked("FILE", values.single_line), required=False)
@o.flag(
    "--dtr-use-default-storage",
    variable="DTR_DEFAULT_STORAGE",
    section=s.STORAGE,
    help="Use the store that the backup recorded, with its credentials.",
)
@s.settings_options
@s.adopt_option
@o.flag(
    "--allow-missing",
    variable="MSRCTL_ALLOW_MISSING",
    section=s.STORAGE,
    help="Go on without tags whose layers are neither in the store nor in the backup.",
)
@placement_options
@b.identity_option
@b.passphrase_option
@o.endpoint_options
@o.dry_run_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, file: str | None = None, **_: Any) -> int:
    """Make a registry again from the backup FILE (default: stdin).

    The backup, the node and the store are checked first, also whether every tag can be pulled again. A
    restore that fails leaves nothing and can be run again.
    """
    from msrctl.model.requests import RestoreRequest
    from msrctl.workflows.restore import restore

    given = Given(ctx)
    node = given.value("ucp_node")
    request = RestoreRequest(
        common=build.common(given),
        settings=build.settings(given, empty_is_absent=False),
        file=file or "-",
        keys=b.keys(given, may_ask=file not in (None, "-")),
        default_storage=bool(given.value("dtr_use_default_storage")),
        node=None if node in ("", "_random_") else node,
        replica_id=given.value("replica_id"),
        overlay_subnet=given.value("overlay_subnet"),
        advertise_addr=given.value("advertise_addr"),
        image=given.value("image"),
        registry_image=given.value("registry_image"),
        adopt_storage=bool(given.value("adopt_storage")),
        allow_missing=bool(given.value("allow_missing")),
        dry_run=bool(given.value("dry_run")),
    )
    return run(given, lambda reporter: restore(request, reporter), dry_run=request.dry_run)


# The options are those of install, but what is not given here is as in the backup.
for parameter in command.params:
    if isinstance(parameter, Option) and parameter.name in dict(checks.SETTINGS):
        parameter.default_text = "as in the backup"
