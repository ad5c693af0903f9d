"""Chunks are read by another thread, in order, and an error of theirs arrives where they are taken."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from msrctl.transfer.ahead import CHUNKS_AHEAD, read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_all_chunks_come_in_order_from_another_thread() -> None:
    threads = set()

    def chunks() -> Iterator[bytes]:
        for number in range(10 * CHUNKS_AHEAD):
            threads.add(threading.get_ident())
            yield b"%d" % number

    with read_ahead(chunks()) as ahead:
        assert list(ahead) == [b"%d" % number for number in range(10 * CHUNKS_AHEAD)]
    assert threads
    assert threading.get_ident() not in threads


def test_an_error_in_the_chunks_is_raised_where_they_are_taken() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise OSError("the old store went away")

    with read_ahead(chunks()) as ahead:
        assert next(ahead) == b"one"
        with pytest.raises(OSError, match="the old store went away"):
            next(ahead)


def test_who_takes_no_more_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with read_ahead(b"x" for _ in range(1_000_000)) as ahead:
        assert next(ahead) == b"x"
    assert threading.active_count() == before
