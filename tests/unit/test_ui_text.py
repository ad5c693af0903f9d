"""Results as people read them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from cli_support import REPLICA, Calls, recording_workflows, run

from msrctl.images import BuildResult, ImageEntry, LoadResult, SaveResult
from msrctl.model import results as r
from msrctl.plan.step import Change, Plan, Step
from msrctl.secret import Secret
from msrctl.ui import text, words

PLAN = Plan("install replica 5f0c2a9be417 on node-1", (Step("create", "network", "dtr-ol", "overlay"),))
INSTALLED = r.InstallResult(
    PLAN,
    replica_id=REPLICA,
    url="https://registry.example.com:8443",
    admin="admin",
    password=Secret("Abc-def-123"),
)
CLOSING = [
    f"Replica ID is set to: {REPLICA}",
    f"You can use flag '--existing-replica-id {REPLICA}' when joining other replicas.",
]
STATUS = r.StatusResult(
    installed=True,
    cluster_id="c0ffee",
    generation=4,
    version="0.1.0",
    url="https://registry.example.com",
    storage="volume dtr-registry-5f0c2a9be417",
    replicas=(
        r.ReplicaStatus(
            REPLICA,
            "node-1",
            "0.1.0",
            "https://node-1",
            (
                r.ComponentHealth("nginx", True, "answers", "running"),
                r.ComponentHealth("registry", False, "no answer", "failed: exit 1"),
            ),
            (Change("dtr-nginx image", "sha256:1", None),),
        ),
    ),
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return recording_workflows(monkeypatch)


def test_install_ends_with_the_originals_lines_the_password_and_what_is_next() -> None:
    assert text.of(INSTALLED).splitlines() == [
        *CLOSING,
        "Admin user: admin   password: Abc-def-123 (shown once)",
        "Next: docker login registry.example.com:8443   |   msrctl status   |   msrctl storage usage",
    ]


def test_a_password_that_was_given_is_not_repeated() -> None:
    assert "password: as you gave it" in text.of(replace(INSTALLED, password=None))


def test_without_a_terminal_the_closing_lines_are_in_the_log_as_well_and_the_password_is_not(
    calls: Calls,
) -> None:
    calls.answers["install"] = INSTALLED
    result = run("install")
    assert result.stdout.splitlines()[:2] == CLOSING
    messages = re.findall(r'level=info msg="(.*)"', result.stderr)
    assert messages[-2:] == CLOSING
    assert "Abc-def-123" in result.stdout
    assert "Abc-def-123" not in result.stderr


def test_a_dry_run_shows_the_plan_once_and_on_stdout(calls: Calls) -> None:
    calls.answers["install"] = r.InstallResult(PLAN, dry_run=True)
    calls.act = lambda reporter: reporter.plan(PLAN)
    result = run("install", "--dry-run")
    assert result.stdout.splitlines() == [
        "Plan: install replica 5f0c2a9be417 on node-1",
        f"{'  + network dtr-ol':<50} overlay",
        "Nothing was changed (--dry-run).",
    ]
    assert "dtr-ol" not in result.stderr
    assert "Replica ID is set to" not in result.output


def test_an_undone_install_says_so() -> None:
    done = r.InstallResult(Plan("nothing is left of the interrupted install"), dry_run=True)
    assert text.of(done) == "Nothing is left of the interrupted install."


@pytest.mark.parametrize(
    ("result", "first"),
    [
        (r.ReconfigureResult(Plan("p")), "Nothing to do: everything is as it is wanted."),
        (r.ReconfigureResult(PLAN, changed=True), "Reconfigured."),
        (r.ReconfigureResult(PLAN, outcome="undone"), "The interrupted reconfigure was taken back"),
        (r.ReconfigureResult(PLAN, outcome="resumed"), "The interrupted reconfigure was finished."),
        (r.ReconfigureResult(Plan("p"), dry_run=True), "Plan: p\n  nothing to do"),
        (r.DestroyResult(PLAN, removed=("x",)), "Replica removed."),
        (r.DestroyResult(PLAN), "There was nothing to remove."),
        (r.LockResult(held=False), "The lock is free."),
        (
            r.LockResult(held=False, holder="ops@node-2", released=True),
            "The lock of ops@node-2 was released.",
        ),
        (r.UsageResult(()), "There are no replicas."),
        (r.StatusResult(installed=False), "msrctl is not installed on this swarm."),
        (SaveResult("a:1", "sha256:1", "/tmp/a.tar", 2048), "a:1 saved to /tmp/a.tar (2.0 KiB)"),
        (BuildResult("a:1", "sha256:1", 1 << 20, False, None, "h"), "a:1   1.0 MiB   already there"),
        (LoadResult((ImageEntry("a:1", "sha256:1", 1 << 30),)), "a:1 loaded (1.0 GiB)"),
    ],
)
def test_a_result_begins_with_what_became_of_it(result: object, first: str) -> None:
    assert text.of(result).startswith(first)


def test_destroy_names_the_volumes_it_kept_and_how_to_delete_them() -> None:
    shown = text.of(r.DestroyResult(PLAN, removed=("service dtr-nginx",), kept_volumes=("dtr-registry-a",)))
    assert "  - service dtr-nginx" in shown
    assert "docker volume rm dtr-registry-a" in shown


def test_status_shows_health_drift_lock_and_interruption() -> None:
    shown = text.of(
        replace(STATUS, lock='ops@node-2 ("msrctl upgrade")', interrupted="An install was interrupted.")
    )
    lines = shown.splitlines()
    assert "Cluster   c0ffee, version 0.1.0, generation 4" in lines
    assert "Storage   volume dtr-registry-5f0c2a9be417" in lines
    assert 'Lock      held by ops@node-2 ("msrctl upgrade")' in lines
    assert "! An install was interrupted." in lines
    assert "  ✓   nginx      answers     running" in lines
    assert "  ✗   registry   no answer   failed: exit 1" in lines
    drift = lines.index("  drift")
    assert lines[drift + 1].split() == ["NAME", "WANTED", "FOUND"]
    assert lines[drift + 2].split("   ")[-1] == "(absent)"
    assert lines[-1] == "Not healthy."


def test_a_stream_that_cannot_show_marks_gets_words() -> None:
    shown = text.of(STATUS, marks=("ok", "FAILED"))
    shown.encode("ascii")
    assert "FAILED   registry" in shown


def test_text_from_the_engine_cannot_drive_the_terminal() -> None:
    evil = replace(STATUS, url="https://\x1b[2J", drift=(Change("a\x07", "b\x1b", ["c\x9b"]),))
    shown = text.of(evil)
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_usage_is_in_binary_units() -> None:
    usage = r.UsageResult(
        (r.ReplicaUsage(REPLICA, "n", "volume v", 9881, 1536 << 20, 87, 1204, 2 << 40, None),)
    )
    head, row = text.of(usage).splitlines()
    assert head.split("   ")[0] == "REPLICA"
    for part in ("9,881", "1.5 GiB", "2.0 TiB", "1,204", "unlimited"):
        assert part in row


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (1048575, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 70, "1,024.0 EiB"),
    ],
)
def test_sizes_have_their_unit(count: int, shown: str) -> None:
    assert words.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.99, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_times_are_short(seconds: float, shown: str) -> None:
    assert words.elapsed(seconds) == shown
