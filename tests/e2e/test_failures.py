"""Failures of nodes, cables, engines, disks and clocks, and what is promised after each (docs/failures.md).

The seconds that are measured are printed (``pytest -rP``).
"""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from support import look, run
from support.trio import (
    HEALTHY_SECONDS,
    Cluster,
    healthy,
    measured,
    pass_time,
    proxy_of,
    pulling,
    pulls,
    serves,
    since,
    state_of,
)

from labs.cleaning import restore
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.host import Host


pytest_plugins = ("support.trio_fixtures",)


def test_a_cable_that_is_out_for_5_s_restarts_nothing(cluster: Cluster) -> None:
    number = cluster.follower()
    others = {1, 2, 3} - {number}
    before = cluster.tasks_of(number)
    with pulling(cluster, *others):
        began = time.monotonic()
        cluster.lab[number].link(False)
        pass_time(began, 5)
        cluster.lab[number].link(True)
        measured("cable out 5 s: its replica serves again after", since(lambda: pulls(cluster, number)))
        measured("cable out 5 s: healthy again after", since(lambda: healthy(cluster.lab[1])))
    assert cluster.tasks_of(number) == before


def test_a_cable_that_is_out_for_40_s_mends_itself(cluster: Cluster) -> None:
    number = cluster.follower()
    others = {1, 2, 3} - {number}
    with pulling(cluster, *others):
        began = time.monotonic()
        cluster.lab[number].link(False)
        measured("cable out 40 s: down after", since(lambda: state_of(cluster, number) == "down"))
        told = run.document(cluster.lab[1], "status", check=10)["data"]["replicas"][number - 1]
        assert "is down" in told["components"][0]["detail"]
        pass_time(began, 40)
        cluster.lab[number].link(True)
        measured("cable out 40 s: its replica serves again after", since(lambda: pulls(cluster, number)))
        measured("cable out 40 s: healthy again after", since(lambda: healthy(cluster.lab[1])))


def test_an_engine_that_is_killed_is_told_to_balancers_and_comes_back(cluster: Cluster) -> None:
    number = cluster.follower()
    others = {1, 2, 3} - {number}
    with pulling(cluster, *others):
        cluster.lab[number].kill_docker()
        # The containers go on, but the engine no longer tells the proxy where the registry is.
        measured("engine killed: its health says so after", since(lambda: not serves(cluster, number)))
        cluster.lab[number].start_docker()
        measured("engine killed: healthy again after", since(lambda: healthy(cluster.lab[1])))


def test_the_leader_loses_its_power_and_another_one_leads(cluster: Cluster) -> None:
    lost = cluster.leader()
    others = sorted({1, 2, 3} - {lost})
    with pulling(cluster, *others):
        cluster.lab[lost].power_off()
        endpoint = cluster.lab[others[0]]
        measured("leader lost: msrctl works again after", since(lambda: can_be_asked(endpoint)))
        restore(cluster.lab[lost])
        measured("leader lost: healthy again after", since(lambda: healthy(endpoint)))


def can_be_asked(host: Host) -> bool:
    """Whether msrctl on this manager is answered."""
    return host.msrctl("status").returncode in {0, 10}


def test_a_node_without_power_is_named_passed_over_and_catches_up(cluster: Cluster, tmp_path: Path) -> None:
    number = cluster.follower()
    others = sorted({1, 2, 3} - {number})
    host, ident = cluster.lab[1], cluster.id_of(number)
    change = ("reconfigure", "--http-proxy", "http://skipped.example:1")
    with pulling(cluster, *others):
        cluster.lab[number].power_off()
        measured("power off: down after", since(lambda: state_of(cluster, number) == "down"))
        before = look.document(host)
        began = time.monotonic()
        told = run.refused(host, 5, "NODE-DOWN", *change)
        measured("power off: a change is refused after", time.monotonic() - began)
        for words in (ident, f"node{number}", "--skip-unreachable", "msrctl remove --force"):
            assert words in told
        switch = ("--dtr-storage-volume", str(tmp_path), "--storage-migrated", "--skip-unreachable")
        told = run.refused(host, 5, "NODE-DOWN", "reconfigure", *switch)
        assert "not for a change of the storage" in told
        assert look.document(host) == before
        done = run.data(host, *change, "--skip-unreachable")
        assert done["skipped"] == [ident]
        assert sorted(done["replicas"]) == sorted(cluster.id_of(n) for n in others)
        restore(cluster.lab[number])
        measured("power off: its replica serves again after", since(lambda: pulls(cluster, number)))
        status = run.data(host, "status", check=10)
        assert [r["replica_id"] for r in status["replicas"] if r["behind"]] == [ident]
        assert "behind" in host.msrctl("status", check=10).stdout
        assert run.data(host, "reconfigure")["outcome"] == "done"
    assert proxy_of(cluster, number) == "http://skipped.example:1"


# -- disks and clocks


@contextmanager
def small_disk(host: Host) -> Iterator[Path]:
    """The engine keeps its containers on a disk of 4 MB while in the block; gives a file to fill it with."""
    where = "/var/lib/docker/containers"
    host.stop_docker()
    host.run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", where)
    host.start_docker()
    try:
        yield Path(where) / "fill"
    finally:
        host.power_off()  # the mount goes with it
        restore(host)


def test_a_full_disk_on_one_node_is_named_and_its_replica_goes_on(cluster: Cluster) -> None:
    host, number = cluster.lab[1], cluster.follower()
    last, before = cluster.lab[number], [proxy_of(cluster, n) for n in (1, 2, 3)]
    with small_disk(last) as fill:
        eventually(lambda: healthy(host), HEALTHY_SECONDS)
        with pulling(cluster, 1, 2, 3):
            last.run("dd", "if=/dev/zero", f"of={fill}", "bs=64k", check=False)
            change = ("--output", "json", "reconfigure", "--http-proxy", "http://full.example:1")
            began = time.monotonic()
            done = host.msrctl(*change)
            measured("full disk: told after", time.monotonic() - began)
            assert done.returncode == 9, done.stdout
            assert "no space left on device" in done.stdout
            assert proxy_of(cluster, number) == before[number - 1]
            last.run("rm", str(fill))
            assert run.data(host, "reconfigure")["outcome"] == "done"
        assert [proxy_of(cluster, n) for n in (1, 2, 3)] == ["http://full.example:1"] * 3


def test_clocks_that_are_wrong_by_an_hour_mislead_no_command(cluster: Cluster, tmp_path: Path) -> None:
    host = cluster.lab[1]
    ahead, behind = ({"hook": "wrong_clock", "arguments": [seconds]} for seconds in (3600, -3600))
    for wrong in (ahead, behind):
        assert run.trapped(host, wrong, "status").returncode == 0
    # One that is behind looks at the lock of one that is ahead, and does not take it for stale.
    seen = tmp_path / "lock.json"
    look_at = [*run.command(behind), "--output", "json", "lock", "status"]
    holder = {
        **ahead,
        "at": "update services dtr-registry",
        "calls": ["sh", "-c", f"{shlex.join(look_at)} >{seen}"],
    }
    done = run.trapped(host, holder, "reconfigure", "--http-proxy", "http://clock.example:1")
    assert done.returncode == 0, done.stderr
    found = json.loads(seen.read_text())["data"]
    assert (found["held"], found["stale"]) == (True, False)
