"""The clients that people have log in, push and pull, with TLS verified, and get back what they pushed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from labs.host import docker_command
from labs.images import client_rootfs
from labs.tiny import tiny_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.deployment import Deployment
    from labs.engines import Lab
    from labs.host import Host

TLS_REFUSALS = ("certificate signed by unknown authority", "certificate is not trusted", "failed to verify")


@pytest.fixture(params=["own", "sid"], scope="module")
def client_host(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Host]:
    """An engine that is no part of the registry's swarm: the machine's (Debian 12: 20.10), and sid's (28)."""
    suite: str = request.param
    host = lab.add(f"client-{suite}", rootfs=None if suite == "own" else client_rootfs(suite))
    yield host
    lab.remove(host)


@pytest.fixture
def ca_directory(installed: Deployment, tmp_path: Path) -> str:
    """The registry's CA in a directory as skopeo, podman and buildah take it (``--cert-dir``)."""
    directory = tmp_path / "ca"
    directory.mkdir()
    (directory / "ca.crt").write_text(installed.ca)
    return str(directory)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory with a name short enough for podman, whose runroot may have 50 characters."""
    with TemporaryDirectory(prefix="msr-") as path:
        yield Path(path)


def run(*command: str, text: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a client on the machine."""
    done = subprocess.run(
        command,
        input=text,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


class DockerClient:
    """The docker command of a host's own release, with settings of its own."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.prefix = (docker_command(), "--config", str(host.directory / "docker-config"))

    def __call__(self, *args: str, check: bool = True, text: str | None = None) -> str:
        done = self.host.run(*self.prefix, *args, check=False, timeout=120, text=text)
        if check:
            assert done.returncode == 0, f"docker {' '.join(args)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


def test_docker_pushes_and_pulls(client_host: Host, installed: Deployment) -> None:
    docker = DockerClient(client_host)
    name = f"{installed.registry}/clients/docker:{client_host.name}"
    archive = client_host.directory / "tiny.tar"
    image = tiny_image(archive, name, client_host.name)
    login = ("login", "--username", installed.user, "--password-stdin", installed.registry)
    docker("load", "--input", str(archive))

    refused = docker(*login, check=False, text=installed.password)
    assert any(text in refused for text in TLS_REFUSALS), refused
    client_host.trust(installed.registry, installed.ca)
    denied = docker("push", name, check=False)
    assert "no basic auth credentials" in denied or "authentication required" in denied, denied
    assert "Login Succeeded" in docker(*login, text=installed.password)

    pushed = docker("push", name)
    digest = pushed.partition("digest: ")[2].split()[0]
    assert digest.startswith("sha256:")
    docker("image", "rm", "--force", image)
    assert f"Digest: {digest}" in docker("pull", name)
    found = json.loads(docker("image", "inspect", name))[0]
    assert found["Id"] == image
    assert found["RepoDigests"] == [f"{name.rpartition(':')[0]}@{digest}"]
    assert docker("run", "--rm", "--network=none", name) == client_host.name


def test_skopeo_pushes_and_pulls(installed: Deployment, ca_directory: str, tmp_path: Path) -> None:
    name = f"docker://{installed.registry}/clients/skopeo"
    archive = tmp_path / "tiny.tar"
    image = tiny_image(archive, "tiny:skopeo", "skopeo")
    auth = ("--authfile", str(tmp_path / "auth.json"))
    refused = run("skopeo", "inspect", *auth, f"{name}:1", check=False).stderr
    assert any(text in refused for text in TLS_REFUSALS), refused

    run(
        *("skopeo", "login", "--cert-dir", ca_directory, *auth, "--username", installed.user),
        *("--password-stdin", installed.registry),
        text=installed.password,
    )
    written = tmp_path / "digest"
    run(
        *("skopeo", "copy", "--dest-cert-dir", ca_directory, *auth, "--digestfile", str(written)),
        *(f"docker-archive:{archive}", f"{name}:1"),
    )
    digest = written.read_text().strip()
    shown = run("skopeo", "inspect", "--cert-dir", ca_directory, *auth, f"{name}:1").stdout
    assert json.loads(shown)["Digest"] == digest
    pulled = tmp_path / "pulled"
    run("skopeo", "copy", "--src-cert-dir", ca_directory, *auth, f"{name}@{digest}", f"dir:{pulled}")
    manifest = (pulled / "manifest.json").read_bytes()
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == digest
    assert json.loads(manifest)["config"]["digest"] == image


@pytest.mark.parametrize("tool", ["podman", "buildah"])
def test_podman_and_buildah_push_and_pull(
    tool: str, installed: Deployment, ca_directory: str, tmp_path: Path, short_path: Path
) -> None:
    name = f"{installed.registry}/clients/{tool}:1"
    archive = tmp_path / "tiny.tar"
    image = tiny_image(archive, name, tool)
    # A store of its own; vfs works on any file system.
    store = ("--root", f"{short_path}/root", "--runroot", f"{short_path}/run", "--storage-driver", "vfs")
    # buildah insists that the file is there.
    (tmp_path / "auth.json").write_text("{}")
    auth = ("--authfile", str(tmp_path / "auth.json"))
    trusted = ("--cert-dir", ca_directory, *auth)
    source = f"docker-archive:{archive}"
    run(tool, *store, "pull", "--quiet", source)
    refused = run(tool, *store, "push", *auth, name, f"docker://{name}", check=False).stderr
    assert any(text in refused for text in TLS_REFUSALS), refused

    run(
        *(tool, *store, "login", *trusted, "--username", installed.user, "--password-stdin"),
        installed.registry,
        text=installed.password,
    )
    written = tmp_path / "digest"
    run(tool, *store, "push", *trusted, "--digestfile", str(written), name, f"docker://{name}")
    digest = written.read_text().strip()
    run(tool, *store, "rmi", "--force", image)
    pulled = run(tool, *store, "pull", "--quiet", *trusted, f"{name.rpartition(':')[0]}@{digest}").stdout
    assert pulled.strip().removeprefix("sha256:") == image.removeprefix("sha256:")
    run(tool, *store, "rmi", "--force", image)


def test_oras_pushes_and_pulls_an_artifact(installed: Deployment, lab: Lab) -> None:
    # Debian 12 has no oras, sid has.
    host = lab.add("oras", rootfs=client_rootfs("sid"))
    try:
        _oras(host, installed)
    finally:
        lab.remove(host)


def _oras(host: Host, installed: Deployment) -> None:
    name = f"{installed.registry}/clients/oras:1"
    work = host.directory / "oras"
    work.mkdir()
    (work / "note.txt").write_text("an artifact, not an image")
    (work / "ca.crt").write_text(installed.ca)
    settings = ("--registry-config", str(work / "auth.json"))
    trusted = ("--ca-file", str(work / "ca.crt"), *settings)

    def oras(*args: str, check: bool = True, text: str | None = None) -> str:
        # oras refuses absolute paths, and runs where it is started.
        done = host.run("env", "--chdir", str(work), "oras", *args, check=False, text=text)
        assert not check or done.returncode == 0, f"oras {' '.join(args)}\n{done.stdout}\n{done.stderr}"
        return done.stdout if check else done.stderr

    refused = oras("manifest", "fetch", *settings, name, check=False)
    assert any(text in refused for text in TLS_REFUSALS), refused
    login = ("login", *trusted, "--username", installed.user, "--password-stdin", installed.registry)
    oras(*login, text=installed.password)
    oras("push", *trusted, "--artifact-type", "application/vnd.example.note", name, "note.txt:text/plain")
    descriptor = json.loads(oras("manifest", "fetch", *trusted, "--descriptor", name))
    manifest = oras("manifest", "fetch", *trusted, name)
    assert f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}" == descriptor["digest"]
    oras("pull", *trusted, "--output", "back", f"{name.rpartition(':')[0]}@{descriptor['digest']}")
    assert (work / "back" / "note.txt").read_text() == "an artifact, not an image"
