"""What is kept when a test fails: the engines' logs, and the logs and states of everything that they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from labs.cache import PROJECT
from labs.engines import Lab

if TYPE_CHECKING:
    from labs.host import Host

SURVEY = (
    ("containers", ("ps", "--all", "--no-trunc")),
    ("services", ("service", "ls")),
    ("nodes", ("node", "ls")),
    ("configs", ("config", "ls")),
    ("networks", ("network", "ls")),
    ("volumes", ("volume", "ls")),
)


def logs_directory() -> Path:
    """``$MSRCTL_TEST_LOGS``, default ``tests/.logs`` of the checkout."""
    named = os.environ.get("MSRCTL_TEST_LOGS")
    return Path(named) if named else PROJECT / "tests" / ".logs"


def keep_evidence(test: str) -> Path | None:
    """Writes what there is to know about all standing labs, in a directory named after a test.

    Arguments:
        test: the test's node id.

    Returns:
        The directory; None when no lab stands.
    """
    if not Lab.standing:
        return None
    top = logs_directory()
    top.mkdir(parents=True, exist_ok=True)
    (top / ".gitignore").write_text("*\n")
    directory = top / re.sub(r"[^A-Za-z0-9_.-]+", "-", test)[-120:]
    shutil.rmtree(directory, ignore_errors=True)
    for lab in Lab.standing:
        for host in lab.hosts:
            _keep_host(host, directory / f"{lab.slot.tag}-{host.name}")
    return directory


def _keep_host(host: Host, directory: Path) -> None:
    directory.mkdir(parents=True)
    for log in (host.dockerd_log, host.directory / "init.log"):
        if log.exists():
            shutil.copy(log, directory)
    if not host.running or not _ask(host, "version"):
        (directory / "no-answer").touch()
        return
    for name, command in SURVEY:
        (directory / f"{name}.txt").write_text(_ask(host, *command))
    for service in _names(host, "service", "ls", "--format", "{{.Name}}"):
        state = _ask(host, "service", "ps", "--no-trunc", service)
        (directory / f"service-{service}.txt").write_text(state)
    for name in _names(host, "ps", "--all", "--format", "{{.Names}}"):
        (directory / f"container-{name}.log").write_text(_ask(host, "logs", "--timestamps", name))


def _names(host: Host, *command: str) -> list[str]:
    done = host.cli(*command, check=False, timeout=10)
    return done.stdout.split() if done.returncode == 0 else []


def _ask(host: Host, *command: str) -> str:
    """What `docker` answers, errors too; empty when it does not within 10 s, as on a frozen host."""
    try:
        done = host.cli(*command, check=False, timeout=10)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout + done.stderr
