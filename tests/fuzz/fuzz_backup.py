"""Throws broken backups at the reader for some minutes: every one must end in an error with a known code.

``python tests/fuzz/fuzz_backup.py SECONDS [SEED]``. Half of them get their checksums put right after they
were changed, so that what lies behind the checksums is reached as well.
"""

from __future__ import annotations

import collections
import hashlib
import io
import json
import random
import sys
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "unit")]

from backup_support import content  # noqa: E402 - the path comes first

from msrctl.backup import check, layout, ustar  # noqa: E402
from msrctl.backup.faults import HINTS  # noqa: E402
from msrctl.errors import MsrctlError  # noqa: E402

WORDS = (
    b"..",
    b"/",
    b"\0",
    b"sha256:",
    b'{"',
    b"[[[[",
    b"\n",
    b"-1",
    b"99999999999999999999",
    b"1e999",
    b"null",
)
Members = list[tuple[str, bytes]]


def members(data: bytes) -> Members:
    """Names and contents, without the last two, which are made anew."""
    found: Members = []
    at = 0
    while any(data[at : at + ustar.BLOCK]):
        header = ustar.parse(data[at : at + ustar.BLOCK])
        at += ustar.BLOCK
        found.append((header.name, data[at : at + header.size]))
        at += header.size + -header.size % ustar.BLOCK
    return found[:-2]


def written(parts: Members) -> bytes:
    """A backup of these members with right checksums."""
    out = io.BytesIO()
    sums = b""
    for name, data in parts:
        out.write(ustar.header(name, len(data), mtime=0) + data + ustar.padding(len(data)))
        sums += f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()
    marker = json.dumps({"members": len(parts), "sha256": hashlib.sha256(sums).hexdigest()}).encode()
    for name, data in ((layout.CHECKSUMS, sums), (layout.MARKER, marker)):
        out.write(ustar.header(name, len(data), mtime=0) + data + ustar.padding(len(data)))
    return out.getvalue() + ustar.END


def changed(data: bytes, chance: random.Random) -> bytes:
    """Bytes with a few things wrong."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0 if out:
                out[at % len(out)] ^= 1 << chance.randrange(8)
            case 1:
                out[at:at] = chance.choice(WORDS)
            case 2:
                del out[at : at + chance.choice((1, 2, 16, 512, 5000))]
            case 3:
                piece = out[at : at + chance.choice((1, 64, 512, 1024))]
                out[at:at] = piece * chance.choice((1, 2, 50))
            case 4:
                out[at : at + 8] = chance.randbytes(8)
            case _:
                out[at:] = out[at:][::-1][: chance.randrange(4096)]
    return bytes(out)


def case(whole: bytes, parts: Members, chance: random.Random) -> bytes:
    """One broken backup."""
    if chance.random() < 0.5:
        return changed(whole, chance)
    made = list(parts)
    number = chance.randrange(len(made))
    match chance.randrange(4):
        case 0:
            made.pop(number)
        case 1:
            made.insert(chance.randrange(len(made)), made[number])
        case _:
            made[number] = (made[number][0], changed(made[number][1], chance))
    return written(made)


def main() -> int:
    """Runs until the time is over or something else than a known error comes out."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    chance = random.Random(seed)
    whole = content(with_layers=True).write()
    parts = members(whole)
    codes: collections.Counter[str] = collections.Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = case(whole, parts, chance)
        try:
            check.read(io.BytesIO(data))
            codes["read"] += 1  # put together anew with right checksums, it may be a backup
        except MsrctlError as error:
            if error.code not in HINTS:
                return failed(data, seed)
            codes[error.code] += 1
        except Exception:  # noqa: BLE001 - exactly this is looked for
            return failed(data, seed)
    print(f"seed {seed}: {codes.total():,} cases in {seconds:.0f} s, {dict(codes)}")  # noqa: T201
    return 0


def failed(data: bytes, seed: int) -> int:
    """Keeps what led to another end."""
    kept = TESTS / ".logs" / f"fuzz-{seed}.tar"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(data)
    traceback.print_exc()
    print(f"seed {seed}, kept as {kept}")  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
