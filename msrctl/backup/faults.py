"""What can be wrong with a backup file, each with a code of its own; nothing was touched then."""

from __future__ import annotations

from msrctl.errors import MsrctlError, UsageFault, VerifyFailed

NOTHING = "Nothing was touched."

HINTS = {
    "BACKUP-EMPTY": "The command that wrote it failed: look at its exit code and its last line.",
    "BACKUP-TRUNCATED": "What wrote or copied it was cut short: take another copy, or another backup.",
    "BACKUP-DAMAGED": "It was changed after it was written: take another copy of it, or another backup.",
    "BACKUP-ORDER": "Somebody has put it together anew: take the file as msrctl backup wrote it.",
    "BACKUP-HOSTILE": "msrctl backup never writes this. Do not unpack it; find out where it comes from.",
    "BACKUP-TRAILING": "Two files were joined, or something was added: take the file as it was written.",
    "BACKUP-CONTENT": "Its checksums are right, so it was written like this: please report it.",
    "BACKUP-FOREIGN": "Name a file that msrctl backup wrote.",
    "BACKUP-OTHER-PRODUCT": "Only the program that wrote it can restore it (mirantis/dtr restore). Its "
    "images stay where they are: msrctl install can be pointed at the store.",
    "BACKUP-COMPRESSED": "Uncompress it first: zstd -dc FILE | msrctl restore ..., or gunzip.",
    "BACKUP-NEWER": "Use the msrctl that wrote it, or a newer one.",
    "BACKUP-ENCRYPTED": "Give --identity FILE, or --passphrase-file FILE or $MSRCTL_BACKUP_PASSPHRASE.",
    "BACKUP-KEY": "Give the passphrase or an identity that it was encrypted for.",
}
USAGE = frozenset(
    {
        "BACKUP-FOREIGN",
        "BACKUP-OTHER-PRODUCT",
        "BACKUP-COMPRESSED",
        "BACKUP-NEWER",
        "BACKUP-ENCRYPTED",
        "BACKUP-KEY",
        "BACKUP-EMPTY",
    }
)


def fault(code: str, message: str, *, details: tuple[str, ...] = ()) -> MsrctlError:
    """The error of a code: usage (2) where another file or key is wanted, verify (7) where this one is bad.

    Arguments:
        code: one of `HINTS`.
        message: what is wrong, one sentence.
        details: further lines.
    """
    kind = UsageFault if code in USAGE else VerifyFailed
    return kind(message, code=code, state=NOTHING, hint=HINTS[code], details=details)
