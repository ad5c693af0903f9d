"""Small objects that a restore writes back into a store, or takes out: packed for a one-shot, carried out.

Stages keep a tag from naming what is not there yet: manifests (0), links to layers (1), to manifests (2), the
history of tags (3), tags (4), and what is taken out (9).
"""

from __future__ import annotations

import json
import zlib
from collections import deque
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from msrctl.transfer.copy import each
from msrctl.transfer.store import ROOT, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from msrctl.transfer.store import Store

    Operation = tuple[int, str, bytes | None]

MANIFEST, DROP = 0, 9
LARGEST = 900_000
"""Bytes of a package: a swarm config has less than 1,000 kB."""
BATCH = 64
"""Small objects that one thread writes before it asks for more."""
RAW = 6 << 20
"""Bytes before compression after which a package ends; one manifest may have 4 MiB."""


def packages(operations: Iterable[Operation]) -> Iterator[bytes]:
    """Operations in packages, each small enough for a config, in the order given.

    Arguments:
        operations: stage, key, and the bytes to write (None: delete).
    """
    made = zlib.compressobj(6)
    out, raw = bytearray(), 0
    for stage, key, data in operations:
        record = _record(stage, key, data)
        # What compresses badly may take as many bytes as it has: look before it is in.
        if raw and (len(out) + len(record) + (1 << 16) > LARGEST or raw > RAW):
            yield bytes(out + made.flush())
            made, raw = zlib.compressobj(6), 0
            out.clear()
        out += made.compress(record) + made.flush(
            zlib.Z_SYNC_FLUSH if len(record) > 1 << 15 else zlib.Z_NO_FLUSH
        )
        raw += len(record)
    if raw:
        yield bytes(out + made.flush())


def _record(stage: int, key: str, data: bytes | None) -> bytes:
    head = {"stage": stage, "key": key, "size": -1 if data is None else len(data)}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + (data or b"")


def unpacked(package: bytes) -> Iterator[Operation]:
    """The operations of a package.

    Raises:
        StoreError: it is not one.
    """
    try:
        data = zlib.decompress(package)
        at = 0
        while at < len(data):
            cut = data.index(b"\n", at)
            head = json.loads(data[at:cut])
            at = cut + 1
            size = int(head["size"])
            body = None if size < 0 else data[at : at + size]
            at += max(size, 0)
            key = str(head["key"])
            if not key.startswith(f"{ROOT}/") or ".." in key.split("/"):
                raise ValueError(key)  # noqa: TRY301 - the same end as what json raises
            yield int(head["stage"]), key, body
    except (zlib.error, ValueError, KeyError) as error:
        raise StoreError(f"what is to be written back cannot be read: {error}", "STORE-PACKAGE") from None


def carry_out(store: Store, operations: Iterable[Operation]) -> dict[str, int]:
    """Writes and deletes, stage after stage; returns how many.

    Arguments:
        store: where.
        operations: of one package; of each repository in the order of its stages.
    """
    done = {"written": 0, "deleted": 0}

    def some(items: list[tuple[str, bytes]]) -> None:
        for key, data in items:
            store.write(key, (data,), len(data))

    by_stage = itemgetter(0)
    # The same stage of all repositories at once; the order of the stages in each of them is kept.
    for _, stage in groupby(sorted(operations, key=by_stage), key=by_stage):
        items = list(stage)
        writes = [(key, data) for _, key, data in items if data is not None]
        # Several at a time: to hand a small file over to a thread takes as long as to write it.
        size = max(1, min(BATCH, len(writes) // (4 * store.concurrency)))
        batches = deque(writes[at : at + size] for at in range(0, len(writes), size))
        each(some, batches, store.concurrency, lambda: None)
        deletes = [key for _, key, data in items if data is None]
        store.delete(deletes)
        done["written"] += len(writes)
        done["deleted"] += len(deletes)
    return done
