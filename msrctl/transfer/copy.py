"""Copies a store into another: blobs while everything goes on, links when nobody writes.

A blob never changes and carries its digest in its name, so it can be copied live, is hashed on the way, and
an interrupted copy goes on where it stopped: what is there with the right size is not copied again. Links do
change; `mirror_links` makes those of the target the same as those of the source.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msrctl.transfer.inventory import blob_key
from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from msrctl.transfer.inventory import Inventory
    from msrctl.transfer.store import Store


@dataclass
class Progress:
    """How far a copy is; sizes in bytes."""

    blobs: int = 0
    blobs_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    links: int = 0
    deleted: int = 0
    corrupt: list[str] = field(default_factory=list)
    """Digests of blobs that are not what their name says, in the source."""
    vanished: list[str] = field(default_factory=list)
    """Digests of blobs that were deleted in the source while we copied."""


class _CorruptError(Exception):
    """A blob's bytes do not have its digest."""


def copy_blobs(
    source: Store,
    target: Store,
    wanted: dict[str, int],
    present: dict[str, int],
    progress: Progress,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Copies every wanted blob that the target does not have with the same size, big ones first.

    Arguments:
        source: where from.
        target: where to.
        wanted: digest to size, of the source.
        present: digest to size, of the target; what was copied is added.
        progress: kept up to date.
        tick: called after each blob, from the calling thread.

    Raises:
        StoreError: the source or the target failed.
    """
    todo = deque(
        sorted((d for d, s in wanted.items() if present.get(d) != s), key=lambda d: wanted[d], reverse=True)
    )
    progress.blobs_total += len(todo)
    progress.bytes_total += sum(wanted[d] for d in todo)
    counter = threading.Lock()

    def one(digest: str) -> None:
        try:
            target.write(
                blob_key(digest), _hashed(source, digest, wanted[digest], progress, counter), wanted[digest]
            )
        except KeyError:
            with counter:
                progress.vanished.append(digest)
        except _CorruptError:
            with counter:
                progress.corrupt.append(digest)
        else:
            with counter:
                present[digest] = wanted[digest]
                progress.blobs += 1

    each(one, todo, min(source.concurrency, target.concurrency), tick)


def mirror_links(
    source: Inventory,
    target_store: Store,
    target: Inventory,
    progress: Progress,
    tick: Callable[[], None] = lambda: None,
    *,
    delete: bool = True,
) -> None:
    """Makes the target's links those of the source: layers and manifests first, tags last.

    Arguments:
        source: inventory of the source.
        target_store: where to write.
        target: its inventory before.
        progress: kept up to date.
        tick: called after each link.
        delete: whether links that the source does not have are taken away; not while pushes go on.
    """
    want, have = source.links(), target.links()
    todo = [(key, digest) for key, digest in want.items() if have.get(key) != digest and digest]
    tags = [item for item in todo if item[0].endswith("/current/link")]
    others = [item for item in todo if not item[0].endswith("/current/link")]

    def one(item: tuple[str, str]) -> None:
        data = item[1].encode()
        target_store.write(item[0], (data,), len(data))

    def count() -> None:
        progress.links += 1
        tick()

    # A tag must never name a manifest whose own links are not there yet.
    for group in (others, tags):
        each(one, deque(group), target_store.concurrency, count)
    if delete:
        gone = sorted(have.keys() - want.keys())
        target_store.delete(gone)
        progress.deleted += len(gone)


def verify_digests(store: Store, blobs: Iterable[str], tick: Callable[[], None] = lambda: None) -> list[str]:
    """Hashes blobs; returns the digests of those that are not what their name says, or are not there.

    Arguments:
        store: where.
        blobs: digests.
        tick: called after each blob.
    """
    bad: list[str] = []

    def one(digest: str) -> None:
        algorithm, _, name = digest.partition(":")
        checksum = hashlib.new(algorithm)
        try:
            for chunk in store.stream(blob_key(digest)):
                checksum.update(chunk)
        except KeyError:
            bad.append(digest)
            return
        if checksum.hexdigest() != name:
            bad.append(digest)

    each(one, deque(blobs), store.concurrency, tick)
    return sorted(bad)


def each(work: Callable[[Any], None], items: deque[Any], threads: int, tick: Callable[[], None]) -> None:
    """Runs work on all items with so many threads; the first failure stops the rest and is raised."""
    with ThreadPoolExecutor(threads) as pool:
        running: set[Future[None]] = set()
        try:
            while items or running:
                while items and len(running) < threads * 2:
                    running.add(pool.submit(work, items.popleft()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    tick()
        except BaseException:
            items.clear()
            for future in running:
                future.cancel()
            raise


def _hashed(
    source: Store, digest: str, size: int, progress: Progress, counter: threading.Lock
) -> Iterator[bytes]:
    """A blob's chunks; the last one is handed over only if the whole has the right digest."""
    algorithm, _, name = digest.partition(":")
    try:
        checksum = hashlib.new(algorithm)
    except ValueError:
        raise StoreError(f"blob {digest}: unknown digest algorithm", "STORE-LAYOUT") from None
    held: bytes | None = None
    seen = 0
    for chunk in source.stream(blob_key(digest)):
        checksum.update(chunk)
        seen += len(chunk)
        with counter:
            progress.bytes += len(chunk)
        if held is not None:
            yield held
        held = chunk
    if checksum.hexdigest() != name or seen != size:
        raise _CorruptError(digest)
    if held is not None:
        yield held
