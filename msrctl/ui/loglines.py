"""Lines of services' logs, each with its replica and component in front."""

from __future__ import annotations

import json
from collections.abc import Iterable

from msrctl.model.results import LogLine
from msrctl.ui import data, output, words

_COMPONENT = 8


def text(line: LogLine) -> str:
    """A line for people: ``5f0c2a9be417/registry | ...``."""
    return f"{line.replica_id}/{line.component:<{_COMPONENT}} | {words.clean(line.text)}"


def show(lines: Iterable[LogLine], *, json_lines: bool) -> None:
    """Writes lines to stdout as they come.

    Arguments:
        json_lines: each as a JSON object on a line of its own.
    """
    for line in lines:
        output.result(json.dumps(data.of(line), ensure_ascii=False) if json_lines else text(line))
