"""Clients behind the balancers of examples/ notice nothing of a rolling change, nor of a dead replica."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from support import run, stores
from support.certificates import Made, make
from support.pushes import PushLoop
from support.use import PullLoop, client, push

from labs.balancer import balancer
from labs.cleaning import clean as clean_lab
from labs.cleaning import restore
from labs.deployment import install
from labs.stores.moto import moto
from labs.system import eventually
from msrctl import __version__
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labs.deployment import Deployment
    from labs.engines import Lab
    from labs.stores.description import ObjectStore

PULLERS, PUSHERS = 45, 5
# With 50 clients at a time two processors are busy enough.
PAUSE, PUSH_PAUSE = 3.0, 1.0
HAPROXY = pytest.mark.parametrize("front", ["haproxy.cfg"], indirect=True)
NGINX = pytest.mark.parametrize("front", ["nginx.conf"], indirect=True)
BOTH = pytest.mark.parametrize("front", ["haproxy.cfg", "nginx.conf"], indirect=True)


@dataclass(frozen=True)
class Front:
    """A registry of three replicas behind a balancer.

    Attributes:
        lab: the engines.
        deployment: the registry as clients see it.
        authority: whom its certificate is from.
        ca_file: that one's certificate, a file.
        example: the balancer's configuration in examples/balancer.
    """

    lab: Lab
    deployment: Deployment
    authority: Made
    ca_file: Path
    example: str = ""


def certificate(lab: Lab, authority: Made) -> list[str]:
    """Options for a new certificate from the operator's authority, for the balancer and all nodes."""
    made = make("registry", lab.gateway, *(host.ip for host in lab.hosts), issuer=authority)
    return ["--dtr-ca", authority.pem, "--dtr-cert", made.pem, "--dtr-key", made.key]


@pytest.fixture(scope="module")
def cluster(three_engines: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    lab = three_engines
    clean_lab(lab)
    place, ca_file = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("ca") / "ca.pem"
    authority = make("An authority", ca=True)
    ca_file.write_text(authority.pem)
    storage = ("--dtr-storage-volume", str(place), "--dtr-external-url", f"https://{lab.gateway}")
    installed = install(lab[1], *storage, *certificate(lab, authority))
    for node in ("node2", "node3"):
        lab[1].msrctl("join", "--ucp-node", node, "--shared-storage-path", check=0)
    deployment = replace(installed, registry=lab.gateway, ca=authority.pem, front=lab.gateway)
    yield Front(lab, deployment, authority, ca_file)
    clean_lab(lab)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def front(cluster: Front, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Front]:
    lab = cluster.lab
    with balancer(request.param, lab.gateway, [host.ip for host in lab.hosts], tmp_path):
        yield replace(cluster, example=request.param)


@contextmanager
def load(front: Front) -> Iterator[tuple[PullLoop, PushLoop]]:
    """Clients at work while in the block; afterwards nothing has failed and nothing is lost."""
    with client(front.deployment) as registry:
        push(registry, "stays/here")
    # nginx as a balancer has no health checks: a connection that it hands to a proxy in the very moment in
    # which that one stops listening is cut. docker pull tries again, and so do its stand-ins here.
    again = 1 if front.example == "nginx.conf" else 0
    with (
        # Two processors are too few for all of this in 5 s at every moment, and docker waits longer too.
        PullLoop(
            front.deployment, "stays/here", threads=PULLERS, pause=PAUSE, timeout=30.0, again=again
        ) as pulls,
        PushLoop(front.deployment, front.ca_file, threads=PUSHERS, pause=PUSH_PAUSE) as pushes,
    ):
        eventually(lambda: pulls.pulls > PULLERS and len(pushes.acknowledged) > PUSHERS, 60)
        yield pulls, pushes
        more = pulls.pulls + PULLERS, len(pushes.acknowledged) + PUSHERS
        eventually(lambda: pulls.pulls > more[0] and len(pushes.acknowledged) > more[1], 60)
    assert pulls.failures == []
    assert pushes.failures == []
    assert stores.lacks(front.deployment, pushes.acknowledged) == []


@NGINX
def test_a_certificate_is_exchanged_and_no_client_notices(front: Front) -> None:
    with load(front) as (_, pushes):
        new = certificate(front.lab, front.authority)
        front.lab[1].msrctl("reconfigure", *new, check=0, timeout=300)
    assert pushes.held == []


@HAPROXY
def test_the_image_is_upgraded_and_no_client_notices(front: Front) -> None:
    name = rebuilt(front.lab, front.example.partition(".")[0])
    with load(front) as (_, pushes):
        front.lab[1].msrctl("upgrade", "--image", name, check=0, timeout=400)
    assert pushes.held == []
    api: Any = front.lab[1].client.api
    used = {s["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] for s in api.services()}
    assert used == {api.inspect_image(name)["Id"]}


def rebuilt(lab: Lab, tag: str) -> str:
    """The image of the same version made anew, as for updates of what is in it, on all engines."""
    apis: list[Any] = [host.client.api for host in lab.hosts]
    first, *others = apis
    image = f"msrctl/msr:{__version__}"
    container = first.create_container(image)
    changes = [f"LABEL rebuilt-for={tag}"]
    made = first.commit(container["Id"], repository="msrctl/msr", tag=tag, changes=changes)
    first.remove_container(container["Id"])
    archive = b"".join(first.get_image(f"msrctl/msr:{tag}"))
    for other in others:
        list(other.load_image(archive))
        assert other.inspect_image(f"msrctl/msr:{tag}")["Id"] == made["Id"]
    return f"msrctl/msr:{tag}"


@BOTH
def test_a_replica_that_is_dead_is_not_noticed_either(front: Front) -> None:
    host, dead = front.lab[1], front.lab[3]
    dead.power_off()
    try:
        with load(front):
            pass
    finally:
        restore(dead)
        eventually(lambda: run.document(host, "status")["exit_code"] == 0, 120)


@pytest.fixture(scope="module")
def object_store(cluster: Front) -> Iterator[ObjectStore]:
    with moto(cluster.lab.gateway) as store:
        yield store


# The last one: the registry stays in the object store.
@HAPROXY
def test_the_storage_is_switched_and_pushes_are_only_held(
    front: Front, object_store: ObjectStore, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ((driver, section),) = object_store.storage_section().items()
    plain = {k: v.reveal_text() if isinstance(v, Secret) else v for k, v in section.items()}
    file = tmp_path / "store.yml"
    place = f"/before-{front.example.partition('.')[0]}"
    file.write_text(json.dumps({"storage": {driver: {**plain, "rootdirectory": place}}}))
    with load(front) as (pulls, pushes):
        front.lab[1].msrctl(
            "reconfigure", "--storage-config", str(file), "--migrate-storage", check=0, timeout=400
        )
    record_property("pulls", pulls.pulls)
    record_property("pushes", len(pushes.acknowledged))
    record_property("held_seconds", pushes.window)
    assert pushes.held, "the freeze was seen"
    assert {held.retry_after for held in pushes.held} == {"5"}
