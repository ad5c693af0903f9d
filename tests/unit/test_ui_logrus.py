"""Log lines are those of logrus, so that scripts for the original can read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msrctl.ui import logrus

_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}


def unquoted(text: str) -> str:
    """What Go's strconv.Unquote makes of it, for text without broken UTF-8."""
    assert text[0] == text[-1] == '"'

    def plain(match: re.Match[str]) -> str:
        kind = match[1]
        return chr(_ESCAPES[kind]) if kind in _ESCAPES else chr(int(kind[1:], 16))

    return re.sub(r'\\([abfnrtv\\"]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})', plain, text[1:-1])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_quoting_loses_nothing_and_stays_on_one_line(text: str) -> None:
    quoted = logrus.quote(text)
    assert unquoted(quoted) == text
    assert quoted.isprintable()
    assert not re.search(r'(?<!\\)(\\\\)*"', quoted[1:-1])


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\')))
def test_plain_text_is_quoted_as_it_is(text: str) -> None:
    assert logrus.quote(text) == f'"{text}"'


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('say "no"\n', r'"say \"no\"\n"'),
        ("\x00\x1b\x7f", r'"\x00\x1b\x7f"'),
        ("\u00a0\u2028", r'"\u00a0\u2028"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("naïve ✓ 漢", '"naïve ✓ 漢"'),
        ("\udcff", r'"\xff"'),
        ("\ud800", r'"\ufffd"'),
        ("\\x", r'"\\x"'),
    ],
)
def test_quoting_is_gos(text: str, quoted: str) -> None:
    assert logrus.quote(text) == quoted


def test_a_line_has_time_level_and_message() -> None:
    at = datetime(2026, 11, 24, 3, 41, 7, tzinfo=UTC)
    assert logrus.line("info", "done", at=at) == 'time="2026-11-24T03:41:07Z" level=info msg="done"'
    there = at.astimezone(timezone(timedelta(hours=1)))
    assert logrus.line("fatal", "x", at=there).startswith('time="2026-11-24T04:41:07+01:00" level=fatal')
