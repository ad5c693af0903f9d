"""`msrctl backup verify` and `backup show`: what a backup file holds, without any engine."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from msrctl.backup import check, crypt
from msrctl.backup.faults import NOTHING, fault
from msrctl.bootstrapper import about_files
from msrctl.errors import UsageFault
from msrctl.model.results import BackupShowResult, BackupVerifyResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msrctl.backup.reader import Source
    from msrctl.model.requests import BackupFileRequest, BackupKeys
    from msrctl.workflows.reporter import Reporter


class Peeked:
    """A stream whose first bytes were looked at.

    Arguments:
        first: those bytes.
        rest: the stream behind them.
    """

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first = first
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes: as many as `size`, less only at the end."""
        found = self._first if size < 0 else self._first[:size]
        self._first = self._first[len(found) :]
        return found + (self._rest.read() if size < 0 else _fully(self._rest, size - len(found)))


class Opened:
    """A backup file that may be gone through more than once, if it is a real file.

    Arguments:
        stream: at its beginning.
        keys: what opens it.
    """

    def __init__(self, stream: IO[bytes], keys: BackupKeys) -> None:
        self._stream = stream
        self._keys = keys
        self._unlocked: list[Any] | None = None
        self.encrypted = False

    @contextlib.contextmanager
    def plain(self) -> Iterator[Source]:
        """The decrypted file from its beginning, for a block.

        Raises:
            MsrctlError: BACKUP-ENCRYPTED, BACKUP-KEY, BACKUP-DAMAGED.
        """
        longest = max(len(crypt.AGE), len(crypt.PASSPHRASE), len(crypt.ARMOR))
        first = _fully(self._stream, longest)
        if first.startswith(crypt.ARMOR):
            raise fault("BACKUP-FOREIGN", "it is an armored age file, which msrctl never writes")
        if first.startswith(crypt.PASSPHRASE):
            self.encrypted = True
            behind = Peeked(first[len(crypt.PASSPHRASE) :], self._stream)
            keys = self._by_passphrase(behind)
        elif first.startswith(crypt.AGE):
            self.encrypted = True
            behind = Peeked(first, self._stream)
            keys = self._by_identity()
        else:
            yield Peeked(first, self._stream)
            return
        with crypt.decrypting(behind, keys=keys) as source:
            yield source

    def again(self) -> None:
        """Back to the beginning."""
        self._stream.seek(0)

    def _by_passphrase(self, behind: Peeked) -> list[Any]:
        passphrase = self._keys.passphrase
        if passphrase is None and self._keys.ask is not None:
            passphrase = self._keys.ask()
        if passphrase is None:
            raise fault("BACKUP-ENCRYPTED", "it is encrypted with a passphrase, and none was given")
        found = crypt.unlock(behind, passphrase)
        # Asking is done once, and so is the slow derivation of the key.
        self._keys = type(self._keys)(self._keys.identity, passphrase, None)
        return found

    def _by_identity(self) -> list[Any]:
        if self._keys.identity is None:
            raise fault("BACKUP-ENCRYPTED", "it is encrypted for a recipient, and no identity was given")
        return crypt.identities(self._keys.identity)


@contextlib.contextmanager
def opened(file: str, keys: BackupKeys) -> Iterator[Opened]:
    """A backup file, or standard input (``-``), for a block.

    Raises:
        UsageFault: it cannot be read (BACKUP-FILE).
    """
    if file == "-":
        yield Opened(sys.stdin.buffer, keys)
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        about = about_files() if isinstance(error, FileNotFoundError) else ""
        raise UsageFault(
            f"{file} cannot be read: {error.strerror}{about}",
            code="BACKUP-FILE",
            state=NOTHING,
            hint="Name a file that msrctl backup wrote, or - for standard input.",
        ) from None
    with stream:
        yield Opened(stream, keys)


@contextlib.contextmanager
def at_hand(file: str, keys: BackupKeys) -> Iterator[Opened]:
    """A backup as a file that can be gone through again; standard input is kept as it came, nameless.

    What is encrypted stays so on the disk.

    Arguments:
        file: its name; ``-``: standard input.
        keys: what opens it.

    Raises:
        UsageFault: it cannot be read or kept (BACKUP-FILE).
    """
    if file != "-":
        with opened(file, keys) as found:
            yield found
        return
    with tempfile.TemporaryFile(prefix="msrctl-restore-") as kept:
        try:
            shutil.copyfileobj(sys.stdin.buffer, kept, 1 << 20)
        except OSError as error:
            raise UsageFault(
                f"the backup from standard input cannot be kept in {tempfile.gettempdir()}: {error.strerror}",
                code="BACKUP-FILE",
                state=NOTHING,
                hint="Set TMPDIR to a place with room for it, or name a file.",
            ) from error
        kept.seek(0)
        yield Opened(kept, keys)


def verify(request: BackupFileRequest, report: Reporter) -> BackupVerifyResult:
    """Proves that a backup is whole: every byte, every manifest, every layer that is in it.

    Raises:
        MsrctlError: it is not; each reason has its code (msrctl/backup/faults.py).
    """
    with opened(request.file, request.keys) as file, report.step("verify", request.file) as progress:
        with file.plain() as source:
            found = check.read(source)
        progress.detail(f"{found.inventory.tags:,} tags, {len(found.known):,} manifests")
    return BackupVerifyResult(request.file, file.encrypted, found.content())


def show(request: BackupFileRequest, report: Reporter) -> BackupShowResult:  # noqa: ARG001 - as all workflows
    """What is in a backup, after the same checks as `verify`; no secret is shown.

    Raises:
        MsrctlError: as `verify`.
    """
    with opened(request.file, request.keys) as file, file.plain() as source:
        found = check.read(source)
    cluster = found.cluster
    settings = {k: v for k, v in vars(cluster.settings).items() if v not in (None, False)}
    return BackupShowResult(
        file=request.file,
        encrypted=file.encrypted,
        content=found.content(),
        settings=settings,
        accounts=(cluster.accounts.admin,),
        secrets=tuple(sorted(found.secrets)),
        tags={name: len(r.tags) for name, r in sorted(found.inventory.repositories.items())},
    )


def _fully(stream: IO[bytes], size: int) -> bytes:
    found = b""
    while len(found) < size and (part := stream.read(size - len(found))):
        found += part
    return found
