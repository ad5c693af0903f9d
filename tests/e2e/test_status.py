"""status tells what is there as it answers now, and its exit code tells healthy from not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import look, run
from support.dead import dead_mount
from support.use import client, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.system import eventually

if TYPE_CHECKING:
    from labs.engines import Lab
    from labs.host import Host


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    return install(lab[1])


def status(host: Host, check: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = run.data(host, "status", check=check)
    return found


def components(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["component"]: c for c in found["replicas"][0]["components"]}


def repair(host: Host) -> None:
    """Puts right what a test broke; status is healthy afterwards."""
    host.msrctl("reconfigure", check=0)
    eventually(lambda: status(host)["healthy"], 30)


def test_status_of_a_healthy_deployment(deployed: Deployment) -> None:
    found = status(deployed.host)
    assert found["installed"]
    assert found["healthy"]
    assert found["url"] == deployed.url
    assert found["storage"] == f"volume dtr-registry-{deployed.replica_id}"
    assert found["drift"] == []
    assert found["lock"] is found["interrupted"] is None
    replica = found["replicas"][0]
    assert (replica["replica_id"], replica["node"]) == (deployed.replica_id, deployed.host.name)
    assert {name: c["healthy"] for name, c in components(found).items()} == {"nginx": True, "registry": True}
    assert all(c["task_state"] == "running" for c in components(found).values())


def test_status_for_people_says_the_same(deployed: Deployment) -> None:
    text = deployed.host.msrctl("status", check=0).stdout
    for words in (deployed.url, deployed.replica_id, deployed.host.name, "volume dtr-registry-", "free"):
        assert words in text


def test_status_changes_nothing(deployed: Deployment) -> None:
    before = look.objects(deployed.host)
    status(deployed.host)
    assert look.objects(deployed.host) == before


def test_a_change_by_hand_is_drift_with_name_wanted_and_found(deployed: Deployment) -> None:
    host, name = deployed.host, f"dtr-registry-{deployed.replica_id}"
    host.cli("service", "update", "--detach", "--env-add", "BY=hand", "--limit-memory", "512m", name)
    eventually(lambda: look.environment(host, "registry", deployed.replica_id).get("BY") == "hand", 10)
    found = status(host, check=10)
    assert not found["healthy"]
    drift = {d["name"]: (d["wanted"], d["found"]) for d in found["replicas"][0]["drift"]}
    assert drift[f"{name} Env"] == ([], ["BY=hand"]), drift
    text = host.msrctl("status", check=10).stdout
    assert "BY=hand" in text
    eventually(lambda: look.task(host, "registry", deployed.replica_id), 30)
    repair(host)
    assert "BY" not in look.environment(host, "registry", deployed.replica_id)


def test_the_order_that_docker_service_update_leaves_things_in_is_no_drift(deployed: Deployment) -> None:
    host, name = deployed.host, f"dtr-registry-{deployed.replica_id}"
    before = _mounts(host, name)
    host.cli(
        "service", "update", "--detach", "--mount-add", "type=tmpfs,target=/mnt", "--env-add", "A=b", name
    )
    host.cli("service", "update", "--detach", "--mount-rm", "/mnt", "--env-rm", "A", name)
    assert sorted(_mounts(host, name)) == sorted(before)
    assert _mounts(host, name) != before
    eventually(lambda: look.quiet(host) and status(host)["healthy"], 60, every=0.5)
    assert status(host)["drift"] == []
    assert run.data(host, "reconfigure")["outcome"] == "nothing to do"


def _mounts(host: Host, service: str) -> list[str]:
    spec = host.client.services.get(service).attrs["Spec"]
    return [mount["Target"] for mount in spec["TaskTemplate"]["ContainerSpec"]["Mounts"]]


def test_a_service_that_was_scaled_away_is_drift_and_unhealthy(deployed: Deployment) -> None:
    host, name = deployed.host, f"dtr-registry-{deployed.replica_id}"
    host.cli("service", "scale", "--detach", f"{name}=0")
    eventually(lambda: not components(run.data(host, "status", check=10))["registry"]["healthy"], 40)
    found = status(host, check=10)
    assert {d["name"] for d in found["replicas"][0]["drift"]} == {f"{name} Mode.Replicated.Replicas"}
    assert components(found)["nginx"]["healthy"]
    repair(host)


@pytest.mark.parametrize("component", ["nginx", "registry"])
def test_a_service_that_is_gone_is_named_and_reconfigure_makes_it_again(
    component: str, deployed: Deployment
) -> None:
    host, name = deployed.host, f"dtr-{component}-{deployed.replica_id}"
    with client(deployed) as registry:
        push(registry, "stays/here")
    host.cli("service", "rm", name)
    found = status(host, check=10)
    assert components(found)[component]["task_state"] == "no service"
    assert [(d["name"], d["found"]) for d in found["replicas"][0]["drift"]] == [(name, None)]
    repair(host)
    with client(deployed) as registry:
        assert registry.tags("stays/here") == ("1",)


def test_a_store_that_is_gone_is_unhealthy(deployed: Deployment) -> None:
    host = deployed.host
    running = look.container(host, "registry", deployed.replica_id)
    (pid,) = host.pids("docker-registry")
    with dead_mount(pid, "/storage"):
        found = eventually(lambda: _unhealthy(host), 60, every=0.5)
        assert not components(found)["registry"]["healthy"]
        assert "storage" in components(found)["registry"]["detail"]
        assert components(found)["nginx"]["healthy"]
        # A store that is away must not make the engine restart a registry that waits for it.
        assert look.container(host, "registry", deployed.replica_id) == running
    eventually(lambda: status(host)["healthy"], 60, every=0.5)


def _unhealthy(host: Host) -> dict[str, Any] | None:
    found = run.document(host, "status")
    return found["data"] if found["exit_code"] == 10 else None


def test_usage_counts_what_was_pushed(deployed: Deployment) -> None:
    with client(deployed) as registry:
        push(registry, "count/me", size=300_000)
    found = run.data(deployed.host, "storage", "usage")["replicas"][0]
    assert found["replica_id"] == deployed.replica_id
    assert found["blobs"] >= 3
    assert found["blob_bytes"] > 300_000
    assert found["tags"] >= 1
    assert found["total_bytes"] >= found["blob_bytes"]


def test_nothing_installed_is_told_with_exit_6(bare: Host, lab: Lab) -> None:
    for made in (False, True):
        if made:
            lab.swarm()
        found = run.document(bare, "status", check=6)
        assert found["error"]["code"] == "NOT-INSTALLED"
        assert found["data"]["installed"] is False
