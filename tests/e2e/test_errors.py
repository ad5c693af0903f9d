"""Every error names what and where, the state things are in and a remedy, and nothing was touched."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.certificates import make
from support.old_engine import old_engine

from labs.deployment import install
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host

INSTALL = ("install",)


@contextlib.contextmanager
def untouched(host: Host) -> Iterator[None]:
    """Whatever happens in the block, the engine holds the same afterwards (a one-shot leaves 2 s later)."""
    before = look.objects(host)
    yield
    eventually(lambda: look.objects(host) == before, 15, what="everything is as before")


def test_no_engine(bare: Host) -> None:
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    for arguments in (INSTALL, ("status",), ("reconfigure",), ("destroy", "--yes"), ("lock", "status")):
        told = run.refused(bare, 5, "NO-ENGINE", *arguments, env=nowhere, state=False)
        assert "/nowhere/docker.sock" in told
        assert "DOCKER_HOST" in told


def test_no_permission_on_the_socket(bare: Host) -> None:
    # The interpreter of root is not for others to read: a child that gives up its rights after the start.
    code = (
        "import os, sys; from msrctl.cli import cli; import msrctl.workflows.install, docker, requests; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); cli.main(sys.argv[1:], prog_name='msrctl')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "install"],
        env=bare.environment(run.WITH_PASSWORD),
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "NO-PERMISSION" in done.stderr
    assert bare.sock in done.stderr
    assert "usermod -aG docker" in done.stderr


def test_an_engine_that_is_too_old(bare: Host) -> None:
    # The real engine behind a front that changes the version in its answers: Docker 19.03 is not to be had.
    with untouched(bare), old_engine(bare.sock, bare.directory / "old.sock") as endpoint:
        told = run.refused(bare, 6, "ENGINE-TOO-OLD", *INSTALL, env={"DOCKER_HOST": endpoint})
        assert "1.40" in told
        assert "1.41" in told
        assert "20.10" in told
    with old_engine(bare.sock, bare.directory / "new.sock", api="1.41") as endpoint:
        bare.msrctl("install", "--dry-run", env={"DOCKER_HOST": endpoint}, check=0)


def test_a_worker(bare: Host, lab: Lab) -> None:
    lab.swarm()
    worker = lab.add("worker")
    try:
        tokens = bare.client.swarm.attrs["JoinTokens"]
        worker.client.swarm.join([f"{bare.ip}:2377"], tokens["Worker"], advertise_addr=worker.ip)
        with untouched(worker):
            for arguments in (INSTALL, ("status",), ("reconfigure",), ("destroy", "--yes")):
                told = run.refused(worker, 6, "NOT-MANAGER", *arguments)
                assert bare.ip in told
        with untouched(bare):
            told = run.refused(bare, 3, "PRE-IMAGE", *INSTALL, "--ucp-node", "worker")
            assert "node worker" in told
            assert "msrctl images load" in told
            worker.power_off()
            eventually(lambda: lab.nodes_ready() == 1, 60)
            told = run.refused(bare, 3, "PRE-NODE", *INSTALL, "--ucp-node", "worker")
            assert "down" in told
    finally:
        lab.remove(worker)


def test_live_restore(bare: Host) -> None:
    bare.stop_docker()
    bare.start_docker("--live-restore")
    try:
        with untouched(bare):
            told = run.refused(bare, 6, "LIVE-RESTORE", *INSTALL)
            assert "daemon.json" in told
    finally:
        bare.stop_docker()
        bare.start_docker()


def test_a_locked_swarm(bare: Host, lab: Lab) -> None:
    lab.swarm()
    bare.client.swarm.update(autolock_managers=True)
    bare.stop_docker()
    bare.start_docker()
    eventually(lambda: bare.client.info()["Swarm"]["LocalNodeState"] == "locked", 20)
    for arguments in (INSTALL, ("status",)):
        told = run.refused(bare, 6, "SWARM-LOCKED", *arguments)
        assert "docker swarm unlock" in told


def test_an_unknown_node(bare: Host, lab: Lab) -> None:
    with untouched(bare):
        assert "node1" in run.refused(bare, 3, "PRE-NODE", *INSTALL, "--ucp-node", "nowhere")
    assert look.objects(bare)["swarm"] == "inactive"


def test_ports_that_are_taken_by_a_program_and_by_a_container(bare: Host) -> None:
    program = subprocess.Popen(
        [
            *("nsenter", "-t", str(bare.pids("dockerd")[0]), "-n", sys.executable, "-c"),
            "import socket, time; s = socket.create_server(('', 443)); time.sleep(600)",
        ]
    )
    bare.cli(
        *("run", "--detach", "--publish", "80:80", "--entrypoint", "/bin/busybox"),
        *("msrctl/msr:0.1.0", "sleep", "600"),
    )
    try:
        eventually(lambda: ":443" in bare.run("ss", "-ltn").stdout, 10)
        with untouched(bare):
            told = run.refused(bare, 3, "PRE-PORT", *INSTALL)
            assert "port 80 on node1" in told
            assert "port 443 on node1" in told
            assert "--replica-https-port" in told
            told = run.refused(bare, 3, "PRE-PORT", *INSTALL, "--replica-http-port", "8080")
            assert "port 443" in told
            assert "8080" not in told
    finally:
        program.kill()
        program.wait()
    assert look.objects(bare)["swarm"] == "inactive"


def test_an_image_that_is_missing(bare: Host) -> None:
    with untouched(bare):
        told = run.refused(bare, 3, "PRE-IMAGE", *INSTALL, "--image", "no/such:image")
        assert "no/such:image" in told
        assert "msrctl images build" in told


def test_a_disk_that_is_full(bare: Host) -> None:
    small = bare.small_disk("small", 64)
    with untouched(bare):
        found = run.document(bare, *INSTALL, "--dtr-storage-volume", small)
        assert found["exit_code"] == 3, found
        assert found["error"]["code"] == "PRE-STORAGE-FULL", found
        assert small in found["error"]["message"]
        assert "MiB" in found["error"]["hint"]
    bare.run("umount", small)


@pytest.mark.parametrize("kind", ["service", "network"])
def test_a_name_that_somebody_else_has(kind: str, clean: Host, lab: Lab) -> None:
    if look.objects(clean)["swarm"] != "active":
        lab.swarm()
    replica = "abcdefabcdef"
    name = f"dtr-nginx-{replica}" if kind == "service" else "dtr-ol"
    if kind == "service":
        clean.cli(
            *("service", "create", "--detach", "--name", name, "--entrypoint", "/bin/busybox"),
            *("--replicas", "0", "--no-resolve-image", "msrctl/msr:0.1.0", "sleep", "600"),
        )
    else:
        clean.client.networks.create(name, driver="overlay")
    with untouched(clean):
        told = run.refused(clean, 6, "PRE-NAME-CLASH", *INSTALL, "--replica-id", replica)
        assert f"{kind} {name}" in told


def test_tls_files_that_are_wrong_in_several_ways(bare: Host, tmp_path: Path) -> None:
    root = make("Root", ca=True)
    stranger = make("Other root", ca=True)
    leaf = make("registry.test", "registry.test", issuer=root, days=-1)
    for name, text in (("cert", leaf.pem), ("key", stranger.key), ("ca", stranger.pem)):
        (tmp_path / name).write_text(text)
    with untouched(bare):
        told = run.refused(
            *(bare, 2, "TLS-FILES", *INSTALL, "--dtr-external-url", "https://images.test"),
            *("--dtr-cert", str(tmp_path / "cert"), "--dtr-key", str(tmp_path / "key")),
            *("--dtr-ca", str(tmp_path / "ca")),
        )
    for words in ("expired", "images.test", "key", "--dtr-ca"):
        assert words in told, told
    assert look.objects(bare)["swarm"] == "inactive"


def test_a_directory_that_is_missing(bare: Host) -> None:
    with untouched(bare):
        told = run.refused(bare, 3, "PRE-STORAGE", *INSTALL, "--dtr-storage-volume", "/srv/nowhere")
        assert "/srv/nowhere" in told
        assert "node1" in told


def test_nothing_installed(bare: Host, lab: Lab) -> None:
    for made in (False, True):
        if made:
            lab.swarm()
        with untouched(bare):
            told = run.refused(bare, 6, "NOT-INSTALLED", "reconfigure", "--log-level", "debug")
            assert "msrctl install" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", ["create secrets dtr-probe", "create services dtr-nginx", "update configs"])
def test_a_signal_in_the_middle_of_an_install_leaves_nothing(
    at: str, number: signal.Signals, bare: Host
) -> None:
    done = run.trapped(bare, {"at": at, "then": number}, *INSTALL, env=run.WITH_PASSWORD)
    assert done.returncode == 130, done.stderr
    assert "everything is as before" in done.stderr or "undone" in done.stderr
    assert look.objects(bare)["swarm"] == "inactive"
    eventually(lambda: look.empty(bare), 15)


def test_a_signal_while_a_service_starts(bare: Host) -> None:
    # At the service's start it waits for a second and more: the signal of a person at a terminal comes there.
    process = bare.start_msrctl("install", env=run.WITH_PASSWORD)
    eventually(lambda: bare.client.api.containers(filters={"name": "dtr-nginx"}), 60)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=90)
    assert process.returncode == 130, stderr
    assert look.objects(bare)["swarm"] == "inactive"
    eventually(lambda: look.empty(bare), 15)


def test_a_signal_in_a_reconfigure_brings_everything_back(clean: Host) -> None:
    deployment = install(clean)
    before = look.document(clean)
    plan = {"at": "update services dtr-nginx", "after": True, "then": signal.SIGTERM}
    done = run.trapped(clean, plan, "reconfigure", "--log-level", "warn")
    assert done.returncode == 130, done.stderr
    assert look.document(clean) == before
    assert run.document(clean, "status")["exit_code"] == 0, "what ran before runs when it has ended"
    assert deployment.replica_id in done.stderr + str(before)
