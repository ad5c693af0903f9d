"""The version, with the commit when it is known."""

from __future__ import annotations

from pathlib import Path

from msrctl import __version__


def version_text() -> str:
    """`msrctl 0.1.0, commit 5f0c2a9`, or without the commit."""
    commit = commit_hash(Path(__file__).resolve().parents[1])
    return f"msrctl {__version__}, commit {commit[:12]}" if commit else f"msrctl {__version__}"


def commit_hash(package: Path) -> str | None:
    """The commit from the package's file COMMIT (made when an image is built), else from a git checkout."""
    try:
        return (package / "COMMIT").read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        pass
    git = package.parent / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        reference = head.removeprefix("ref: ")
        if reference == head:
            return head
        loose = git / reference
        if loose.exists():
            return loose.read_text(encoding="ascii").strip()
        for line in (git / "packed-refs").read_text(encoding="ascii").splitlines():
            if line.endswith(f" {reference}"):
                return line.partition(" ")[0]
    except (OSError, UnicodeDecodeError):
        return None
    return None
