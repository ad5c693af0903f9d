"""Every relative link in the pages and the README leads to a file that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def links(text: str) -> list[str]:
    """Targets of links and pictures in Markdown, without those in code and those to other sites."""
    text = CODE.sub("", FENCED.sub("", text))
    return [target for target in LINK.findall(text) if not ELSEWHERE.match(target)]


def broken(page: Path) -> list[str]:
    """Targets in a page that are no file or directory; an anchor in the page itself is one."""
    paths = (target.partition("#")[0] for target in links(page.read_text("utf-8")))
    return [path for path in paths if not (page.parent / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    assert broken(page) == []


def test_the_readme_leads_to_the_tutorial_and_every_how_to() -> None:
    found = set(links((PROJECT / "README.md").read_text("utf-8")))
    wanted = {"docs/tutorial.md", *(f"docs/how-to/{p.name}" for p in (PROJECT / "docs/how-to").glob("*.md"))}
    assert wanted - found == set()


def test_a_link_to_nothing_is_found_and_code_is_no_link(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "[a](gone.md#part) ![b](page.md) [c](https://example.com/x) [d](#here) `[e](code.md)`\n"
        "```\n[f](fenced.md)\n```\n[g](folder/)\n"
    )
    assert broken(page) == ["gone.md", "folder/"]
