"""Where a backup goes to: standard output, or a file that has its name only when it is complete."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Descriptor:
    """Writes to a file descriptor without a buffer of its own: what fails, fails here and not at the end.

    Arguments:
        number: the descriptor.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self.written = 0

    def write(self, data: bytes, /) -> int:
        """All of them."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._number, rest) :]
        self.written += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


@contextlib.contextmanager
def writing(file: str | None) -> Iterator[Descriptor]:
    """The sink for a backup: ready for use in the block, complete after it.

    Arguments:
        file: its path; None: standard output.

    Raises:
        MsrctlError: BACKUP-WRITE; no file is left.
    """
    try:
        if file is None:
            yield Descriptor(sys.stdout.fileno())
            return
        with renamed(Path(file)) as number:
            yield Descriptor(number)
    except OSError as error:
        place = file or "standard output"
        reason = "nobody reads it any more" if isinstance(error, BrokenPipeError) else error.strerror
        raise MsrctlError(
            f"the backup cannot be written to {place}: {reason or error}",
            code="BACKUP-WRITE",
            state="There is no backup." if file else "What came out is no whole backup.",
        ) from error


@contextlib.contextmanager
def renamed(path: Path) -> Iterator[int]:
    """A new file that only its owner may read, renamed when the block ends well and all is on the disk.

    Arguments:
        path: its name in the end; the block gets a descriptor to write to.
    """
    beside = path.with_name(f".{path.name}.{uuid4().hex}.part")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            yield number
            os.fsync(number)
        finally:
            os.close(number)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
