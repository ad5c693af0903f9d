"""A status as gauges: what a scraper reads is what was found."""

from __future__ import annotations

import json
import re

import pytest
from cli_support import REPLICA, recording_workflows, run

from msrctl.model import results as r
from msrctl.plan.step import Change
from msrctl.ui import prometheus

LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\[n"\\])*)"')
ORDER = ("replica", "node", "version", "component")
GOOD = r.ComponentHealth("nginx", True, "answers", "running")
BAD = r.ComponentHealth("registry", False, "no answer", "failed: exit 1")


def replica(*components: r.ComponentHealth, node: str = "node-1", drift: int = 0) -> r.ReplicaStatus:
    changes = tuple(Change(f"thing {n}", "a", "b") for n in range(drift))
    return r.ReplicaStatus(REPLICA, node, "1.2", "https://node-1", components, changes)


def gauges(result: r.StatusResult) -> dict[tuple[str, ...], float]:
    """Name and values of labels of every sample, as a scraper reads them."""
    found, described = {}, set()
    for line in prometheus.text(result).split("\n"):
        if comment := re.fullmatch(r"# (HELP|TYPE) (msrctl_[a-z_]+) (.+)", line):
            described.add((comment[1], comment[2]))
            assert comment[1] == "HELP" or comment[3] == "gauge"
            continue
        sample = re.fullmatch(r"(msrctl_[a-z_]+)(?:\{(.*)\})? ([0-9.]+)", line)
        assert sample, line
        assert {("HELP", sample[1]), ("TYPE", sample[1])} <= described
        labels = dict(LABEL.findall(sample[2] or ""))
        values = (json.loads(f'"{labels[name]}"') for name in ORDER if name in labels)
        found[(sample[1], *values)] = float(sample[3])
    return found


def test_a_healthy_deployment_is_all_ones() -> None:
    result = r.StatusResult(
        installed=True,
        generation=7,
        replicas=(replica(GOOD),),
        certificate_expires="2026-01-01T00:00:00+00:00",
    )
    found = gauges(result)
    assert found["msrctl_healthy",] == 1
    assert found["msrctl_generation",] == 7
    assert found["msrctl_replica_healthy", REPLICA, "node-1"] == 1
    assert found["msrctl_component_healthy", REPLICA, "node-1", "nginx"] == 1
    assert found["msrctl_replica_info", REPLICA, "node-1", "1.2"] == 1
    assert found["msrctl_certificate_expiry_timestamp_seconds",] == 1767225600
    assert (found["msrctl_lock_held",], found["msrctl_lock_age_seconds",]) == (0, 0)


def test_what_is_wrong_is_told_by_component_and_replica() -> None:
    result = r.StatusResult(
        installed=True,
        replicas=(replica(GOOD, BAD, drift=3),),
        drift=(Change("config x", "present", None),),
        lock="root@here has been running",
        lock_age=90.5,
        interrupted="a reconfigure was interrupted",
    )
    found = gauges(result)
    assert found["msrctl_healthy",] == 0
    assert found["msrctl_component_healthy", REPLICA, "node-1", "registry"] == 0
    assert found["msrctl_component_running", REPLICA, "node-1", "registry"] == 0
    assert found["msrctl_drift", REPLICA, "node-1"] == 3
    assert found["msrctl_drift", "", ""] == 1
    assert found["msrctl_lock_age_seconds",] == 90.5
    assert found["msrctl_interrupted",] == 1


def test_labels_are_escaped() -> None:
    odd = 'a "name"\\ with\nall'
    assert ("msrctl_replica_healthy", REPLICA, odd) in gauges(
        r.StatusResult(installed=True, replicas=(replica(GOOD, node=odd),))
    )


def test_nothing_installed_is_a_number_too() -> None:
    found = gauges(r.StatusResult(installed=False))
    assert (found["msrctl_installed",], found["msrctl_healthy",]) == (0, 0)


@pytest.mark.parametrize(("result", "code"), [
    (r.StatusResult(installed=True, replicas=(replica(GOOD),)), 0),
    (r.StatusResult(installed=True, replicas=(replica(BAD),)), 10),
    (r.StatusResult(installed=False), 6),
])  # fmt: skip
def test_the_exit_code_is_that_of_status(
    result: r.StatusResult, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_workflows(monkeypatch).answers["status"] = result
    done = run("status", "--output", "prometheus")
    assert done.exit_code == code
    assert done.stdout.startswith("# HELP msrctl_installed ")
    assert done.stdout.endswith("\n")


def test_only_status_has_it_and_only_for_one_look() -> None:
    assert run("lock", "status", "--output", "prometheus").exit_code == 2
    assert run("status", "--watch", "--output", "prometheus").exit_code == 2
