"""A status that is looked at again and again: a picture on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from msrctl.errors import MsrctlError
from msrctl.model.results import StatusResult
from msrctl.ui import data as as_data
from msrctl.ui import failure, output, render, text, words

Seen = StatusResult | MsrctlError


def is_picture(*, json_wanted: bool) -> bool:
    """Whether stdout shows a picture that is redrawn: a terminal, and text was asked for."""
    return not json_wanted and sys.stdout.isatty()


def draw(seen: Iterable[Seen], *, interval: float, nocolor: bool) -> None:
    """Redraws the status on the terminal.

    Arguments:
        interval: seconds between two looks, to be told.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(no_color=nocolor, highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        for one in seen:
            head = f"{_now()}   every {interval:g} s, Ctrl-C ends"
            live.update(Text(f"{head}\n\n{_picture(one)}"), refresh=True)


def write(changes: Iterable[Seen], *, command: str, json_lines: bool) -> None:
    """Writes a line to stdout for each change: text, or the JSON document of the command."""
    for one in changes:
        output.result(_document(one, command) if json_lines else f"{_now()} {line(one)}")


def line(seen: Seen) -> str:
    """What was seen in one line."""
    if isinstance(seen, MsrctlError):
        return words.clean(f"unknown: {seen.message} ({seen.code})").replace("\n", " ")
    parts = ["not installed" if not seen.installed else "healthy" if seen.healthy else "not healthy"]
    for replica in seen.replicas:
        bad = [f"{c.component}: {c.detail} ({c.task_state})" for c in replica.components if not c.healthy]
        bad += ["behind"] if replica.behind else [f"drift in {change.name}" for change in replica.drift]
        parts.append(f"{replica.replica_id} on {replica.node} {', '.join(bad) or 'healthy'}")
    parts += [f"drift in {change.name}" for change in seen.drift]
    parts += [f"generation {seen.generation}"] if seen.installed else []
    parts += ["read-only"] if seen.read_only else []
    parts += [f"locked: {seen.lock}"] if seen.lock else []
    parts += [f"interrupted: {seen.interrupted}"] if seen.interrupted else []
    return words.clean("; ".join(parts)).replace("\n", " ")


def _picture(seen: Seen) -> str:
    if isinstance(seen, MsrctlError):
        return failure.as_text(seen)
    return text.of(seen, marks=words.marks(sys.stdout))


def _document(seen: Seen, command: str) -> str:
    if isinstance(seen, MsrctlError):
        made = output.document(command=command, exit_code=seen.exit_code, error=failure.as_data(seen))
    else:
        code, error = render.outcome(seen)
        made = output.document(command=command, exit_code=code, data=as_data.of(seen), error=error)
    return json.dumps({"time": _now(), **json.loads(made)}, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
