"""A store in a directory: volume, bind mount or NFS."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from msrctl.transfer.store import BLOBS, CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
            while chunk := file.read(CHUNK):
                yield chunk

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> None:
        """Writes beside the place and renames, so that a reader never sees half a file.

        Blobs are synced to the disk: a power cut must not leave a blob of zeros under a good name.
        """
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}.msrctl")
        try:
            with temporary.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                if size > CHUNK:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

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


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - 100,000 times
    except (FileNotFoundError, NotADirectoryError):
        return []
