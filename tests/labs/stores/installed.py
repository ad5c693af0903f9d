"""Programs from Python's and Node's package managers, kept in the cache directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from labs.cache import hash_of_text, making

if TYPE_CHECKING:
    from pathlib import Path

INSTALL_TIMEOUT = 600


def python_environment(name: str, *requirements: str) -> Path:
    """A virtual environment of this interpreter with some packages; returns its directory.

    Arguments:
        name: what it is for.
        requirements: as pip takes them.

    Raises:
        RuntimeError: pip failed; the text has the end of what it wrote.
    """
    key = hash_of_text(f"{sys.version} {requirements}")
    with making(f"python-{name}") as cache:
        directory = cache / f"python-{name}-{key}"
        stamp = directory / "complete"  # its scripts name their directory, so it cannot be renamed
        if not stamp.exists():
            shutil.rmtree(directory, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(directory))
            _run(str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements)
            stamp.touch()
        return directory


def node_packages(name: str, *packages: str) -> Path:
    """A directory with Node packages; returns that of their programs.

    Arguments:
        name: what it is for.
        packages: as npm takes them.

    Raises:
        RuntimeError: npm failed or is not there.
    """
    key = hash_of_text(" ".join(packages))
    with making(f"node-{name}") as cache:
        directory = cache / f"node-{name}-{key}"
        if not directory.exists():
            partial = directory.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            quiet = ("--no-audit", "--no-fund", "--loglevel=error")
            _run("npm", "install", "--prefix", str(partial), *quiet, *packages)
            partial.rename(directory)
        return directory / "node_modules" / ".bin"


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}"
        )
