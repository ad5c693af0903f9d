"""What a task prints for one reader only that reader can open, and only whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msrctl.backup import seal
from msrctl.errors import MsrctlError

CHUNKS = [("a", b"secret one"), ("b", b""), ("c", bytes(range(256)) * 400)]


def sealed(chunks: Any = CHUNKS) -> tuple[seal.Opener, list[dict[str, Any]]]:
    private, public = seal.new_key()
    return seal.Opener(private), [json.loads(json.dumps(line)) for line in seal.seal(chunks, public)]


def opened(opener: seal.Opener, lines: list[dict[str, Any]]) -> list[tuple[str, bytes]]:
    found = [chunk for line in lines for chunk in opener.take(line)]
    opener.require_complete()
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=5000)), max_size=6))
def test_the_reader_gets_every_chunk(chunks: list[tuple[str, bytes]]) -> None:
    opener, lines = sealed(chunks)
    assert opened(opener, lines) == chunks


def test_a_line_stays_below_what_the_engine_cuts_and_shows_nothing() -> None:
    import os

    _, lines = sealed([("x", os.urandom(100_000)), ("y", b"hunter2")])
    assert len(lines) > 8
    assert all(len(json.dumps(line)) < 16_384 for line in lines)
    assert not any("hunter2" in json.dumps(line) for line in lines)


def test_another_reader_cannot_open_it() -> None:
    _, lines = sealed()
    private, _ = seal.new_key()
    with pytest.raises(MsrctlError, match="cannot be opened"):
        opened(seal.Opener(private), lines)


def test_lines_that_are_missing_changed_or_exchanged_are_noticed() -> None:
    import os

    chunks = [("x", os.urandom(60_000))]
    for change in ("cut", "gap", "swap", "bit"):
        opener, lines = sealed(chunks)
        if change == "cut":
            lines.pop()
        elif change == "gap":
            lines.pop(1)
        elif change == "swap":
            lines[1]["data"], lines[2]["data"] = lines[2]["data"], lines[1]["data"]
        else:
            lines[1]["data"] = "AAAA" + lines[1]["data"][4:]
        with pytest.raises(MsrctlError) as caught:
            opened(opener, lines)
        assert caught.value.code == "SEAL"


def test_a_log_that_is_read_again_from_its_beginning_is_no_harm() -> None:
    opener, lines = sealed()
    assert opened(opener, [*lines[:1], *lines]) == CHUNKS
