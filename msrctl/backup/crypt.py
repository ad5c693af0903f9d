"""Encryption of backup files with age (https://age-encryption.org/v1), streamed in both directions.

age's passphrases have no streaming interface in the library, so a passphrase protects a fresh key, which
stands in front: ``msrctl-passphrase 1 <n>``, a line feed, n bytes of an age file with the key, then the age
file for that key. Both parts can be opened with age itself (docs/adr/0007-backups.md).
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from msrctl.backup.faults import fault
from msrctl.errors import MsrctlError, UsageFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msrctl.backup.reader import Source
    from msrctl.backup.writer import Sink
    from msrctl.secret import Secret

AGE = b"age-encryption.org/v1"
ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
PASSPHRASE = b"msrctl-passphrase 1 "
_LONGEST_KEY = 4096


class _Stream(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def recipients(texts: Sequence[str]) -> list[Any]:
    """The library's recipients of ``age1...`` and ``ssh-...`` public keys.

    Raises:
        UsageFault: one of them is none; the text is not shown, it may be a private key.
    """
    import pyrage

    found = []
    for number, text in enumerate(texts, 1):
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        try:
            found.append(kind.Recipient.from_str(text))
        except pyrage.RecipientError:
            raise UsageFault(
                f"recipient {number} is not a public key of age (age1...) or ssh (ssh-ed25519 ...)",
                code="BACKUP-RECIPIENT",
                hint="age-keygen makes a pair of keys; the public one begins with age1.",
            ) from None
    return found


def identities(text: Secret) -> list[Any]:
    """The library's identities in a file as age-keygen or ssh-keygen write it.

    Raises:
        UsageFault: there is none in it.
    """
    import pyrage

    raw = text.reveal()
    try:
        if b"OPENSSH PRIVATE KEY" in raw or b"RSA PRIVATE KEY" in raw:
            return [pyrage.ssh.Identity.from_buffer(raw)]
        lines = [line.strip() for line in raw.decode().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and line[0] != "#"]
    except (pyrage.IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise UsageFault(
            "the identity file holds no key of age (AGE-SECRET-KEY-...) or ssh without a passphrase",
            code="BACKUP-IDENTITY",
            hint="age-keygen -o key.txt makes one; ssh keys with a passphrase cannot be used.",
        )
    return found


@contextlib.contextmanager
def encrypting(sink: Sink, *, to: Sequence[Any] = (), passphrase: Secret | None = None) -> Iterator[Sink]:
    """What is written in the block goes encrypted into the sink.

    Arguments:
        sink: a real file.
        to: recipients.
        passphrase: instead of them.
    """
    import pyrage

    if passphrase is not None:
        key = pyrage.x25519.Identity.generate()
        head = pyrage.passphrase.encrypt(str(key).encode(), passphrase.reveal_text())
        sink.write(PASSPHRASE + b"%d\n" % len(head) + head)
        to = [key.to_public()]

    def work(source: IO[bytes]) -> None:
        pyrage.encrypt_io(source, sink, list(to))

    with _piped(work, writes=True) as pipe:
        yield pipe


@contextlib.contextmanager
def decrypting(source: _Stream, *, keys: Sequence[Any]) -> Iterator[Source]:
    """What is read in the block is the decrypted source.

    Raises:
        MsrctlError: BACKUP-KEY: no key fits; BACKUP-DAMAGED, BACKUP-TRUNCATED: it was changed or cut.
    """
    import pyrage

    def work(target: IO[bytes]) -> None:
        try:
            pyrage.decrypt_io(source, target, list(keys))
        except pyrage.DecryptError as error:
            raise _explained(str(error)) from None
        except OSError as error:
            if error.errno is not None:
                raise  # the system's own: the file cannot be read, or the block has ended
            raise _explained(str(error)) from None

    with _piped(work, writes=False) as pipe:
        yield pipe


def unlock(source: _Stream, passphrase: Secret) -> list[Any]:
    """The keys that a passphrase protects, from what stands behind the first words of a file.

    Raises:
        MsrctlError: BACKUP-KEY: the passphrase is another one; BACKUP-DAMAGED: it is no such file.
    """
    import pyrage

    digits = b""
    while len(digits) < 5 and (digit := source.read(1)) != b"\n":
        digits += digit or b"x"
    if not digits.isdigit() or not 0 < int(digits) <= _LONGEST_KEY:
        raise fault("BACKUP-DAMAGED", "the passphrase's part at its beginning is damaged")
    head = source.read(int(digits))
    if len(head) < int(digits):
        raise fault("BACKUP-TRUNCATED", "it ends in the passphrase's part at its beginning")
    try:
        key = pyrage.passphrase.decrypt(head, passphrase.reveal_text())
        return [pyrage.x25519.Identity.from_str(key.decode())]
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError):
        raise fault("BACKUP-KEY", "the passphrase is not the one that it was encrypted with") from None


def _explained(text: str) -> MsrctlError:
    """What the library says; with age, a file that was cut cannot be told from one that was changed."""
    if "no matching" in text.lower():
        return fault("BACKUP-KEY", "it is encrypted, and for none of the keys that were given")
    return fault("BACKUP-DAMAGED", f"it cannot be decrypted to its end: it was changed or cut short ({text})")


@contextlib.contextmanager
def _piped(work: Any, *, writes: bool) -> Iterator[Any]:
    """The end of a pipe for the block, whose other end a thread works on; its failure becomes the block's."""
    failed: list[BaseException] = []
    read_end, write_end = os.pipe()
    ours, theirs = (write_end, read_end) if writes else (read_end, write_end)

    def run() -> None:
        try:
            with os.fdopen(theirs, "rb" if writes else "wb") as end:
                work(cast("IO[bytes]", end))
        except BrokenPipeError:
            pass  # the block has had enough
        except BaseException as error:  # noqa: BLE001 - it is raised again where the block ends
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    end = os.fdopen(ours, "wb" if writes else "rb")
    thread.start()
    try:
        yield end
    except (BrokenPipeError, MsrctlError):
        with contextlib.suppress(OSError):
            end.close()
        thread.join()
        if failed:  # it is the cause: the pipe just ended
            raise failed[0] from None
        raise
    finally:
        with contextlib.suppress(OSError):
            end.close()
        thread.join()
    if failed:
        raise failed[0]
