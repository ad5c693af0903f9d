"""Every exception ends as a message that says what to do, and as one of the documented exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import click
import pytest
from cli_support import Calls, recording_workflows, run

from msrctl import errors
from msrctl.errors import EXIT_CODES, MsrctlError, PreflightFailed
from msrctl.model.results import StatusResult


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return recording_workflows(monkeypatch)


FAULT = PreflightFailed(
    "preflight failed",
    code="PRE-NFS-EXPORT",
    state="Nothing was switched.",
    hint="Export /images.\nThen run this again.",
    details=("node-3 may not mount it",),
)


def test_an_error_says_what_failed_what_is_now_and_what_to_do(calls: Calls) -> None:
    calls.answers["reconfigure"] = FAULT
    result = run("reconfigure")
    assert result.exit_code == 3
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[:5] == [
        "Error: preflight failed (PRE-NFS-EXPORT)",
        "    node-3 may not mount it",
        "  Nothing was switched.",
        "  Export /images.",
        "  Then run this again.",
    ]


def test_without_a_terminal_the_last_line_is_fatal_for_automation_of_the_original(calls: Calls) -> None:
    calls.answers["reconfigure"] = FAULT
    last = run("reconfigure").stderr.splitlines()[-1]
    assert re.fullmatch(r'time="\S+" level=fatal msg="preflight failed \(PRE-NFS-EXPORT\)"', last)


def test_with_json_an_error_is_the_one_document_on_stdout(calls: Calls) -> None:
    calls.answers["reconfigure"] = FAULT
    result = run("reconfigure", "--output", "json")
    assert result.exit_code == 3
    assert json.loads(result.stdout) == {
        "command": "reconfigure",
        "ok": False,
        "exit_code": 3,
        "data": None,
        "error": {
            "code": "PRE-NFS-EXPORT",
            "message": "preflight failed",
            "state": "Nothing was switched.",
            "hint": "Export /images.\nThen run this again.",
            "details": ["node-3 may not mount it"],
        },
        "warnings": [],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("--output", "json", "install", "--replica-id", "x"),
        ("install", "--replica-id", "x", "--output=json"),
        ("install", "--nothing-like-that", "--output", "json"),
        ("--output", "json", "nonsense"),
        ("--output", "json"),
    ],
)
def test_with_json_a_usage_error_is_a_document_too(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert (document["ok"], document["exit_code"], document["error"]["code"]) == (False, 2, "USAGE")


@pytest.mark.parametrize(
    "kind", [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, MsrctlError)]
)
def test_every_kind_of_error_ends_in_its_documented_exit_code(kind: type[MsrctlError], calls: Calls) -> None:
    calls.answers["install"] = kind("something")
    result = run("install")
    assert result.exit_code == kind.exit_code
    assert result.exit_code in EXIT_CODES
    assert f"Error: something ({kind.default_code})" in result.stderr


def test_an_unexpected_exception_is_an_internal_error_without_a_traceback_and_without_its_text(
    calls: Calls,
) -> None:
    calls.answers["install"] = RuntimeError("hunter2")
    result = run("install")
    assert result.exit_code == 1
    assert "internal error: RuntimeError in cli_support.py:" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.output
    assert "hunter2" not in result.output


@pytest.mark.parametrize("arguments", [("--debug", "install"), ("install", "--debug")])
def test_debug_shows_the_traceback(arguments: tuple[str, ...], calls: Calls) -> None:
    calls.answers["install"] = RuntimeError("something")
    result = run(*arguments)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_ends_in_130(interruption: BaseException, calls: Calls) -> None:
    calls.answers["install"] = interruption
    result = run("install", "--output", "json")
    assert result.exit_code == 130
    assert json.loads(result.stdout)["error"]["code"] == "INTERRUPTED"
    assert "Traceback" not in result.stderr


def test_warnings_before_an_error_are_in_its_document(calls: Calls) -> None:
    calls.answers["install"] = MsrctlError("something")
    calls.act = lambda reporter: reporter.warn("a certificate ends soon")
    document = json.loads(run("install", "--skip-network-test", "--output", "json").stdout)
    assert [w.partition(" ")[0] for w in document["warnings"]] == ["--skip-network-test", "a"]


def test_text_of_foreign_origin_cannot_drive_the_terminal(calls: Calls) -> None:
    calls.answers["install"] = MsrctlError("node \x1b[2Jnode")
    assert "\x1b" not in run("install").output


@pytest.mark.parametrize(("installed", "code"), [(True, 10), (False, 6)])
def test_status_answers_with_its_exit_code(installed: bool, code: int, calls: Calls) -> None:
    calls.answers["status"] = StatusResult(installed=installed, interrupted="an install was interrupted")
    result = run("status", "--output", "json")
    assert result.exit_code == code
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["data"]["interrupted"] == "an install was interrupted"
    assert document["error"]["code"] == ("UNHEALTHY" if installed else "NOT-INSTALLED")


def test_options_after_the_command_win_over_those_before_it_and_over_variables(calls: Calls) -> None:
    env = {"MSRCTL_OUTPUT": "json"}
    assert run("status", env=env).stdout.startswith("{")
    assert not run("status", "--output", "text", env=env).stdout.startswith("{")
    assert not run("--output", "text", "status", env=env).stdout.startswith("{")
    assert run("--output", "text", "status", "--output", "json").stdout.startswith("{")


def test_a_foreign_value_of_debug_is_no_usage_error(calls: Calls) -> None:
    assert run("status", env={"DEBUG": "express:*"}).exit_code == 0
    assert run("status", env={"DEBUG": "false"}).exit_code == 0


def test_a_reader_that_goes_away_causes_no_noise() -> None:
    script = f"{sys.executable} -m msrctl install --help-extended | head -c 1 >/dev/null"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def on_a_terminal(arguments: list[str], answers: list[tuple[str, bytes]]) -> tuple[int, str]:
    """Runs msrctl with a terminal for stdin, stdout and stderr.

    Arguments:
        answers: what to type once something is shown, in order.

    Returns:
        the exit code, and what the terminal showed.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        # Started in the background of a shell, this run ignores SIGINT, and so would the program.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(sys.executable, [sys.executable, "-m", "msrctl", *arguments], dict(os.environ))
    shown, left, deadline = "", list(answers), time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    piece = os.read(terminal, 4096)
                except OSError:  # the other end is closed
                    break
                shown += piece.decode()
            while left and left[0][0] in shown:
                time.sleep(0.2)  # the program sets the terminal's mode after it has written the prompt
                os.write(terminal, left.pop(0)[1])
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_on_a_terminal_a_missing_account_is_asked_for_and_the_password_is_not_shown() -> None:
    code, shown = on_a_terminal(
        ["status", "--ucp-url", "127.0.0.1:1"],
        [("username (The UCP administrator username): ", b"admin\n"), ("ucp-password: ", b"orca4orca\n")],
    )
    assert "ucp-username (The UCP administrator username): admin" in shown
    assert "orca4orca" not in shown
    assert code == 5, shown
    assert "level=fatal" not in shown


def test_leaving_a_prompt_ends_in_130() -> None:
    code, shown = on_a_terminal(["status", "--ucp-url", "127.0.0.1:1"], [("ucp-username", b"\x03")])
    assert code == 130, shown
    assert "Error: interrupted (INTERRUPTED)" in click.unstyle(shown)
