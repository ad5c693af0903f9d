"""Sealed lines: how a task hands secrets to the msrctl that started it through a log that others can read.

An ephemeral X25519 key of the reader, one of the writer, HKDF-SHA256 over both, ChaCha20-Poly1305 with a
counter for a nonce and the last piece marked: pieces cannot be read, changed, reordered, or left away.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Chunk = tuple[str, bytes]

TYPE = "sealed"
PIECE = 11_000
"""Bytes in a piece: with base64 and JSON a line stays below the 16 KiB at which the engine cuts lines."""
LARGEST_CHUNK = 64 << 20
"""Bytes: more in one chunk is nothing that a task of ours sends."""
_INFLATE_STEP = 1 << 20


def new_key() -> tuple[X25519PrivateKey, str]:
    """A reader's key for one conversation: the private half, and the public one as text for an argument."""
    private = X25519PrivateKey.generate()
    return private, base64.urlsafe_b64encode(private.public_key().public_bytes_raw()).decode()


def seal(chunks: Iterable[Chunk], reader: str) -> Iterator[dict[str, Any]]:
    """Named chunks as lines of JSON that only the reader can open.

    Arguments:
        chunks: name and bytes of each.
        reader: the public key, from `new_key`.
    """
    there = base64.urlsafe_b64decode(reader)
    private = X25519PrivateKey.generate()
    here = private.public_key().public_bytes_raw()
    cipher = _cipher(private.exchange(X25519PublicKey.from_public_bytes(there)), here, there)
    number, held = 0, bytearray()

    def line(piece: bytes, *, last: bool) -> dict[str, Any]:
        nonlocal number
        sealed = cipher.encrypt(_nonce(number), piece, b"last" if last else b"more")
        found = {"type": TYPE, "n": number, "data": base64.b64encode(sealed).decode()}
        if number == 0:
            found["key"] = base64.urlsafe_b64encode(here).decode()
        if last:
            found["last"] = True
        number += 1
        return found

    for part in _deflated(chunks):
        held += part
        while len(held) > PIECE:
            yield line(bytes(held[:PIECE]), last=False)
            del held[:PIECE]
    yield line(bytes(held), last=True)


class Opener:
    """Opens sealed lines, one after another; lines that came before are passed over.

    Arguments:
        private: the reader's key.
    """

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self._cipher: ChaCha20Poly1305 | None = None
        self._inflate = zlib.decompressobj()
        self._number = 0
        self._plain = bytearray()
        self.complete = False

    def take(self, line: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks that are whole with this line.

        Raises:
            MsrctlError: SEAL: the line is not what the task wrote, or one before it is missing.
        """
        if line.get("type") != TYPE or self.complete or line.get("n", -1) < self._number:
            return
        try:
            if line["n"] != self._number:
                raise _broken(f"piece {self._number} is missing")
            if self._number == 0:
                self._agree(base64.urlsafe_b64decode(line["key"]))
            assert self._cipher is not None
            last = bool(line.get("last"))
            sealed = base64.b64decode(line["data"], validate=True)
            piece = self._cipher.decrypt(_nonce(self._number), sealed, b"last" if last else b"more")
        except (InvalidTag, ValueError, KeyError, TypeError):
            raise _broken(f"piece {self._number} cannot be opened") from None
        self._number += 1
        yield from self._whole(piece)
        if last:
            if self._plain or not self._inflate.eof:
                raise _broken("it ends within a chunk")
            self.complete = True

    def require_complete(self) -> None:
        """Raises MsrctlError (SEAL) if the end has not come."""
        if not self.complete:
            raise _broken(f"it ends after {self._number} pieces")

    def _agree(self, there: bytes) -> None:
        here = self._private.public_key().public_bytes_raw()
        shared = self._private.exchange(X25519PublicKey.from_public_bytes(there))
        self._cipher = _cipher(shared, there, here)

    def _whole(self, piece: bytes) -> Iterator[Chunk]:
        more = True
        while more:
            found = self._inflate.decompress(piece, _INFLATE_STEP)
            self._plain += found
            piece = self._inflate.unconsumed_tail
            more = bool(piece) or len(found) == _INFLATE_STEP
            while (cut := self._plain.find(b"\n")) >= 0:
                head = json.loads(self._plain[:cut])
                size = int(head["size"])
                if not 0 <= size <= LARGEST_CHUNK:
                    raise _broken("a chunk is too large")
                if len(self._plain) < cut + 1 + size:
                    break
                yield str(head["name"]), bytes(self._plain[cut + 1 : cut + 1 + size])
                del self._plain[: cut + 1 + size]


def _deflated(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    deflate = zlib.compressobj(1)
    for name, data in chunks:
        head = json.dumps({"name": name, "size": len(data)}).encode() + b"\n"
        yield deflate.compress(head)
        yield deflate.compress(data)
    yield deflate.flush()


def _cipher(shared: bytes, writer: bytes, reader: bytes) -> ChaCha20Poly1305:
    info = b"msrctl sealed log v1" + writer + reader
    return ChaCha20Poly1305(HKDF(hashes.SHA256(), 32, None, info).derive(shared))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _broken(why: str) -> MsrctlError:
    return MsrctlError(
        f"the answer of a task on a node did not arrive whole: {why}",
        code="SEAL",
        hint="Run this again; if it comes back, look at the log driver and the disk of that node.",
    )
