"""Chunks of any sizes in the form that a store's library wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Blocks:
    """Chunks put together to blocks of one size.

    Arguments:
        chunks: of any sizes.
        size: of the blocks, in bytes; the last one is smaller.
    """

    def __init__(self, chunks: Iterable[bytes], size: int) -> None:
        self._chunks = iter(chunks)
        self._size = size
        self._held = bytearray()
        self.total = 0

    def __iter__(self) -> Blocks:
        return self

    def __next__(self) -> bytes:
        while len(self._held) < self._size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._held += chunk
            self.total += len(chunk)
        if not self._held:
            raise StopIteration
        block = bytes(self._held[: self._size])
        del self._held[: self._size]
        return block

    def must_have(self, size: int, words: str, key: str) -> None:
        """Reads to the end.

        Raises:
            StoreError: STORE-SIZE: it is more or less than was said.
        """
        for chunk in self._chunks:
            self.total += len(chunk)
        if self.total != size:
            raise StoreError(f"{words}: {key}: {self.total} bytes instead of {size}", "STORE-SIZE")


class Source:
    """Chunks as the file that the library reads.

    Arguments:
        chunks: of any sizes.
        size: bytes that they have to be.
        words: for an error.
    """

    def __init__(self, chunks: Iterable[bytes], size: int, words: str) -> None:
        self._chunks = iter(chunks)
        self._held = bytearray()
        self._size, self._words = size, words
        self._at = 0

    def tell(self) -> int:
        """How much was read."""
        return self._at

    def read(self, count: int = -1) -> bytes:
        """The next bytes.

        Raises:
            StoreError: STORE-SIZE: there are more or less of them than was said.
        """
        # All before the end is known to be right before the last part is handed over.
        last = count < 0 or self._at + count >= self._size
        ended = False
        while not ended and (last or len(self._held) < count):
            chunk = next(self._chunks, None)
            ended = chunk is None
            self._held += chunk or b""
        if ended and self._at + len(self._held) != self._size:
            text = f"{self._words}: {self._at + len(self._held)} bytes instead of {self._size}"
            raise StoreError(text, "STORE-SIZE")
        part = bytes(self._held if count < 0 else self._held[:count])
        del self._held[: len(part)]
        self._at += len(part)
        return part
