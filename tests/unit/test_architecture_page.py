"""The architecture page stays true: what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"


def test_every_path_that_the_architecture_page_names_exists() -> None:
    named = set(re.findall(r"\b(?:msrctl|schemas|tests|docs)/[\w./-]*\w", PAGE.read_text()))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
