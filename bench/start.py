"""How long msrctl takes to say what it can do, against the library alone that reads its arguments."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Figure, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 15


def measure() -> Iterator[Figure]:
    """`msrctl --help` and `msrctl install --help` against `python -c "import click"`."""
    program = str(Path(sys.executable).with_name("msrctl"))
    click = (sys.executable, "-c", "import click")
    for args in (("--help",), ("install", "--help")):
        command = (program, *args)
        _seconds(*command), _seconds(*click)  # compiles what is new, and reads it all into memory
        ours, theirs = pairs(PAIRS, lambda command=command: _seconds(*command), lambda: _seconds(*click))
        yield Figure(
            f"start: msrctl {' '.join(args)}",
            ours,
            theirs,
            "s",
            (f"msrctl {' '.join(args)}", 'python -c "import click"'),
            most=3,
        )


def _seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun
