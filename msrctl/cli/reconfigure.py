"""`msrctl reconfigure`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from typing import Any

import click

from msrctl.cli import build, checks, values
from msrctl.cli import options as o
from msrctl.cli import options_settings as s
from msrctl.cli.base import Command, Given, Option
from msrctl.cli.running import run

change_options = o.together(
    o.option(
        "--existing-replica-id",
        type=o.Checked("ID", values.replica_id),
        variable="DTR_REPLICA_ID",
        section="Replica",
        default_text="the only one",
        help="Replica that the settings of a single replica are for.",
    ),
    o.option(
        "--registry-image",
        type=o.Checked("IMAGE", values.image_reference, empty=True),
        variable="MSRCTL_REGISTRY_IMAGE",
        section="Replica",
        default_text="unchanged",
        help="Another image for the registry, such as registry:2.8.3 or registry:3.1.1.",
        more="It must be on every node; msrctl pulls no images. An empty value goes back to the registry in "
        "msrctl's own image.",
    ),
    o.flag(
        "--storage-migrated",
        variable="STORAGE_MIGRATED",
        section=s.STORAGE,
        help="The data were already moved to the new store: keep the tags without comparing the two.",
    ),
    o.flag(
        "--reinitialize-storage",
        section=s.STORAGE,
        help="Start empty: erase all tags in the new store.",
        more="There is no variable for it: what erases is typed.",
    ),
    o.flag(
        "--migrate-storage",
        section=s.STORAGE,
        help="Copy the images to the new store first, then switch to it.",
        more="Pulls and pushes go on while they are copied; pushes are held off only for what is left at the "
        "end.",
    ),
    o.option(
        "--verify",
        type=click.Choice(["size", "digest"], case_sensitive=False),
        metavar="size|digest",
        section=s.STORAGE,
        default_text="size",
        help="How the new store is compared: names and sizes, or the sha256 of every blob as well.",
    ),
    s.adopt_option,
)

continuation_options = o.together(
    o.flag("--resume", section=o.GENERAL, help="Finish an interrupted reconfigure."),
    o.flag("--undo", section=o.GENERAL, help="Take back an interrupted reconfigure."),
)


@click.command(
    "reconfigure",
    cls=Command,
    short_help="Change settings of the registry.",
    checks=(
        checks.endpoint,
        checks.ports_given,
        checks.certificates,
        checks.client_certificates_given,
        checks.logging,
        checks.nfs,
        checks.storage_config,
        checks.storage_change,
        checks.continuation,
        checks.address_of_images,
    ),
    more="Only what is given changes. An empty value takes a setting away (--http-proxy=''). Nothing is "
    "restarted that does not need it, and nothing at all happens when nothing changes.",
)
@s.settings_options
@s.account_options
@change_options
@o.endpoint_options
@o.skip_unreachable_option
@o.dry_run_option
@continuation_options
@o.yes_option
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Change settings of the registry.

    Shows what changes, and updates only the services that need it. Settings that are not given stay
    as they are.
    """
    from msrctl.model.requests import ReconfigureRequest, SettingsRequest
    from msrctl.workflows.reconfigure import reconfigure

    given = Given(ctx)
    goes_on = bool(given.value("resume") or given.value("undo"))
    request = ReconfigureRequest(
        # To continue an interrupted run, settings can only come from the environment: they are not meant.
        settings=SettingsRequest() if goes_on else build.settings(given, empty_is_absent=False),
        existing_replica_id=given.value("existing_replica_id"),
        registry_image=None if goes_on else given.value("registry_image"),
        admin_username=None if goes_on else given.value("admin_username"),
        admin_password=None if goes_on else build.admin_password(given),
        storage_migrated=bool(given.value("storage_migrated")) and not goes_on,
        reinitialize_storage=bool(given.value("reinitialize_storage")),
        migrate_storage=bool(given.value("migrate_storage")),
        adopt_storage=bool(given.value("adopt_storage")),
        verify_digests=given.value("verify") == "digest",
        skip_unreachable=bool(given.value("skip_unreachable")),
        dry_run=bool(given.value("dry_run")),
        resume=bool(given.value("resume")),
        undo=bool(given.value("undo")),
        yes=bool(given.value("yes")),
        common=build.common(given),
    )
    return run(given, lambda reporter: reconfigure(request, reporter), dry_run=request.dry_run)


# The options are those of install, but what is not given here stays as it is.
for parameter in command.params:
    if isinstance(parameter, Option) and parameter.name in dict(checks.SETTINGS):
        parameter.default_text = "unchanged"
