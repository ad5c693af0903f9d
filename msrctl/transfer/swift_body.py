"""Streams as Swift gets them: of known length, whole or cut into segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Body:
    """Chunks as a request's body of known length; nothing is complete unless all of it is as was said."""

    def __init__(self, chunks: Iterable[bytes], size: int, words: str) -> None:
        self._chunks, self._size, self._words = chunks, size, words

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        total, held = 0, b""
        # One chunk is held back until it is known whether it is the last, and the whole as long as was said.
        for chunk in self._chunks:
            total += len(chunk)
            if total > self._size:
                break
            if held:
                yield held
            held = chunk
        if total != self._size:
            raise StoreError(f"{self._words}: {total} bytes instead of {self._size}", "STORE-SIZE")
        yield held


class Split:
    """One stream of chunks, handed out in parts of given sizes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""

    def take(self, size: int) -> Iterator[bytes]:
        """So many of the next bytes, less at the end."""
        while size:
            if not self._held:
                self._held = next(self._chunks, b"")
            if not self._held:
                return
            part, self._held = self._held[:size], self._held[size:]
            size -= len(part)
            yield part

    def must_be_at_the_end(self, words: str) -> None:
        """Raises StoreError, STORE-SIZE with these words, if there is more."""
        if self._held or any(self._chunks):
            raise StoreError(words, "STORE-SIZE")
