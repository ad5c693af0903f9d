"""status --watch tells of every change of a real deployment, and ends with Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.host import msrctl_command
from labs.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from labs.engines import Lab

# Started in the background of a shell, this run ignores SIGINT, and so would what it starts.
INTERRUPTIBLE = ("env", "--default-signal=INT")


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    return install(lab[1])


def test_without_a_terminal_every_change_is_a_document(deployed: Deployment, tmp_path: Path) -> None:
    host, out = deployed.host, tmp_path / "out"
    registry = f"dtr-registry-{deployed.replica_id}"

    def documents() -> list[dict[str, Any]]:
        return [json.loads(line) for line in out.read_text().splitlines()]

    with out.open("w") as stream:
        process = subprocess.Popen(
            [*INTERRUPTIBLE, *msrctl_command("--output", "json", "status", "--watch", "--interval", "1")],
            env=host.environment(),
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: [d["ok"] for d in documents()] == [True], 30)
        host.cli("service", "scale", "--detach", f"{registry}=0")
        eventually(lambda: not documents()[-1]["ok"], 60)
        host.msrctl("reconfigure", check=0)
        eventually(lambda: documents()[-1]["ok"], 60)
        count = len(documents())
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=30)[1]
    assert process.returncode == 0, told
    assert documents()[0]["data"]["replicas"][0]["healthy"]
    assert len(documents()) == count


def test_on_a_terminal_the_picture_is_redrawn_until_ctrl_c(deployed: Deployment) -> None:
    pid, terminal = pty.fork()
    if not pid:  # the child
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execvpe(
            (command := msrctl_command("status", "--watch", "--interval", "1"))[0],
            command,
            {**deployed.host.environment(), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        )
    shown = b""

    def read() -> bytes:
        nonlocal shown
        if select.select([terminal], [], [], 0)[0]:
            with contextlib.suppress(OSError):  # the other end is closed
                shown += os.read(terminal, 65536)
        return shown

    eventually(lambda: read().count(b"Ctrl-C ends") >= 3, 60, what="it is drawn three times")
    assert deployed.replica_id.encode() in shown
    os.write(terminal, b"\x03")
    ended: list[int] = []

    def over() -> bool:
        read()
        done, status = os.waitpid(pid, os.WNOHANG)
        ended.extend([status] if done else [])
        return bool(ended)

    eventually(over, 30)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(ended[0]) == 0, shown.decode()
    assert b"Traceback" not in shown
