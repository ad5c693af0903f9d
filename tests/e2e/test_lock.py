"""One msrctl at a time changes something; the others are told who, and a dead holder is no obstacle."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from support import look, run

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.engines import Lab
    from labs.host import Host


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    return install(lab[1])


@pytest.fixture
def busy(deployed: Deployment) -> Iterator[subprocess.Popen[str]]:
    """A reconfigure that holds the lock and goes no further: it is stopped (SIGSTOP) at its first step."""
    host = deployed.host
    plan = {"at": "create configs msrctl-journal", "then": signal.SIGSTOP}
    process = subprocess.Popen(
        [*run.command(plan), "reconfigure", "--no-proxy", f"host{uuid4().hex}"],
        env=host.environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    eventually(lambda: "msrctl-lock" in look.names(host, "configs"), 20)
    eventually(lambda: _stopped(process.pid), 20)
    yield process
    process.kill()
    process.wait(20)
    host.msrctl("lock", "release", check=0)
    if host.msrctl("status").returncode:
        host.msrctl("reconfigure", "--undo")


def _stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - one line
        return file.read().rpartition(")")[2].split()[0] == "T"


def test_two_at_once_is_exit_4_with_the_holder(deployed: Deployment, busy: subprocess.Popen[str]) -> None:
    host = deployed.host
    before = look.objects(host)
    for arguments in (("reconfigure", "--log-level", "debug"), ("destroy", "--yes")):
        told = run.refused(host, 4, "LOCKED", *arguments)
        assert "root@" in told
        assert "reconfigure --no-proxy=host" in told
        assert "--lock-wait" in told
    assert look.objects(host) == before


def test_looking_needs_no_lock_and_shows_the_holder(
    deployed: Deployment, busy: subprocess.Popen[str]
) -> None:
    host = deployed.host
    data = run.data(host, "status")
    assert "reconfigure --no-proxy=host" in data["lock"]
    held = run.data(host, "lock", "status")
    assert held["held"]
    assert held["holder"].startswith("root@")
    assert "reconfigure" in held["command"]
    assert not held["stale"]


def test_a_lock_whose_holder_lives_is_released_by_force_only(
    deployed: Deployment, busy: subprocess.Popen[str]
) -> None:
    host = deployed.host
    run.refused(host, 4, "LOCKED", "lock", "release")
    assert run.data(host, "lock", "release", "--force")["released"]
    assert not run.data(host, "lock", "status")["held"]
    # The one that lost it stops by itself, before its first step, and undoes nothing of others.
    busy.send_signal(signal.SIGCONT)
    _, stderr = busy.communicate(timeout=60)
    assert busy.returncode == 4, stderr
    assert "LOCK-LOST" in stderr
    assert run.data(host, "status")["healthy"]


def test_a_waiting_run_goes_on_when_the_lock_is_free(
    deployed: Deployment, busy: subprocess.Popen[str]
) -> None:
    host = deployed.host
    waiting = host.start_msrctl("--output", "json", "reconfigure", "--lock-wait", "60s")
    busy.kill()
    busy.wait(20)
    stdout, stderr = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, stderr
    assert json.loads(stdout)["data"]["outcome"] == "nothing to do"


def test_the_lock_of_a_dead_holder_is_taken_over(deployed: Deployment, busy: subprocess.Popen[str]) -> None:
    host = deployed.host
    busy.kill()
    busy.wait(20)
    assert run.data(host, "lock", "status")["stale"]
    assert run.data(host, "status")["lock"] is None
    done = host.msrctl("--output", "json", "reconfigure", check=0)
    assert "was left behind by root@" in done.stderr
    assert not run.data(host, "lock", "status")["held"]


def test_a_lock_is_given_back_when_a_run_is_refused(deployed: Deployment) -> None:
    host: Host = deployed.host
    run.refused(host, 6, "NO-REPLICA", "reconfigure", "--existing-replica-id", "ffffffffffff")
    assert not run.data(host, "lock", "status")["held"]


def test_of_twelve_at_once_one_works_at_a_time_and_none_undoes_another(deployed: Deployment) -> None:
    host = deployed.host
    before = look.document(host)
    wait = ("--lock-wait", "120s")
    commands = [
        *(("reconfigure", "--log-level", level) for level in ("debug", "warn", "error", "debug", "warn")),
        *(("settings", "--read-only", value, *wait) for value in ("on", "off", "on", "off", "on")),
        ("reconfigure", *wait),
        ("settings", "--read-only", "off"),
    ]
    started = [host.start_msrctl("--output", "json", *command) for command in commands]
    ended = [process.communicate(timeout=240) for process in started]
    told = [json.loads(stdout) for stdout, _ in ended]
    for command, process, found in zip(commands, started, told, strict=True):
        if process.returncode:
            assert "--lock-wait" not in command, found
            assert (process.returncode, found["error"]["code"]) == (4, "LOCKED"), found
    changes = [found for found in told if found["exit_code"] == 0 and found["data"]["changed"]]
    after = look.document(host)
    # Two that had begun from the same document would have counted once.
    assert after["generation"] == before["generation"] + len(changes)
    levels = {
        c[2] for c, found in zip(commands, told, strict=True) if c[1] == "--log-level" and found in changes
    }
    assert after["settings"]["log_level"] in (levels or {before["settings"]["log_level"]})
    assert run.data(host, "status")["healthy"]
    assert not run.data(host, "lock", "status")["held"]
    assert look.tidy(host)
    host.msrctl("settings", "--read-only", "off", check=0)
