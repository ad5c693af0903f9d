"""examples/quickstart.sh on a real engine: it may be run again, and --down leaves nothing."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from labs.cache import PROJECT
from labs.cleaning import clean as clean_lab
from labs.deployment import install

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host

SCRIPT = PROJECT / "examples" / "quickstart.sh"
SECONDS = 280


@dataclass(frozen=True)
class Quickstart:
    """The script, pointed at a host of a lab, and what its first run printed."""

    host: Host
    state: Path
    images: frozenset[str]
    """Ids of the images that the engine had before."""
    first: subprocess.CompletedProcess[str]

    @property
    def registry(self) -> str:
        return (self.state / "registry").read_text().strip()

    @property
    def certs(self) -> Path:
        return self.host.directory / "etc" / "certs.d"

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return run(self.host, self.state, *args)


def run(
    host: Host, state: Path, *args: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the script with an engine that is there, as whoever has one would."""
    settings = {
        "QUICKSTART_STATE": str(state),
        "REGISTRY_ADDRESS": host.ip,
        "CERTS_D": str(host.directory / "etc" / "certs.d"),
        # The lab's engines have no way out to Debian's mirrors; tests/e2e/test_images.py builds images.
        "BUILD": "no",
    }
    return subprocess.run(
        ["bash", str(SCRIPT), *args],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
        env=host.environment(settings | dict(env or {})),
        check=False,
    )


def image_ids(host: Host) -> frozenset[str]:
    return frozenset(image["Id"] for image in host.client.api.images(all=True))


def everything(host: Host) -> dict[str, list[str]]:
    """What an engine holds besides images, by kind."""
    api: Any = host.client.api
    active = host.client.info()["Swarm"]["LocalNodeState"] != "inactive"
    found = {
        "containers": [c["Id"] for c in api.containers(all=True)],
        "volumes": [v["Name"] for v in api.volumes()["Volumes"] or []],
        "services": [s["Spec"]["Name"] for s in api.services()] if active else [],
        "configs": [c["Spec"]["Name"] for c in api.configs()] if active else [],
        "secrets": [s["Spec"]["Name"] for s in api.secrets()] if active else [],
        "networks": [n["Name"] for n in api.networks() if n["Name"] not in {"bridge", "host", "none"}],
        "swarm": ["active"] if active else [],
    }
    return {kind: sorted(named) for kind, named in found.items()}


@pytest.fixture(scope="module")
def quickstart(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Quickstart:
    clean_lab(lab, leave_swarm=True)
    host = lab[1]
    # An engine that has been in a swarm keeps this network; a new machine has none.
    for network in host.client.networks.list(names=["docker_gwbridge"]):
        network.remove()
    before = image_ids(host)
    state = tmp_path_factory.mktemp("quickstart") / "state"
    return Quickstart(host, state, before, run(host, state))


def test_quickstart_pushes_an_image_and_pulls_the_same_one_back(quickstart: Quickstart) -> None:
    assert quickstart.first.returncode == 0, quickstart.first.stdout
    assert "digests are equal: sha256:" in quickstart.first.stdout
    assert "Hello from your own registry" in quickstart.first.stdout


def test_quickstart_prints_url_user_password_file_and_what_to_do_next(quickstart: Quickstart) -> None:
    shown = quickstart.first.stdout
    assert f"URL:       https://{quickstart.registry}" in shown
    assert "User:      admin" in shown
    assert str(quickstart.state / "password") in shown
    for command in ("msrctl status", f"docker push {quickstart.registry}/", "--down"):
        assert command in shown.rpartition("Next")[2]


def test_quickstart_keeps_the_password_in_a_file_of_its_owner_and_shows_it_nowhere(
    quickstart: Quickstart,
) -> None:
    password = quickstart.state / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text().strip() not in quickstart.first.stdout


def test_quickstart_run_again_changes_nothing_and_pushes_and_pulls_again(quickstart: Quickstart) -> None:
    before = everything(quickstart.host)
    again = quickstart.run()
    assert again.returncode == 0, again.stdout
    assert "The registry is installed already" in again.stdout
    assert "digests are equal: sha256:" in again.stdout
    assert everything(quickstart.host) == before


def test_quickstart_down_leaves_nothing(quickstart: Quickstart) -> None:
    down = quickstart.run("--down")
    assert down.returncode == 0, down.stdout
    assert not any(everything(quickstart.host).values()), everything(quickstart.host)
    assert image_ids(quickstart.host) == quickstart.images
    assert not quickstart.certs.exists()
    assert not quickstart.state.exists()
    assert not (quickstart.host.directory / "docker-config").exists()


def test_quickstart_down_with_nothing_there_says_so(quickstart: Quickstart) -> None:
    down = quickstart.run("--down")
    assert down.returncode == 0, down.stdout
    assert "nothing to take away" in down.stdout


def test_quickstart_leaves_a_registry_alone_that_it_did_not_install(bare: Host, tmp_path: Path) -> None:
    install(bare)
    before = everything(bare)
    refused = run(bare, tmp_path / "state")
    assert refused.returncode == 1, refused.stdout
    assert "which this script did not install" in refused.stdout
    down = run(bare, tmp_path / "state", "--down")
    assert down.returncode == 0, down.stdout
    assert everything(bare) == before


def test_quickstart_refuses_an_engine_on_another_machine(bare: Host, tmp_path: Path) -> None:
    refused = run(bare, tmp_path / "state", env={"DOCKER_HOST": "tcp://192.0.2.77:2376"})
    assert refused.returncode == 1
    assert "may be another machine" in refused.stdout


@pytest.mark.parametrize("args", [["--frobnicate"], ["up"]])
def test_quickstart_refuses_arguments_that_it_does_not_know(args: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", str(SCRIPT), *args], text=True, capture_output=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 2
    assert "usage:" in done.stderr
