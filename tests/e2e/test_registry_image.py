"""Another registry than the one in msrctl's image: installed, exchanged, and refused when it is unfit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.use import PullLoop, client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.stores.full_registry import REFERENCE
from labs.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host

pytest_plugins = ("labs.stores.fixtures",)


@pytest.fixture(scope="module")
def engine(lab: Lab, full_registry_image: Path) -> Host:
    """An engine in no swarm that has the other registry's image too."""
    lab[1].load(full_registry_image)
    clean_lab(lab, leave_swarm=True)
    return lab[1]


def registry_says(host: Host, text: str, name: str) -> str:
    """An image like the registry's own, whose program says `text` whatever it is asked; returns its name."""
    place = host.directory / name
    place.mkdir(exist_ok=True)
    (place / "Dockerfile").write_text(f"FROM {REFERENCE}\nCOPY registry /bin/registry\n")
    (place / "registry").write_text(f"#!/bin/sh\necho {text}\n")
    (place / "registry").chmod(0o755)
    host.cli("build", "--quiet", "--tag", f"{name}:1", str(place))
    return f"{name}:1"


def running_image(deployment: Deployment) -> str:
    """Id of the image that the registry's one task runs."""
    service = deployment.host.client.services.get(f"dtr-registry-{deployment.replica_id}")
    (task,) = service.tasks(filters={"desired-state": "running"})
    image: str = task["Spec"]["ContainerSpec"]["Image"]
    return image


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("registry github.com/distribution/distribution/v3 v3.0.0", "PRE-REGISTRY-VERSION"),
        ("hello", "PRE-REGISTRY-VERSION"),
    ],
)
def test_a_registry_that_msrctl_does_not_run_is_refused_and_nothing_is_left(
    engine: Host, text: str, code: str
) -> None:
    image = registry_says(engine, text, "unfit")
    run.refused(engine, 3, code, "install", "--registry-image", image, env=run.WITH_PASSWORD)
    assert look.objects(engine)["swarm"] == "inactive"


def test_an_image_without_a_registry_is_refused(engine: Host) -> None:
    place = engine.directory / "none"
    place.mkdir(exist_ok=True)
    (place / "Dockerfile").write_text(f"FROM {REFERENCE}\nENV PATH=/nowhere\n")
    engine.cli("build", "--quiet", "--tag", "none:1", str(place))
    arguments = ("install", "--registry-image", "none:1")
    told = run.refused(engine, 3, "PRE-REGISTRY-IMAGE", *arguments, env=run.WITH_PASSWORD)
    assert "none:1" in told
    arguments = ("install", "--registry-image", "nobody/has:it")
    assert "docker pull" in run.refused(engine, 3, "PRE-IMAGE", *arguments, env=run.WITH_PASSWORD)
    assert look.objects(engine)["swarm"] == "inactive"


def test_another_registry_serves_and_is_exchanged_without_a_failed_pull(engine: Host) -> None:
    other = engine.client.images.get(REFERENCE).id
    deployment = install(engine, "--registry-image", REFERENCE)
    assert running_image(deployment) == other
    with client(deployment) as registry:
        digest = push(registry, "some/image")
    status = run.data(engine, "status")
    assert status["healthy"]
    assert status["drift"] == []
    again = run.data(engine, "reconfigure", "--registry-image", REFERENCE)
    assert again["outcome"] == "nothing to do"
    nginx = look.task(engine, "nginx", deployment.replica_id)
    for image in ("", REFERENCE):
        with PullLoop(deployment, "some/image") as loop:
            data = run.data(engine, "reconfigure", "--registry-image", image)
        assert [s["title"] for s in data["plan"] if s["action"] == "update"] == [
            f"update service dtr-registry-{deployment.replica_id}"
        ]
        assert (running_image(deployment) == other) is bool(image)
        assert loop.pulls
        assert loop.failures == []
        with client(deployment) as registry:
            assert pull(registry, "some/image") == digest
            push(registry, "more/images", image.partition(":")[0] or "own")
    assert look.task(engine, "nginx", deployment.replica_id) == nginx
    eventually(lambda: look.quiet(engine), 20)
    assert run.data(engine, "status")["healthy"]
    assert look.tidy(engine)
