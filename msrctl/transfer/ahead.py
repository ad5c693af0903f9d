"""Chunks that another thread reads ahead."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNKS_AHEAD = 4
POLL_SECONDS = 0.2


@contextlib.contextmanager
def read_ahead(chunks: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """Gives the chunks on while another thread reads them; leaving the block ends that thread.

    obstore asks for the next chunk of an upload from within its own runtime. Chunks that come from obstore
    too would have to start another one there, which ends the process ("Cannot start a runtime from within a
    runtime", seen with a layer of more than one part copied from S3 to S3).

    Arguments:
        chunks: read in the other thread only; what it raises is raised where the chunks are taken.
    """
    found: queue.Queue[bytes | BaseException | None] = queue.Queue(CHUNKS_AHEAD)
    ended = threading.Event()

    def give(item: bytes | BaseException | None) -> bool:
        while not ended.is_set():
            with contextlib.suppress(queue.Full):
                found.put(item, timeout=POLL_SECONDS)
                return True
        return False

    def read() -> None:
        try:
            for chunk in chunks:
                if not give(chunk):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the chunks are taken
            give(error)
        else:
            give(None)

    def taken() -> Iterator[bytes]:
        while (item := found.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        ended.set()
        thread.join()
