"""Changes that end otherwise: msrctl killed, a replica that fails, a node lost (docs/failures.md)."""

from __future__ import annotations

import json
import time

import pytest
from support import look, run
from support.trio import (
    HEALTHY_SECONDS,
    SECOND,
    THIRD,
    Cluster,
    healthy,
    join,
    measured,
    proxy_of,
    pulling,
    pulls,
    serves,
)

from labs.cleaning import restore
from labs.system import eventually

pytest_plugins = ("support.trio_fixtures",)


# Each kind of call of a join that changes something, in order.
IN_CHECKS = (
    ("create configs msrctl-lock", True),
    ("create services msrctl-run", True),
    ("create configs dtr-", True),
)
IN_STEPS = (
    ("create configs msrctl-journal", True),
    ("create configs msrctl-state", False),
    ("create configs msrctl-state", True),
    ("create services dtr-registry", True),
    ("create services dtr-nginx", True),
)


def test_a_leader_lost_in_the_middle_of_a_change_costs_the_time_of_an_election(deployed: Cluster) -> None:
    host = deployed.lab[1]
    host.cli("node", "demote", "node1")
    promote = ("node", "promote", "node1")
    eventually(lambda: deployed.lab[2].cli(*promote, check=False).returncode == 0, HEALTHY_SECONDS)
    eventually(lambda: host.cli("node", "ls", check=False).returncode == 0, HEALTHY_SECONDS)
    number = deployed.leader()
    leader, other = deployed.lab[number], deployed.lab[5 - number]
    # The other manager hangs for longer than an engine itself waits for a leader (20 s).
    lost, hanging = (" ".join(map(str, host.pids())) for host in (leader, other))
    script = f"kill -9 {lost}; kill -STOP {hanging}; (sleep 22; kill -CONT {hanging}) >/dev/null 2>&1 &"
    cut = ["sh", "-c", script]
    began = time.monotonic()
    with pulling(deployed, 1):
        plan = {"at": "update services dtr-registry", "calls": cut}
        done = run.trapped(host, plan, "reconfigure", "--http-proxy", "http://election.example:1")
    measured("leader lost in a change: done after", time.monotonic() - began)
    leader.power_off()
    restore(leader)
    assert done.returncode == 0, done.stdout + done.stderr
    assert proxy_of(deployed, 1) == "http://election.example:1"
    assert look.tidy(host)


def test_a_join_that_was_killed_at_any_step_is_taken_away_by_the_next_one_or_finished(
    deployed: Cluster,
) -> None:
    host = deployed.lab[1]
    for at, after in (*IN_CHECKS, *IN_STEPS):
        assert join(deployed, 2, {"at": at, "after": after}) == run.KILLED, at
        assert pulls(deployed, 1), at
        interrupted = run.document(host, "status")["data"]["interrupted"]
        assert ("msrctl join" in str(interrupted)) is ((at, after) in IN_STEPS), at
    assert run.data(host, "reconfigure", "--resume")["outcome"] == "resumed"
    assert healthy(host)
    assert look.tidy(host)
    assert pulls(deployed, 2)


def test_a_failure_at_the_second_replica_leaves_the_first_changed_and_the_third_untouched(
    cluster: Cluster,
) -> None:
    host, before = cluster.lab[1], [proxy_of(cluster, number) for number in (1, 2, 3)]
    third = look.service(host, "registry", THIRD)
    plan = {"hook": "break_program", "arguments": [SECOND]}
    change = ("--output", "json", "reconfigure", "--http-proxy", "http://second.example:1")
    began = time.monotonic()
    with pulling(cluster, 1, 2, 3):
        done = run.trapped(host, plan, *change)
    measured("failure at the second replica: told after", time.monotonic() - began)
    assert done.returncode == 9, done.stderr
    error = json.loads(done.stdout)["error"]
    assert "/no/such/program" in error["message"]
    assert f"Changed and serving: {cluster.id_of(1)}. Back as it was: {SECOND}." in error["state"]
    assert "msrctl reconfigure" in error["hint"]
    assert [proxy_of(cluster, n) for n in (1, 2, 3)] == ["http://second.example:1", *before[1:]]
    assert look.service(host, "registry", THIRD)["Version"] == third["Version"]
    behind = [r["replica_id"] for r in run.data(host, "status", check=10)["replicas"] if r["behind"]]
    assert behind == [SECOND, THIRD]
    assert run.data(host, "reconfigure")["outcome"] == "done"
    assert [proxy_of(cluster, n) for n in (1, 2, 3)] == ["http://second.example:1"] * 3


def test_a_node_that_goes_down_in_the_middle_of_its_change_returns_as_it_was(cluster: Cluster) -> None:
    host, lost, before = cluster.lab[1], cluster.lab[2], proxy_of(cluster, 2)
    cut = ["sh", "-c", f"kill -9 {' '.join(map(str, lost.pids()))}; true"]
    plan = {"at": f"update services dtr-registry-{SECOND}", "after": True, "calls": cut}
    change = ("--output", "json", "reconfigure", "--http-proxy", "http://lost.example:1")
    with pulling(cluster, 1, 3):
        began = time.monotonic()
        done = run.trapped(host, plan, *change)
        measured("node lost in its change: told after", time.monotonic() - began)
        assert done.returncode == 9, done.stderr
        told = json.loads(done.stdout)["error"]["state"]
        assert f"Changed and serving: {cluster.id_of(1)}. Back as it was: {SECOND}." in told
        lost.power_off()
        restore(lost)
        eventually(lambda: pulls(cluster, 2), HEALTHY_SECONDS)
        assert proxy_of(cluster, 2) == before
        assert run.data(host, "reconfigure")["outcome"] == "done"
    assert [proxy_of(cluster, n) for n in (1, 2, 3)] == ["http://lost.example:1"] * 3


@pytest.mark.parametrize(
    ("at", "how", "outcome"),
    [
        (f"update services dtr-registry-{SECOND}", "--resume", "resumed"),
        (f"update services dtr-registry-{SECOND}", "--undo", "undone"),
    ],
)
def test_a_rolling_change_that_was_killed_is_finished_or_taken_back(
    at: str, how: str, outcome: str, cluster: Cluster
) -> None:
    host, before = cluster.lab[1], proxy_of(cluster, 1)
    wanted = f"http://{outcome}.example:1"
    with pulling(cluster, 1, 2, 3):
        done = run.trapped(host, {"at": at, "after": True}, "reconfigure", "--http-proxy", wanted)
        assert done.returncode == run.KILLED, done.stderr
        assert run.data(host, "reconfigure", how)["outcome"] == outcome
    assert {proxy_of(cluster, n) for n in (1, 2, 3)} == {wanted if how == "--resume" else before}


def test_a_replica_that_balancers_were_sent_away_from_has_them_back_after_the_resume(
    cluster: Cluster,
) -> None:
    host = cluster.lab[1]
    plan = {"at": f"update services dtr-nginx-{SECOND}", "after": True}
    assert run.trapped(host, plan, "reconfigure", "--enable-pprof").returncode == run.KILLED
    eventually(lambda: pulls(cluster, 2), HEALTHY_SECONDS)
    assert not serves(cluster, 2)
    assert run.data(host, "reconfigure", "--resume")["outcome"] == "resumed"
    assert all(serves(cluster, number) for number in (1, 2, 3))
