"""A store in a directory: volume, bind mount or NFS."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from msrctl.transfer.store import BLOBS, CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROBE_BYTES = 1 << 20
MINIMUM_FREE = 256 << 20
"""Bytes: less than this is not room for an image."""


class FileStore:
    """A directory with the registry's layout below it.

    Arguments:
        root: the directory that holds ``docker/``.
        words: the store in words.
    """

    concurrency = 8

    def __init__(self, root: Path, words: str = "") -> None:
        self._root = root
        self.words = words or f"directory {root}"

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below a directory with their sizes.

        Blobs lie one in a directory of its own, always named ``data``: asking for that file at once is
        several times faster than listing each directory.
        """
        if prefix == BLOBS:
            yield from self._blobs()
            return
        stack = [str(self._root / prefix)]
        cut = len(str(self._root)) + 1
        while stack:
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                os.scandir(stack.pop()) as entries,
            ):
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        # Uploads come and go while we look; nothing of them is ever wanted.
                        if entry.name != "_uploads":
                            stack.append(entry.path)
                    else:
                        with contextlib.suppress(FileNotFoundError):
                            yield entry.path[cut:], entry.stat(follow_symlinks=False).st_size

    def _blobs(self) -> Iterator[tuple[str, int]]:
        base = str(self._root / BLOBS)
        for algorithm in _names(base):
            for short in _names(f"{base}/{algorithm}"):
                directory = f"{base}/{algorithm}/{short}"
                for name in _names(directory):
                    try:
                        size = os.stat(f"{directory}/{name}/data").st_size  # noqa: PTH116 - 100,000 times
                    except (FileNotFoundError, NotADirectoryError):
                        continue
                    yield f"{BLOBS}/{algorithm}/{short}/{name}/data", size

    def size(self, key: str) -> int | None:
        """Size in bytes, or None."""
        try:
            return (self._root / key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, key: str) -> bytes:
        """A small file."""
        try:
            return (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise KeyError(key) from None

    def stream(self, key: str) -> Iterator[bytes]:
        """A file in chunks."""
        try:
            file = (self._root / key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise KeyError(key) from None
        with file:
            while chunk := _read(file, CHUNK):
                yield chunk

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes beside the place and renames, so that a reader never sees half a file.

        Blobs are synced to the disk: a power cut must not leave a blob of zeros under a good name.
        """
        # Strings and the system's own calls: a restore writes some hundred thousand small files.
        target = f"{self._root}/{key}"
        directory, _, name = target.rpartition("/")
        temporary = f"{directory}/.{name}.{uuid4().hex}.msrctl"
        try:
            with _created(temporary, directory) as file:
                for chunk in chunks:
                    file.write(chunk)
                if size > CHUNK:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, target)  # noqa: PTH105
        except BaseException as error:
            if isinstance(error, OSError) and error.filename is None:
                error.filename = target  # the system names no file when a write fails
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    def probe(self) -> Iterator[dict[str, Any]]:
        """Writes, reads back, renames and deletes a file, times it, and looks at the free space."""
        began = time.monotonic()
        data = os.urandom(PROBE_BYTES)
        first = self._root / f".msrctl-probe-{uuid4().hex}"
        second = first.with_name(first.name + "-renamed")
        try:
            with first.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            first.rename(second)
            if second.read_bytes() != data:
                raise OSError(errno.EIO, "what was written is not what is read")  # noqa: TRY301
        except OSError as error:
            yield _trouble(error, self._root)
            return
        finally:
            with contextlib.suppress(OSError):
                first.unlink(missing_ok=True)
                second.unlink(missing_ok=True)
        free = _free(self._root)
        if free < MINIMUM_FREE:
            yield _trouble(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), self._root)
            return
        seconds = time.monotonic() - began
        yield {
            "title": "write, read back, rename, delete",
            "ok": True,
            "detail": f"{free >> 20:,} MiB free, {seconds * 1000:.0f} ms",
            "free_bytes": free,
        }

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes files and the directories that become empty, as the registry would have it."""
        for key in keys:
            path = self._root / key
            path.unlink(missing_ok=True)
            for parent in path.parents:
                if parent in {self._root, self._root.parent}:
                    break
                try:
                    parent.rmdir()
                except OSError:
                    break


def _created(path: str, directory: str) -> IO[bytes]:
    """A new file in a directory that may have to be made first, as most have."""
    try:
        return open(path, "wb")  # noqa: PTH123
    except FileNotFoundError:
        os.makedirs(directory, exist_ok=True)  # noqa: PTH103
        return open(path, "wb")  # noqa: PTH123


def _read(file: IO[bytes], count: int) -> bytes:
    try:
        return file.read(count)
    except OSError as error:
        error.filename = file.name  # the system names no file when a read fails
        raise


def _trouble(error: OSError, root: Path) -> dict[str, Any]:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    denied = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
    reason = (error.strerror or str(error)).lower()
    return {
        "title": "write, read back, rename, delete",
        "ok": False,
        "detail": f"cannot store images: {reason}",
        "code": "PRE-STORAGE-FULL" if full else "PRE-STORAGE-DENIED" if denied else "PRE-STORAGE",
        "hint": f"Make at least {MINIMUM_FREE >> 20} MiB free there."
        if full
        else "Let root of that node write there: owner, mode, mount options, root_squash of an export.",
        "free_bytes": _free(root),
    }


def _free(root: Path) -> int:
    use = os.statvfs(root)
    return use.f_bavail * use.f_frsize


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - 100,000 times
    except (FileNotFoundError, NotADirectoryError):
        return []
