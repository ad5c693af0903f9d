"""Runs msrctl on a lab's engine as a user would, or through the runner that breaks and kills it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labs.deployment import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labs.host import Host

RUNNER = Path(__file__).with_name("runner.py")
WITH_PASSWORD = {"MSRCTL_ADMIN_PASSWORD": PASSWORD}
KILLED = -9


def data(host: Host, *args: str, check: int = 0, **more: Any) -> Any:
    """Runs msrctl with ``--output json`` and returns the `data` of its document."""
    return document(host, *args, check=check, **more)["data"]


def document(host: Host, *args: str, check: int | None = None, **more: Any) -> dict[str, Any]:
    """Runs msrctl with ``--output json`` and returns the document on its stdout."""
    done = host.msrctl("--output", "json", *args, check=check, **more)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(host: Host, exit_code: int, code: str, *args: str, state: bool = True, **more: Any) -> str:
    """Runs msrctl, which must end with this exit code and error code; returns all that it told.

    It must say what to do, and (unless `state` is False) what state things are in.
    """
    found = document(host, *args, check=exit_code, **more)
    error = found["error"]
    assert error["code"] == code, error
    assert error["state"] or not state, error
    assert error["hint"], error
    lines = (error["message"], *error["details"], error["state"] or "", error["hint"])
    return "\n".join(lines)


def command(plan: Mapping[str, Any]) -> list[str]:
    """The command line that runs msrctl through the runner; its arguments follow."""
    return [sys.executable, str(RUNNER), json.dumps(dict(plan))]


def trapped(
    host: Host,
    plan: Mapping[str, Any],
    *args: str,
    env: Mapping[str, str] | None = None,
    timeout: float = 180,
) -> subprocess.CompletedProcess[str]:
    """Runs msrctl through the runner (see there for the plan)."""
    return subprocess.run(
        [*command(plan), *args],
        env=host.environment(env if env is not None else {}),
        text=True,
        capture_output=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
