"""The lab's own obligations: what the other tests rely on when they pull a plug."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from labs.cleaning import clean as clean_lab
from labs.engines import Lab, eventually
from labs.images import builder_host
from labs.slots import Slot
from labs.system import cgroup_directories, discard, remove_cgroups, sh
from labs.tiny import tiny_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.host import Host

TESTS = Path(__file__).resolve().parents[1]
PORT = 8080


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("tiny") / "tiny.tar"
    tiny_image(archive, "tiny:1", "hello")
    return archive


@pytest.fixture(scope="module")
def pair(tiny: Path) -> Iterator[Lab]:
    with Lab(2, images=[tiny]) as two:
        two.swarm()
        yield two


@pytest.fixture
def swarm(pair: Lab) -> Lab:
    clean_lab(pair)
    eventually(lambda: pair.nodes_ready() == 2, 60, what="both nodes are ready")
    return pair


def deploy(lab: Lab, node: Host) -> None:
    """A service that answers over HTTP at a host port of one node; by image id, so nobody asks a registry."""
    image = lab[1].client.images.get("tiny:1").id
    lab[1].cli(
        *("service", "create", "--quiet", "--detach", "--name", f"web-{node.name}", "--no-resolve-image"),
        *("--constraint", f"node.hostname=={node.name}", "--endpoint-mode", "dnsrr"),
        *("--publish", f"mode=host,target={PORT},published={PORT}", "--restart-delay", "1s"),
        *(str(image), "/bin/busybox", "httpd", "-f", "-p", str(PORT), "-h", "/"),
    )


def serves(host: Host, timeout: float = 2) -> bool:
    try:
        return requests.get(f"http://{host.ip}:{PORT}/text", timeout=timeout).text == "hello"
    except requests.RequestException:
        return False


def test_each_host_is_a_machine_of_its_own(swarm: Lab) -> None:
    names = swarm.all(lambda host: host.run("hostname").stdout.strip())
    assert names == ["node1", "node2"]
    engines = swarm.all(lambda host: (host.client.info()["Name"], host.client.info()["ID"]))
    assert [name for name, _ in engines] == names
    assert len({ident for _, ident in engines}) == 2
    assert swarm[1].run("getent", "hosts", "node2").stdout.split()[0] == swarm[2].ip


def test_a_service_serves_on_the_address_of_its_node(swarm: Lab) -> None:
    for host in swarm.hosts:
        deploy(swarm, host)
    for host in swarm.hosts:
        eventually(partial(serves, host), 20)


def test_clean_leaves_nothing_of_the_test_before_but_the_swarm(swarm: Lab) -> None:
    deploy(swarm, swarm[2])
    eventually(lambda: serves(swarm[2]), 20)
    swarm[1].cli("network", "create", "--driver", "overlay", "--attachable", "left")
    swarm[1].cli("config", "create", "left", "-", text="x")
    swarm[1].cli("secret", "create", "left", "-", text="x")
    swarm[2].cli("volume", "create", "left")
    clean_lab(swarm)
    client = swarm[1].client
    assert not [*client.services.list(), *client.configs.list(), *client.secrets.list()]
    assert not client.networks.list(names=["left"])
    assert not swarm[2].client.volumes.list()
    assert not any(swarm.all(lambda host: host.client.api.containers(all=True)))
    assert swarm.nodes_ready() == 2


def test_power_off_takes_one_host_and_power_on_brings_its_service_back(swarm: Lab) -> None:
    for host in swarm.hosts:
        deploy(swarm, host)
    for host in swarm.hosts:
        eventually(partial(serves, host), 20)
    swarm[2].power_off()
    assert not serves(swarm[2])
    assert serves(swarm[1])
    swarm[2].power_on()
    swarm[2].start_docker()
    eventually(lambda: serves(swarm[2]), 60)


def test_a_frozen_host_keeps_silent_and_goes_on_where_it_stood(swarm: Lab) -> None:
    deploy(swarm, swarm[2])
    eventually(lambda: serves(swarm[2]), 20)
    before = swarm[2].pids("busybox")
    assert before
    swarm[2].freeze()
    assert not serves(swarm[2], timeout=1)
    swarm[2].freeze(False)
    eventually(lambda: serves(swarm[2]), 20)
    assert set(before) <= set(swarm[2].pids("busybox"))


def test_a_pulled_cable_cuts_a_host_off_and_not_its_containers(swarm: Lab) -> None:
    deploy(swarm, swarm[2])
    eventually(lambda: serves(swarm[2]), 20)
    swarm[2].link(False)
    assert not serves(swarm[2], timeout=1)
    assert swarm[2].run("true").returncode == 0
    assert swarm[2].pids("busybox")
    swarm[2].link(True)
    eventually(lambda: serves(swarm[2]), 20)


def test_containers_outlive_a_killed_engine(swarm: Lab) -> None:
    deploy(swarm, swarm[2])
    eventually(lambda: serves(swarm[2]), 20)
    swarm[2].kill_docker()
    assert serves(swarm[2])
    swarm[2].start_docker()
    eventually(lambda: serves(swarm[2]), 30)


def test_a_small_disk_fills_up(swarm: Lab) -> None:
    path = swarm[1].small_disk("small", 1)
    full = swarm[1].run("dd", "if=/dev/zero", f"of={path}/file", "bs=1M", "count=2", check=False)
    assert "No space left on device" in full.stderr


def remains(tag: str) -> list[str]:
    """What a lab of this tag has on the machine."""
    names = [line.split()[0] for line in sh("ip", "netns", "list").splitlines()]
    links = [line.split(":")[1].strip() for line in sh("ip", "-o", "link").splitlines()]
    return [
        *(name for name in names if name.startswith(f"{tag}-")),
        *(link for link in links if link.startswith(f"{tag}up")),
        *(str(path) for path in cgroup_directories(f"{tag}-[0-9]*")),
    ]


def test_nothing_is_left_when_a_lab_goes_down(tiny: Path) -> None:
    with Lab(1, images=[tiny]) as one:
        tag, base = one.slot.tag, one.slot.base
        one[1].cli("run", "--detach", "tiny:1", "/bin/sleep", "1000")
        assert remains(tag)
    assert not remains(tag)
    assert not base.exists()
    assert str(base) not in Path("/proc/mounts").read_text()


KILLED_RUN = """
import sys
from labs.engines import Lab
lab = Lab(1).up()
lab.swarm()
print(lab.slot.number, lab.slot.base, flush=True)
sys.stdin.read()
"""


def test_a_killed_run_leaves_no_process_and_the_next_lab_sweeps_its_slot() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        number, base = run.stdout.readline().split()
        assert commands_naming(base)
        run.send_signal(signal.SIGKILL)
        run.wait(10)
    eventually(lambda: not commands_naming(base), 10, what="dockerd and containerd are gone")
    slots = [Slot.take()]
    try:
        # Lower ones may have become free; or another run was faster to take this one, and has swept it then.
        while slots[-1].number < int(number):
            slots.append(Slot.take())
        assert not Path(base).exists()
        assert slots[-1].number != int(number) or not remains(f"swl{number}")
    finally:
        for slot in slots:
            slot.release()


def commands_naming(text: str) -> list[str]:
    """Command lines of the machine's processes that have a text in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found


