"""Options and checks about the encryption of backups, which backup, restore and others share."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from msrctl.bootstrapper import about_files
from msrctl.cli import options as o
from msrctl.cli import values
from msrctl.cli.base import Given
from msrctl.cli.terminal import ask_secret, is_interactive
from msrctl.secret import Secret

if TYPE_CHECKING:
    from msrctl.model.requests import BackupFileRequest, BackupKeys

PASSPHRASE_VARIABLE = "MSRCTL_BACKUP_PASSPHRASE"  # noqa: S105 - the variable's name
ENCRYPTION = "Encryption"
SHORTEST = 8

passphrase_option = o.option(
    "--passphrase-file",
    type=o.Checked("FILE", values.single_line),
    variable="MSRCTL_BACKUP_PASSPHRASE_FILE",
    section=ENCRYPTION,
    help="File with the passphrase; its first line counts. "
    "The variable MSRCTL_BACKUP_PASSPHRASE may hold the passphrase itself.",
    more="There is no argument for the passphrase itself, because arguments are visible in ps. On a "
    "terminal it is asked for.",
)

identity_option = o.option(
    "--identity",
    type=o.Checked("FILE", values.single_line),
    variable="MSRCTL_BACKUP_IDENTITY",
    section=ENCRYPTION,
    help="Private key for a backup that was made with --recipient: a file of age-keygen or ssh-keygen.",
)


def keys(given: Given, *, may_ask: bool) -> BackupKeys:
    """What opens an encrypted backup.

    Arguments:
        may_ask: whether a passphrase may be asked for: not where stdin is the backup.

    Raises:
        click.UsageError: a file cannot be read.
    """
    from msrctl.model.requests import BackupKeys

    name = given.value("identity")
    identity = Secret(_read(given.ctx, "--identity", name)) if name else None
    ask = (lambda: ask_secret("backup-passphrase")) if may_ask and is_interactive() else None
    return BackupKeys(identity, passphrase(given), ask)


def file_request(given: Given, file: str) -> BackupFileRequest:
    """The request of a command that reads a backup and no engine."""
    from msrctl.model.requests import BackupFileRequest

    return BackupFileRequest(file, keys(given, may_ask=file != "-"))


def passphrase(given: Given) -> Secret | None:
    """The passphrase from its file or the variable; None: not given."""
    name = given.value("passphrase_file")
    if name:
        first = _read(given.ctx, "--passphrase-file", name).splitlines() or [b""]
        return Secret(first[0])
    text = os.environ.get(PASSPHRASE_VARIABLE)
    return Secret(text) if text else None


def new_passphrase(given: Given) -> Secret | None:
    """The passphrase for a new backup; asked for twice if there is none. None: not encrypted with one.

    Raises:
        click.UsageError: it is too short.
    """
    if not given.value("encrypt"):
        return None
    found = passphrase(given) or ask_secret("backup-passphrase", twice=True)
    if len(found.reveal()) < SHORTEST:
        raise click.UsageError(f"the passphrase must have {SHORTEST} characters or more", given.ctx)
    return found


def encryption(given: Given) -> Iterator[str]:
    """A new backup is encrypted with a passphrase or for recipients."""
    if given.sets("encrypt") and given.sets("recipient"):
        yield "--encrypt takes a passphrase and --recipient public keys: give one of them"
    if given.typed("passphrase_file") and not given.sets("encrypt"):
        yield "--passphrase-file needs --encrypt"
    known = given.sets("passphrase_file") or os.environ.get(PASSPHRASE_VARIABLE)
    if given.sets("encrypt") and not known and not is_interactive():
        yield (
            f"--encrypt needs a passphrase (--passphrase-file or ${PASSPHRASE_VARIABLE}), "
            "and there is no terminal to ask on"
        )


def from_stdin(given: Given) -> Iterator[str]:
    """A backup is not typed."""
    if given.value("file") in (None, "-") and sys.stdin.isatty():
        yield (
            "Terminal mode detected: the backup is read from stdin, which is a terminal; redirect it "
            "(in a container: docker run without -t), or name a file"
        )


def _read(ctx: click.Context, option: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        about = about_files() if isinstance(error, FileNotFoundError) else ""
        raise click.UsageError(f"{option}: cannot read {name}: {error.strerror}{about}", ctx) from None
