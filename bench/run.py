"""Measures what msrctl promises about its speed, and prints each figure beside what one would use instead.

    nox -s bench                    everything (root, Docker Engine; rsync and rclone; about half an hour)
    nox -s bench -- start listing   only some: start listing

The exit status is 1 if a figure misses its target. Figures of a busy machine are no news: look at the spread.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

# As pytest finds the lab (tests/conftest.py lies beside it).
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from measure import Figure, table

PARTS = ("start", "listing", "backup", "install", "pull", "freeze", "rolling")
ENGINE_PARTS = {"install", "pull", "freeze", "rolling"}


def main() -> int:
    """Measures the parts named on the command line, default all; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)}")
    parts = parser.parse_args().parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if ENGINE_PARTS & set(parts):
        from labs.engines import missing_for_engines

        if reason := missing_for_engines():
            parser.error(f"no engine can be started here: {reason}")
    figures: list[Figure] = []
    for part in parts:
        for figure in importlib.import_module(part).measure():
            print(f"measured: {figure.name}: {figure.ratio:.2f}", file=sys.stderr, flush=True)
            figures.append(figure)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(table(figures))
    print(f"\n{os.cpu_count()} processors; load over 1, 5 and 15 minutes at the end: {load}")
    return int(not all(figure.good for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
