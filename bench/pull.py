"""How fast a layer of 500 MB comes through the proxy (TLS), against the registry's own port."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Figure, pairs

from labs.deployment import install
from labs.engines import Lab, eventually
from labs.images import msr_image
from labs.system import sh
from msrctl import __version__
from msrctl.images import image_reference
from msrctl.model import names
from msrctl.registry.client import Registry
from msrctl.secret import Secret
from msrctl.tls import authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labs.deployment import Deployment
    from labs.host import Host

PAIRS = 7
SIZE = 500_000_000
REPOSITORY = "bench/layer"
OWN_PORT = 5000
TLS_PORT = 5443
LINK = "1gbit"
NETWORK_NOTE = f"The node's network card sends {LINK}/s (tc tbf); one curl at a time, writing to /dev/null."
BARE_NOTE = (
    "No network between, so it tells what TLS costs and not what a pull takes: for 500 MB curl needs 0.42 s "
    "of a core with TLS and 0.18 s without, nginx 0.45 s; other buffers and kernel TLS change little."
)

TLS_NOTE = "The same image and store, with a certificate of its own and no login; HTTP/2 on both sides."
TLS_CONFIG = f"""
version: 0.1
storage: {{filesystem: {{rootdirectory: /storage}}, cache: {{blobdescriptor: inmemory}}}}
http: {{addr: ":{TLS_PORT}", secret: bench, tls: {{certificate: /tls/tls.crt, key: /tls/tls.key}}}}
"""


def measure() -> Iterator[Figure]:
    """One replica on a lab's engine; the reader is on the machine, and the node publishes both ports."""
    with Lab(1, images=[msr_image()]) as lab, TemporaryDirectory(prefix="msrctl-bench-") as name:
        deployment = install(lab[1], "--log-level", "warn")
        pull = prepare(deployment, Path(name))
        _shape(deployment.host, "add", "tbf", "rate", LINK, "burst", "1mb", "latency", "50ms")
        plain = f"http://NODE:{OWN_PORT}"
        yield _figure(f"pull: 500 MB over {LINK}/s", pull, pull.own_port, plain, least=0.9, note=NETWORK_NOTE)
        _shape(deployment.host, "del")
        yield _figure("pull: no network, plain http", pull, pull.own_port, plain, note=BARE_NOTE)
        own = f"https://NODE:{TLS_PORT}"
        yield _figure("pull: no network, TLS of its own", pull, pull.own_tls, own, note=TLS_NOTE)


@dataclass(frozen=True)
class Pull:
    """Reads one layer with curl, by either way."""

    deployment: Deployment
    digest: str
    ca: Path
    login: Path

    def through_proxy(self) -> float:
        """MB/s through nginx, TLS verified."""
        return self._read(self.deployment.url, "--cacert", str(self.ca))

    def own_port(self) -> float:
        """MB/s from the registry's own port."""
        return self._read(f"http://{self.deployment.host.ip}:{OWN_PORT}")

    def own_tls(self) -> float:
        """MB/s from a registry that does TLS by itself."""
        url = f"https://{self.deployment.host.ip}:{TLS_PORT}"
        return self._read(url, "--cacert", str(self.ca.with_name("own-ca.crt")))

    def _read(self, url: str, *options: str) -> float:
        done = sh(
            *(
                "curl",
                "--silent",
                "--show-error",
                "--fail",
                "--noproxy",
                "*",
                "--netrc-file",
                str(self.login),
            ),
            *("--output", "/dev/null", "--write-out", "%{size_download} %{speed_download}", *options),
            f"{url}/v2/{REPOSITORY}/blobs/{self.digest}",
        )
        size, speed = done.split()
        if int(size) != SIZE:
            raise RuntimeError(f"{url} sent {size} bytes, not {SIZE}")
        return float(speed) / 1e6


def prepare(deployment: Deployment, directory: Path) -> Pull:
    """Pushes the layer, publishes the registry's port on the node as nginx's is, and reads it once each way.

    Arguments:
        deployment: a registry of one replica.
        directory: takes the files that curl needs.
    """
    host = deployment.host
    ca, login = directory / "ca.crt", directory / "netrc"
    ca.write_text(deployment.ca)
    login.write_text(f'machine {host.ip} login {deployment.user} password "{deployment.password}"\n')
    with Registry(
        deployment.url, ca=deployment.ca, auth=(deployment.user, Secret(deployment.password)), timeout=120
    ) as registry:
        digest = registry.push_blob(REPOSITORY, os.urandom(SIZE))
    port = f"mode=host,target={OWN_PORT},published={OWN_PORT}"
    host.cli("service", "update", "--quiet", "--publish-add", port, f"dtr-registry-{deployment.replica_id}")
    _serve_tls(deployment, directory)
    pull = Pull(deployment, digest, ca, login)
    for way in (pull.through_proxy, pull.own_port, pull.own_tls):
        eventually(partial(_works, way), 30, what="the layer can be read")
    return pull


def _serve_tls(deployment: Deployment, directory: Path) -> None:
    """Starts a second registry on the same store, which does TLS by itself."""
    host, files = deployment.host, directory / "tls"
    files.mkdir()
    ca, key = authority.create_authority("bench"), authority.new_key()
    request = authority.signing_request(key, [host.ip])
    (directory / "own-ca.crt").write_text(ca.certificate)
    (files / "tls.crt").write_text(authority.sign(ca.certificate, ca.key, request))
    (files / "tls.key").write_text(key.reveal_text())
    (files / "config.yml").write_text(TLS_CONFIG)
    volume = names.default_volume(deployment.replica_id)
    host.cli(
        *("run", "--detach", "--user", "0", "--publish", f"{TLS_PORT}:{TLS_PORT}"),
        *("--volume", f"{volume}:/storage", "--volume", f"{files}:/tls:ro"),
        *(
            "--entrypoint",
            "/usr/bin/docker-registry",
            image_reference(__version__),
            "serve",
            "/tls/config.yml",
        ),
    )


def _works(way: Callable[[], float]) -> bool:
    try:
        return way() > 0
    except RuntimeError:  # the update's old task may still drain
        return False


def _figure(
    name: str, pull: Pull, other: Callable[[], float], at: str, *, least: float | None = None, note: str
) -> Figure:
    path = f"v2/{REPOSITORY}/blobs/DIGEST"
    commands = (f"curl -o /dev/null https://NODE/{path}", f"curl -o /dev/null {at}/{path}")
    times = pairs(PAIRS, pull.through_proxy, other)
    return Figure(name, *times, "MB/s", commands, least=least, note=note)


def _shape(host: Host, *words: str) -> None:
    """Sets or takes away a limit on what the host's network card sends."""
    verb, *how = words
    subprocess.run(
        ["ip", "netns", "exec", str(host.netns), "tc", "qdisc", verb, "dev", "eth0", "root", *how], check=True
    )
