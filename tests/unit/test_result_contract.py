"""The JSON of every result: scripts rely on these keys."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from cli_support import REPLICA, recording_workflows, run

from msrctl.images import BuildResult, ImageEntry, ListResult, LoadResult, SaveResult
from msrctl.model import results as r
from msrctl.plan.step import Change, Plan, Step
from msrctl.secret import Secret
from msrctl.ui import data

CHANGES = (Change("n", 1, None),)
PLAN = Plan("a plan", (Step("update", "service", "s", "detail", "cause", {"x": 1}, CHANGES),))
STEP = {
    "title": "update service s",
    "action": "update",
    "kind": "service",
    "name": "s",
    "detail": "detail",
    "cause": "cause",
    "changes": [{"name": "n", "wanted": 1, "found": None}],
}
REPLICA_STATUS = r.ReplicaStatus(REPLICA, "node-1", "1", "u", (r.ComponentHealth("nginx", True, "ok"),))
VIEW = r.StoreView("s3", "s3://images", {"bucket": "images"})
BACKUP = r.BackupContent(1, "1", "t", "c", 1, "u", (), "s", 1, 2, 3, 4, 5, 6, 7, False, ())
PULLED = r.DrillPull("a:1", "sha256:1", 2, 3, 0.1)
ENTRY = ImageEntry("msrctl/msr:1", "sha256:1", 5)

CONTRACT: list[tuple[Any, set[str]]] = [
    (
        r.InstallResult(PLAN),
        {"plan", "dry_run", "replica_id", "cluster_id", "node", "url", "admin", "password", "ca", "warnings"},
    ),
    (
        r.ReconfigureResult(PLAN),
        {"plan", "dry_run", "changed", "replicas", "skipped", "url", "outcome", "kept_storage", "warnings"},
    ),
    (r.JoinResult(PLAN), {"plan", "dry_run", "replica_id", "node", "url", "replicas", "warnings"}),
    (r.RemoveResult(PLAN), {"plan", "dry_run", "removed", "replicas", "kept_volumes", "warnings"}),
    (
        r.EmergencyRepairResult(PLAN),
        {"plan", "dry_run", "forced", "removed", "replicas", "nodes", "volumes", "warnings"},
    ),
    (
        r.UpgradeResult(PLAN),
        {"plan", "dry_run", "changed", "version", "before", "replicas", "skipped", "warnings"},
    ),
    (r.DestroyResult(PLAN), {"plan", "dry_run", "removed", "kept_volumes", "warnings"}),
    (
        r.StatusResult(installed=True),
        {
            "installed", "healthy", "cluster_id", "generation", "version", "url", "storage",
            "previous_storage", "read_only", "replicas", "drift", "lock", "interrupted", "leftovers",
            "lock_age", "certificate_expires",
        },
    ),
    (r.ShowStorageResult(VIEW), {"storage", "previous", "read_only"}),
    (VIEW, {"kind", "store", "parameters", "secrets", "root_ca", "redirect", "store_id"}),
    (r.FinalizeResult(PLAN), {"plan", "dry_run", "changed", "forgotten", "warnings"}),
    (r.SettingsResult(PLAN), {"plan", "dry_run", "changed", "read_only"}),
    (REPLICA_STATUS, {"replica_id", "node", "version", "url", "components", "drift", "behind", "healthy"}),
    (REPLICA_STATUS.components[0], {"component", "healthy", "detail", "task_state"}),
    (r.UsageResult(()), {"replicas"}),
    (
        r.ReplicaUsage(REPLICA, "n", "s", 1, 2, 3, 4, 5, None),
        {
            "replica_id", "node", "store", "blobs", "blob_bytes", "repositories", "tags", "total_bytes",
            "free_bytes",
        },
    ),
    (
        r.ValidateResult("s3", "s3://images", "2.8", {"bucket": "images"}),
        {"kind", "store", "registry_version", "parameters", "secrets", "root_ca", "redirect", "warnings"},
    ),
    (r.SampleResult("s3", "2.8", "storage:"), {"driver", "registry_version", "text"}),
    (
        r.LockResult(held=True),
        {"held", "holder", "command", "since", "last_heartbeat", "stale", "released"},
    ),
    (r.LogsResult(()), {"lines", "warnings"}),
    (
        r.LogLine("t", REPLICA, "nginx", "n", "stdout", "x"),
        {"time", "replica_id", "component", "node", "stream", "text"},
    ),
    (r.BundlePart("status.json", complete=True), {"name", "complete", "note"}),
    (r.SupportBundleResult("p", 1, ()), {"path", "size", "parts", "warnings"}),
    (
        r.BackupResult(BACKUP, "f", 1, encrypted=True, seconds=1.5),
        {"content", "file", "bytes", "encrypted", "seconds", "warnings"},
    ),
    (r.BackupVerifyResult("f", True, BACKUP), {"file", "encrypted", "content", "warnings"}),
    (
        r.BackupShowResult("f", True, BACKUP, {}, ("admin",), ("tls.key",), {"a": 1}),
        {"file", "encrypted", "content", "settings", "accounts", "secrets", "tags", "warnings"},
    ),
    (
        r.BackupDrillResult("f", True, BACKUP, "n", "the backup", 1, {}, (PULLED,), {"total": 1.0}),
        {
            "file", "encrypted", "content", "node", "layers_from", "restored", "missing", "pulled", "seconds",
            "left", "passed", "warnings",
        },
    ),
    (PULLED, {"tag", "digest", "blobs", "bytes", "seconds", "error"}),
    (
        r.RestoreResult(PLAN, BACKUP),
        {
            "plan", "content", "dry_run", "replica_id", "cluster_id", "node", "url", "storage", "restored",
            "missing", "moved", "dropped", "written", "layers", "warnings",
        },
    ),
    (
        BACKUP,
        {
            "format", "version", "created", "cluster_id", "generation", "url", "replicas", "storage",
            "repositories", "tags", "manifests", "blobs", "blob_bytes", "layers", "layer_bytes", "offline",
            "broken",
        },
    ),
    (
        BuildResult("r", "i", 1, True, "made", "h"),
        {"reference", "image_id", "size", "built", "base", "build_hash"},
    ),
    (ListResult((ENTRY,)), {"images"}),
    (LoadResult((ENTRY,)), {"images"}),
    (SaveResult("r", "i", None, 1), {"reference", "image_id", "path", "written"}),
    (ENTRY, {"reference", "image_id", "size"}),
]  # fmt: skip


@pytest.mark.parametrize(("result", "keys"), CONTRACT, ids=lambda value: type(value).__name__)
def test_the_keys_of_a_result_are_these(result: Any, keys: set[str]) -> None:
    assert set(data.of(result)) == keys
    json.dumps(data.of(result))


def test_every_result_of_the_model_has_a_contract() -> None:
    known = {type(result) for result, _ in CONTRACT}
    model = {
        kind
        for kind in vars(r).values()
        if is_dataclass(kind) and getattr(kind, "__module__", "") == r.__name__
    }
    assert model - known == set()
    assert all(kind.__dataclass_params__.frozen for kind in model)  # type: ignore[union-attr]


def test_a_plan_is_the_list_of_its_steps_without_their_bodies() -> None:
    assert data.of(r.DestroyResult(PLAN))["plan"] == [STEP]


def test_drift_is_name_wanted_and_found() -> None:
    status = r.StatusResult(installed=True, drift=(Change("n", ["a"], None),))
    assert data.of(status)["drift"] == [{"name": "n", "wanted": ["a"], "found": None}]


def test_the_generated_password_is_the_only_secret_that_is_shown() -> None:
    found = data.of(r.InstallResult(PLAN, password=Secret("hunter2hunter2")))
    assert found["password"] == "hunter2hunter2"
    assert data.of({"password": Secret("hunter2"), "list": [Secret("hunter2")]}) == {
        "password": "****",
        "list": ["****"],
    }
    assert data.of(r.InstallResult(PLAN))["password"] is None


def test_the_document_has_these_keys_also_when_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    recording_workflows(monkeypatch)
    document = json.loads(run("lock", "status", "--output", "json").stdout)
    assert document == {
        "command": "lock status",
        "ok": True,
        "exit_code": 0,
        "data": data.of(r.LockResult(held=False)),
        "error": None,
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("install", r.InstallResult(PLAN, replica_id=REPLICA)),
        ("install --dry-run", r.InstallResult(PLAN, dry_run=True)),
        ("reconfigure", r.ReconfigureResult(PLAN, changed=True)),
        ("destroy", r.DestroyResult(PLAN, removed=("x",))),
        ("status", r.StatusResult(installed=True, replicas=(REPLICA_STATUS,))),
        ("storage usage", r.UsageResult((r.ReplicaUsage(REPLICA, "n", "s", 1, 2, 3, 4, 5, 6),))),
    ],
)
def test_stdout_is_exactly_one_document(command: str, result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recording_workflows(monkeypatch)
    calls.act = lambda reporter: reporter and (reporter.info("i"), reporter.warn("w"), reporter.plan(PLAN))
    calls.answers[command.split()[-1 if command == "storage usage" else 0]] = result
    done = run("--output", "json", *command.split())
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["command"] == command.removesuffix(" --dry-run")
    assert document["warnings"] == ["w"]
    assert set(document["data"]) == {field.name for field in fields(result)} | (
        {"healthy"} if command == "status" else set()
    )
