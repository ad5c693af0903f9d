"""`msrctl backup`, `backup verify`, `backup show` and `backup drill`."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from msrctl.cli import backup_drill, build, checks, values
from msrctl.cli import backup_options as b
from msrctl.cli import options as o
from msrctl.cli.base import Check, Command, Given, Group
from msrctl.cli.running import run

CONTENT = "Content"


def _to_stdout(given: Given) -> Iterator[str]:
    """A backup on stdout excludes everything else there, and terminals."""
    if given.ctx.params.get("output_file"):
        return
    if sys.stdout.isatty():
        yield (
            "Terminal mode detected: the backup goes to stdout, which is a terminal; redirect it (in a "
            "container: docker run without -t), or give --output-file"
        )
    if given.invocation.json:
        yield "the backup goes to stdout, so there is no place for --output json: give --output-file"


class BackupGroup(Group):
    """A command that makes a backup, and has commands for files as well."""

    making: tuple[Check, ...] = (checks.endpoint, b.encryption, _to_stdout)
    more = (
        "The cluster document, settings, accounts, keys, the store's configuration with its credentials, and "
        "for every repository its tags, links and manifests: everything but layers. Pulls and pushes go on; "
        "a push that ends before the backup begins is in it. The last line on stderr and the exit code tell "
        "that it is whole. In a container: docker run --log-driver none -i --rm ... backup > FILE."
    )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options are checked only if a backup is to be made, not for the commands on files."""
        named = next((a for a in args if not a.startswith("-")), None)
        self.checks = () if named in self.commands and args[0] == named else self.making
        return super(Group, self).parse_args(ctx, args)


@click.group(
    "backup",
    cls=BackupGroup,
    invoke_without_command=True,
    short_help="Write a backup of everything but layers, while the registry serves.",
)
@o.option(
    "--output-file",
    type=o.Checked("FILE", values.single_line),
    variable="MSRCTL_BACKUP_FILE",
    section=CONTENT,
    default_text="standard output",
    help="Write the backup to this file, which only its owner may read.",
    more="It has its name only when it is complete and on the disk; a file of that name is replaced then.",
)
@o.flag(
    "--include-images",
    variable="MSRCTL_INCLUDE_IMAGES",
    section=CONTENT,
    help="Put the layers into the backup as well. It is as large as the store then.",
    more="Layers are pulled through the registry, so this machine must reach it as clients do.",
)
@o.flag(
    "--offline-backup",
    variable="DTR_OFFLINE_BACKUP",
    section=CONTENT,
    help="Hold pushes while the inventory is taken, so that all of it is of one moment.",
    more="Without it every tag is recorded with a digest that it had during the backup. Pulls go on either "
    "way; pushes are answered with 503 and a time to come back.",
)
@o.option(
    "--existing-replica-id",
    type=o.Checked("ID", values.replica_id),
    variable="DTR_REPLICA_ID",
    section=CONTENT,
    default_text="the first one whose node takes work",
    help="Replica to take the backup from. A restore makes this one again.",
)
@o.flag(
    "--ignore-scan-data",
    section=CONTENT,
    ignored="there are no scan data in this registry",
    help="Accepted for compatibility; without effect, as there are no scan data.",
)
@o.flag(
    "--encrypt",
    variable="MSRCTL_BACKUP_ENCRYPT",
    section=b.ENCRYPTION,
    help="Encrypt the backup with a passphrase (age).",
)
@o.option(
    "--recipient",
    type=o.Checked("KEYS", values.single_line),
    variable="MSRCTL_BACKUP_RECIPIENT",
    section=b.ENCRYPTION,
    help="Encrypt the backup for these public keys, comma-separated: age1... or ssh-ed25519 ...",
)
@b.passphrase_option
@o.endpoint_options
@o.max_wait_option
@o.lock_wait_option
@o.general_options
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Write a backup of everything but layers, while the registry serves.

    It goes to standard output, which must not be a terminal, or to --output-file.
    """
    if ctx.invoked_subcommand:
        return 0
    from msrctl.model.requests import BackupRequest
    from msrctl.workflows.backup import backup

    given = Given(ctx)
    recipients = given.value("recipient") or ""
    request = BackupRequest(
        common=build.common(given),
        output_file=given.value("output_file"),
        existing_replica_id=given.value("existing_replica_id"),
        include_images=bool(given.value("include_images")),
        offline=bool(given.value("offline_backup")),
        passphrase=b.new_passphrase(given),
        recipients=tuple(part.strip() for part in recipients.split(",") if part.strip()),
    )
    return run(
        given,
        lambda reporter: backup(request, reporter),
        result_on_stdout=request.output_file is not None,
    )


@command.command(
    "verify",
    cls=Command,
    short_help="Prove that a backup is whole, without an engine.",
    checks=(b.from_stdin,),
    more="Every byte is compared with its checksum, every manifest and layer with its digest, and every tag "
    "must have its manifests. Nothing is unpacked. Exit code 7: the file is bad; 2: it is another file, or "
    "the key is missing.",
)
@click.argument("file", type=o.Checked("FILE", values.single_line))
@b.identity_option
@b.passphrase_option
@o.general_options
@click.pass_context
def verify_command(ctx: click.Context, /, file: str, **_: Any) -> int:
    """Prove that the backup FILE (- is stdin) is whole, without an engine."""
    from msrctl.workflows.backup_file import verify

    given = Given(ctx)
    request = b.file_request(given, file)
    return run(given, lambda reporter: verify(request, reporter))


@command.command(
    "show",
    cls=Command,
    short_help="Show what is in a backup, without an engine.",
    checks=(b.from_stdin,),
    more="The file is checked as backup verify does it. Secrets are named, never shown.",
)
@click.argument("file", type=o.Checked("FILE", values.single_line))
@b.identity_option
@b.passphrase_option
@o.general_options
@click.pass_context
def show_command(ctx: click.Context, /, file: str, **_: Any) -> int:
    """Show what is in the backup FILE (- is stdin), without an engine."""
    from msrctl.workflows.backup_file import show

    given = Given(ctx)
    request = b.file_request(given, file)
    return run(given, lambda reporter: show(request, reporter))


command.add_command(backup_drill.command)
