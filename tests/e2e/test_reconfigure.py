"""reconfigure changes what was asked for and nothing else; what fails leaves the old state serving."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.use import PullLoop, client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import PASSWORD, Deployment, install
from labs.system import eventually
from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.engines import Lab

REPOSITORY = "stays/here"
# Measured on 2 cores: 0.6-1.4 s from the first refused connection to the last.
NGINX_OUTAGE = 5.0


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1], password=PASSWORD)
    with client(deployment) as registry:
        push(registry, REPOSITORY)
    return deployment


@pytest.fixture(autouse=True)
def whole(deployed: Deployment) -> Iterator[None]:
    """Whatever a test did: afterwards there is no drift, nothing is left over, and the image is there."""
    eventually(lambda: look.quiet(deployed.host), 20)
    yield
    assert run.data(deployed.host, "status")["drift"] == []
    assert look.tidy(deployed.host)


def tasks(deployment: Deployment) -> dict[str, str]:
    return {c: look.task(deployment.host, c, deployment.replica_id) for c in ("registry", "nginx")}


def moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {component for component in before if before[component] != after[component]}


def test_nothing_happens_when_nothing_changes(deployed: Deployment) -> None:
    before = look.objects(deployed.host)
    for arguments in ((), ("--log-level", "info"), ("--dtr-external-url", deployed.url)):
        data = run.data(deployed.host, "reconfigure", *arguments)
        assert (data["outcome"], data["changed"], data["plan"]) == ("nothing to do", False, [])
    assert look.objects(deployed.host) == before


def test_the_same_password_again_changes_nothing(deployed: Deployment) -> None:
    # As in a pipeline whose environment always has the variable.
    before = look.objects(deployed.host)
    data = run.data(deployed.host, "reconfigure", env=run.WITH_PASSWORD)
    assert data["outcome"] == "nothing to do"
    assert look.objects(deployed.host) == before


@pytest.mark.parametrize(
    ("option", "off", "component"),
    [
        (("--enable-pprof",), ("--enable-pprof=false",), "nginx"),
        (("--http-proxy", "http://proxy.test:1"), ("--http-proxy", ""), "registry"),
    ],
)
def test_only_the_service_that_needs_it_is_updated(
    option: tuple[str, ...], off: tuple[str, ...], component: str, deployed: Deployment
) -> None:
    for arguments in (option, off):
        before = tasks(deployed)
        plan = run.data(deployed.host, "reconfigure", "--dry-run", *arguments)["plan"]
        assert tasks(deployed) == before
        data = run.data(deployed.host, "reconfigure", *arguments)
        assert [s["title"] for s in data["plan"] if s["kind"] == "service"] == [
            s["title"] for s in plan if s["kind"] == "service"
        ]
        assert moved(before, tasks(deployed)) == {component}


def test_pulls_go_on_while_the_registry_is_replaced(
    deployed: Deployment, record_property: pytest.FixtureRequest
) -> None:
    before = tasks(deployed)
    with PullLoop(deployed, REPOSITORY) as loop:
        eventually(lambda: loop.pulls > 3, 10)
        deployed.host.msrctl("reconfigure", "--http-proxy", "http://proxy.test:2", check=0)
        deployed.host.msrctl("reconfigure", "--http-proxy", "", check=0)
    assert moved(before, tasks(deployed)) == {"registry"}
    record_property("pulls", loop.pulls)  # type: ignore[operator]
    assert loop.failures == []
    assert loop.pulls > 20


def test_pulls_are_refused_for_a_moment_only_while_nginx_is_replaced(
    deployed: Deployment, record_property: pytest.FixtureRequest
) -> None:
    with PullLoop(deployed, REPOSITORY) as loop:
        eventually(lambda: loop.pulls > 3, 10)
        deployed.host.msrctl("reconfigure", "--enable-pprof", check=0)
        pulls = loop.pulls
        eventually(lambda: loop.pulls > pulls + 3, 10)
    record_property("outage", round(loop.outage, 2))  # type: ignore[operator]
    record_property("failed", len(loop.failures))  # type: ignore[operator]
    assert loop.outage < NGINX_OUTAGE, loop.failures
    deployed.host.msrctl("reconfigure", "--enable-pprof=false", check=0)


def test_another_external_url_gets_a_certificate_of_the_same_ca(deployed: Deployment) -> None:
    host = deployed.host
    before = tasks(deployed)
    run.data(host, "reconfigure", "--dtr-external-url", "https://images.test")
    assert moved(before, tasks(deployed)) == {"nginx"}
    with client(deployed, "https://images.test") as registry:
        assert pull(registry, REPOSITORY)
    assert run.data(host, "status")["url"] == "https://images.test"
    run.data(host, "reconfigure", "--dtr-external-url", deployed.url)
    with client(deployed) as registry:
        assert pull(registry, REPOSITORY)


def test_ports_move(deployed: Deployment) -> None:
    host = deployed.host

    def listening() -> set[int]:
        return {p for p in (80, 443, 8080, 8443) if f":{p} " in host.run("ss", "-Hltn").stdout}

    run.data(host, "reconfigure", "--replica-http-port", "8080", "--replica-https-port", "8443")
    assert listening() == {8080, 8443}
    with client(deployed, f"{deployed.url}:8443") as registry:
        assert pull(registry, REPOSITORY)
    # One port alone, which stands in no file of nginx: done means that the new one serves.
    run.data(host, "reconfigure", "--replica-https-port", "443")
    assert listening() == {8080, 443}
    run.data(host, "reconfigure", "--replica-http-port", "80")
    assert listening() == {80, 443}


def test_a_port_that_is_taken_changes_nothing(deployed: Deployment) -> None:
    host = deployed.host
    taker = host.cli(
        *("run", "--detach", "--publish", "8443:80", "--entrypoint", "/bin/busybox"),
        *("msrctl/msr:0.1.0", "sleep", "600"),
    ).stdout.strip()
    try:
        before = look.objects(host)
        told = run.refused(host, 3, "PRE-PORT", "reconfigure", "--replica-https-port", "8443")
        assert "port 8443 on node1" in told
        eventually(lambda: look.untouched(host, before), 30)
    finally:
        host.cli("rm", "--force", taker)


@pytest.mark.parametrize(
    ("hook", "option", "component"),
    [
        ("break_nginx", ("--enable-pprof",), "nginx"),
        ("break_registry", ("--http-proxy", "http://proxy.test:3"), "registry"),
    ],
)
def test_a_step_that_fails_is_rolled_back_and_the_old_state_serves(
    hook: str, option: tuple[str, ...], component: str, deployed: Deployment
) -> None:
    host = deployed.host
    before = look.document(host), look.service(host, component, deployed.replica_id)["Spec"]
    done = run.trapped(host, {"hook": hook}, "--output", "json", "reconfigure", *option)
    assert done.returncode == 8, done.stderr
    error = json.loads(done.stdout)["error"]
    assert f"dtr-{component}-{deployed.replica_id}" in error["message"]
    assert "what ran before still runs" in error["state"]
    if component == "nginx":
        assert any("no_such_directive" in line for line in error["details"]), error
    assert (look.document(host), look.service(host, component, deployed.replica_id)["Spec"]) == before
    assert run.data(host, "status")["healthy"]
    with client(deployed) as registry:
        assert pull(registry, REPOSITORY)


def test_a_new_password_replaces_the_old_one(deployed: Deployment) -> None:
    host = deployed.host
    other = "another good long password"
    run.data(host, "reconfigure", env={"MSRCTL_ADMIN_PASSWORD": other})
    newer = Deployment(host, deployed.registry, deployed.replica_id, deployed.ca, password=other)
    with client(newer) as registry:
        assert registry.catalog()
    with pytest.raises(MsrctlError, match=r"."), client(deployed) as registry:
        registry.catalog()
    run.data(host, "reconfigure", env=run.WITH_PASSWORD)
    with client(deployed) as registry:
        assert registry.catalog()


def test_another_store_that_is_no_copy_is_refused_and_nothing_is_touched(deployed: Deployment) -> None:
    before = look.objects(deployed.host)
    found = run.document(deployed.host, "reconfigure", "--dtr-storage-volume", "other")
    assert found["exit_code"] == 7, found
    assert found["error"]["code"] == "STORE-INCOMPLETE"
    assert "--migrate-storage" in found["error"]["hint"]
    assert "Nothing was changed" in found["error"]["state"]
    eventually(lambda: look.untouched(deployed.host, before), 30)


def test_a_dry_run_shows_what_it_would_do_and_does_nothing(deployed: Deployment) -> None:
    host = deployed.host
    before = look.objects(host)
    text = host.msrctl("reconfigure", "--dry-run", "--log-level", "error", check=0).stdout
    assert "log level" in text
    assert look.objects(host) == before


@pytest.mark.parametrize("what", ["network and all", "hand"])
def test_what_is_missing_is_made_again(what: str, deployed: Deployment) -> None:
    host = deployed.host
    if what == "network and all":
        for component in ("nginx", "registry"):
            host.cli("service", "rm", f"dtr-{component}-{deployed.replica_id}")
        eventually(
            lambda: (
                subprocess.run(
                    ["docker", "network", "rm", "dtr-ol"],
                    env=host.environment(),
                    capture_output=True,
                    check=False,
                ).returncode
                == 0
            ),
            30,
        )
        # The node's own copy of the network is listed until the last container has left it.
        eventually(lambda: "dtr-ol" not in host.cli("network", "ls", "--format", "{{.Name}}").stdout, 30)
    else:
        host.cli("service", "scale", "--detach", f"dtr-nginx-{deployed.replica_id}=0")
    assert run.document(host, "status")["exit_code"] == 10
    run.data(host, "reconfigure")
    assert run.data(host, "status")["healthy"]
    with client(deployed) as registry:
        assert pull(registry, REPOSITORY)


def test_the_password_never_stands_in_the_journal_or_the_plan(deployed: Deployment) -> None:
    other = "a third and long password"
    plan = {"at": "update services dtr-registry", "after": True}
    env = {"MSRCTL_ADMIN_PASSWORD": other}
    killed = run.trapped(deployed.host, plan, "--debug", "reconfigure", env=env)
    assert killed.returncode == run.KILLED
    places = look.everything_readable(deployed.host) | {"output": killed.stdout + killed.stderr}
    assert look.leaks(places, [("the new password", other), ("the old one", PASSWORD)]) == []
    deployed.host.msrctl("reconfigure", "--undo", check=0)
