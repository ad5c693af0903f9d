"""How long from nothing to the first push, against the same two services by `docker stack deploy`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Figure, pairs

from labs.cleaning import clean
from labs.engines import Lab
from labs.host import docker_command
from labs.images import msr_image
from msrctl import __version__, accounts
from msrctl.errors import MsrctlError
from msrctl.images import image_id, image_reference
from msrctl.registry.client import Registry
from msrctl.secret import Secret
from msrctl.tls import authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.host import Host

PAIRS = 5
REPLICA = "0123456789ab"
STACK = Path(__file__).with_name("stack.yml")
LIMIT_SECONDS = 120.0
TYPE = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def measure() -> Iterator[Figure]:
    """Both from an engine in a swarm that has the image and nothing else, until an image has been pushed."""
    with Lab(1, images=[msr_image()]) as lab, TemporaryDirectory(prefix="msrctl-bench-") as name:
        lab.swarm()
        hand = prepare(lab, Path(name))
        times = pairs(PAIRS, lambda: _msrctl(lab), lambda: _stack(lab, hand))
    yield Figure(
        "install: to the first push",
        *times,
        "s",
        (
            "msrctl install, then a push",
            "docker stack deploy -c bench/stack.yml, then pushes until one succeeds",
        ),
        most=1.5,
        note="msrctl makes keys, certificate and password in that time, tries ports and storage before "
        "and an upload after; for the stack all files were made beforehand.",
    )


@dataclass(frozen=True)
class ByHand:
    """The files for `docker stack deploy`, and what a client needs to know."""

    directory: Path
    ca: str
    password: Secret
    environment: dict[str, str]


def prepare(lab: Lab, directory: Path) -> ByHand:
    """Takes the configuration files of an installed registry, and makes certificate and passwords for them.

    Arguments:
        lab: its first engine is clean afterwards.
        directory: takes the files.
    """
    host = lab[1]
    host.msrctl("install", "--replica-id", REPLICA, check=0)
    wanted = {
        "dtr-registry-config-yml": "registry.yml",
        "dtr-nginx-nginx-conf": "nginx.conf",
        "dtr-nginx-health-conf": "health.conf",
        "dtr-nginx-healthy-json": "healthy.json",
    }
    for config in host.client.api.configs():  # type: ignore[no-untyped-call]
        file = wanted.get(config["Spec"]["Name"].rpartition("-")[0])
        if file:
            (directory / file).write_bytes(base64.b64decode(config["Spec"]["Data"]))
    clean(lab)
    ca = authority.create_authority("by hand")
    key = authority.new_key()
    password = accounts.generate_password()
    certificate = authority.sign(ca.certificate, ca.key, authority.signing_request(key, [host.ip]))
    line = accounts.htpasswd_line("admin", password, rounds=accounts.GENERATED_ROUNDS)
    for name, text in (
        ("tls.crt", certificate),
        ("ca.crt", ca.certificate),
        ("tls.key", key.reveal_text()),
        ("htpasswd", line.reveal_text()),
        ("http.secret", secrets.token_hex(32)),
    ):
        (directory / name).write_text(text)
    shutil.copy(STACK, directory)
    environment = {
        "IMAGE": image_id(host.client.api, image_reference(__version__)),
        "REGISTRY_NAME": f"dtr-registry-{REPLICA}",
    }
    return ByHand(directory, ca.certificate, password, environment)


def _msrctl(lab: Lab) -> float:
    clean(lab)
    host = lab[1]
    begun = time.perf_counter()
    done = host.msrctl("--output", "json", "install", "--dtr-external-url", f"https://{host.ip}", check=0)
    data = json.loads(done.stdout)["data"]
    _until_pushed(host, data["ca"], Secret(data["password"]))
    return time.perf_counter() - begun


def _stack(lab: Lab, hand: ByHand) -> float:
    clean(lab)
    host = lab[1]
    # A network takes a while to go: the next stack must not find one of its name that is about to.
    name = f"stack-{secrets.token_hex(3)}"
    # An image by its id is asked of no registry, as msrctl's is not.
    command = [docker_command(), "stack", "deploy", "--resolve-image", "never", "-c", STACK.name, name]
    begun = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=hand.directory,
        env=host.environment(hand.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"docker stack deploy: {done.stderr}")
    _until_pushed(host, hand.ca, hand.password)
    return time.perf_counter() - begun


def _until_pushed(host: Host, ca: str, password: Secret) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            with Registry(f"https://{host.ip}", ca=ca, auth=("admin", password)) as registry:
                return _push(registry)
        except MsrctlError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


def _push(registry: Registry) -> None:
    layer, config = os.urandom(1000), b'{"architecture":"amd64","os":"linux"}'
    parts = [(config, TYPE), (layer, LAYER)]
    for data, _ in parts:
        registry.push_blob("bench/first", data)
    first, second = (
        {"mediaType": kind, "size": len(data), "digest": f"sha256:{hashlib.sha256(data).hexdigest()}"}
        for data, kind in parts
    )
    body = {"schemaVersion": 2, "mediaType": TYPE, "config": first, "layers": [second]}
    registry.push_manifest("bench/first", "1", json.dumps(body).encode(), TYPE)
