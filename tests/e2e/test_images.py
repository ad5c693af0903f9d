"""The image on real engines: made from nothing, made once, what is in it, and the way to another engine."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors
import pytest

from labs.engines import Lab, missing_for_engines
from labs.images import builder_host
from msrctl import __version__
from msrctl.images import BuildResult, ImageError, build, image_id, list_images, load, save

if TYPE_CHECKING:
    from labs.host import Host

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing_for_engines()), reason=missing_for_engines()),
]

MSR = 10001
LATEST = "msrctl/msr:latest"

# What any configuration for a user without rights has to set.
NGINX = """
pid /tmp/nginx.pid; error_log /dev/stderr info; events {}
http {
  access_log /dev/stdout;
  client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
  uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
  server {
    listen 8080; http2 on;
    location / { auth_request /status; root /usr/share/common-licenses; }
    location /status { stub_status; }
  }
}
"""


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """An engine that has nothing, on the machine's network, since the build fetches packages."""
    host = builder_host(tmp_path_factory.mktemp("images"))
    host.cgroup = f"msrctl-images-{os.getpid()}"
    host.power_on()
    host.start_docker()
    yield host
    host.power_off()


@pytest.fixture(scope="module")
def log() -> list[str]:
    """What the build said."""
    return []


@pytest.fixture(scope="module")
def built(builder: Host, log: list[str]) -> BuildResult:
    return build(builder.client.api, __version__, log.append)


def run(host: Host, image: str, *command: str, user: int = MSR) -> str:
    """What a command in a container without a network writes, to both outputs.

    Raises:
        ContainerError: it failed.
    """
    output: bytes = host.client.containers.run(
        image,
        list(command[1:]),
        entrypoint=command[0],
        user=str(user),
        network_mode="none",
        remove=True,
        stderr=True,
    )
    return output.decode()


def test_the_image_is_built_on_an_engine_that_has_nothing(
    builder: Host, built: BuildResult, log: list[str]
) -> None:
    assert built.built
    assert built.base in {"pulled", "made"}
    assert any(line.startswith("pulling debian:trixie-slim") for line in log)
    assert built.reference == f"msrctl/msr:{__version__}"
    assert image_id(builder.client.api, built.reference) == built.image_id
    assert image_id(builder.client.api, LATEST) == built.image_id
    assert built.size < 250_000_000
    labels = builder.client.api.inspect_image(built.image_id)["Config"]["Labels"]
    assert labels["io.msrctl.version"] == labels["org.opencontainers.image.version"] == __version__
    assert labels["io.msrctl.build-hash"] == built.build_hash


def test_a_second_build_does_nothing(builder: Host, built: BuildResult) -> None:
    said: list[str] = []
    again = build(builder.client.api, __version__, said.append)
    assert (again.built, again.image_id, said) == (False, built.image_id, [])


def test_the_entry_point_is_msrctl(builder: Host, built: BuildResult) -> None:
    output: bytes = builder.client.containers.run(
        built.image_id, ["--version"], network_mode="none", remove=True
    )
    assert __version__ in output.decode()


def test_the_health_check_of_the_image_passes(builder: Host, built: BuildResult) -> None:
    check = builder.client.api.inspect_image(built.image_id)["Config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    run(builder, built.image_id, *check[1:], user=0)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("nginx", "-v"), "nginx/1."),
        (("docker-registry", "--version"), "2.8.3"),
        (("/bin/busybox", "wget", "--help"), "Usage: wget"),
        (("msrctl", "--version"), __version__),
        (("id",), "uid=10001(msr) gid=10001(msr)"),
        (("sh", "-c", "touch /storage/blob && stat -c %u /storage"), "10001"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_services_user_can_run_everything(
    builder: Host, built: BuildResult, command: tuple[str, ...], says: str
) -> None:
    assert says in run(builder, built.image_id, *command)


def test_the_services_user_cannot_change_the_programs(builder: Host, built: BuildResult) -> None:
    with pytest.raises(docker.errors.ContainerError, match="denied"):
        run(builder, built.image_id, "touch", "/opt/msrctl/bin/msrctl")
    owned = run(builder, built.image_id, "find", "/opt", "/usr", "/etc", "-user", "msr", user=0)
    assert owned == ""


def test_nginx_serves_as_the_services_user(builder: Host, built: BuildResult) -> None:
    script = (
        f"cat >/tmp/nginx.conf <<'END'\n{NGINX}\nEND\nnginx -c /tmp/nginx.conf && "
        "busybox wget -q -O - http://127.0.0.1:8080/Apache-2.0 | head -n 3"
    )
    output = run(builder, built.image_id, "sh", "-c", script)
    assert "Apache License" in output
    assert '"GET /Apache-2.0 HTTP/1.1" 200' in output


def test_nothing_of_the_build_is_left_in_the_image(builder: Host, built: BuildResult) -> None:
    script = (
        "ls -d /wheels /msrctl-*.whl /etc/nginx/nginx.conf /etc/nginx/sites-* /var/cache/apt/archives/*.deb;"
        "ls /var/lib/apt/lists; /opt/msrctl/bin/python -c 'import pip' && echo pip; true"
    )
    output = run(builder, built.image_id, "sh", "-c", f"({script}) 2>/dev/null", user=0)
    assert output == ""


def test_a_saved_image_has_the_same_id_on_another_engine(
    builder: Host, built: BuildResult, tmp_path: Path
) -> None:
    archive = tmp_path / "msr.tar"
    saved = save(builder.client.api, built.reference, archive)
    assert saved.written == archive.stat().st_size
    with Lab(1) as lab:
        other = lab[1].client.api
        assert list_images(other, __version__).images[0].image_id is None
        loaded = load(other, archive)
        assert [(image.reference, image.image_id) for image in loaded.images] == [
            (built.reference, built.image_id)
        ]
        assert list_images(other, __version__).images == loaded.images
        assert image_id(other, LATEST) == built.image_id
        # A second time changes nothing, and a stream is as good as a file.
        with archive.open("rb") as stream:
            assert load(other, stream) == loaded


def test_an_archive_that_is_cut_off_is_refused(builder: Host, built: BuildResult, tmp_path: Path) -> None:
    whole = io.BytesIO()
    save(builder.client.api, built.reference, whole)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(ImageError, match=r"cut\.tar could not be loaded"):
        load(builder.client.api, cut)