def test_a_builder_leaves_the_machine_s_bridges_alone(tmp_path: Path) -> None:
    made = not Path("/sys/class/net/docker0").exists()
    if made:
        sh("ip", "link", "add", "docker0", "type", "bridge")
    before = _bridges()
    builder = builder_host(tmp_path)
    builder.cgroup = f"msrctl-bridge-{os.getpid()}"
    try:
        assert "docker0" in before
        builder.power_on()
        builder.start_docker()
        assert before <= _bridges()
        builder.stop_docker()
    finally:
        builder.power_off()
        remove_cgroups(builder.cgroup)
        after = _bridges()
        if made:
            sh("ip", "link", "del", "docker0", check=False)
    assert builder.bridge not in after
    assert "docker0" in after


def _bridges() -> set[str]:
    return {path.parent.name for path in Path("/sys/class/net").glob("*/bridge")}


def test_what_is_mounted_in_half_a_root_filesystem_outlives_it(tmp_path: Path) -> None:
    elsewhere, half = tmp_path / "elsewhere", tmp_path / "root.partial"
    (half / "dev/shm").mkdir(parents=True)
    (half / "dev/file").write_text("x")
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    sh("mount", "--bind", str(elsewhere), str(half / "dev/shm"))
    sh("mount", "-t", "tmpfs", "none", str(half / "dev/shm"))
    discard(half)
    assert not half.exists()
    assert (elsewhere / "kept").read_text() == "x"
    assert str(half) not in Path("/proc/self/mountinfo").read_text()
    discard(half)  # as where nothing is left
