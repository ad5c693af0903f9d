"""Fixtures with real engines, when tests that need them are left out, and what is kept when one fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

from labs.cleaning import clean as clean_lab
from labs.engines import Lab, eventually, missing_for_engines
from labs.evidence import keep_evidence
from labs.images import engine_rootfs
from labs.images import msr_image as make_msr_image

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from labs.host import Host

REQUIRE_ENGINE = "MSRCTL_REQUIRE_ENGINE"

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("msrctl", deadline=None)
hypothesis.settings.load_profile("msrctl")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes the image before the first test: no test's time limit covers that."""
    wanted = any("msr_image" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly and not missing_for_engines():
        make_msr_image()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leaves tests marked `engine` out where no engine can stand; with MSRCTL_REQUIRE_ENGINE=1 they fail."""
    if item.get_closest_marker("engine") is None:
        return
    reason = missing_for_engines()
    if reason and os.environ.get(REQUIRE_ENGINE) == "1":
        pytest.fail(f"{REQUIRE_ENGINE}=1, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keeps what the engines have to say about a failure, before anything is cleaned up."""
    report = yield
    if report.failed and item.get_closest_marker("engine") is not None:
        kept = keep_evidence(f"{item.nodeid}-{report.when}")
        if kept is not None:
            report.sections.append(("engines", f"their logs: {kept}"))
    return report


@pytest.fixture(scope="session")
def msr_image() -> Path:
    """msrctl's image as a `docker save` archive; made when it is not in the cache."""
    return make_msr_image()


@pytest.fixture(scope="session")
def lab(msr_image: Path) -> Iterator[Lab]:
    """One engine with msrctl's image, at first in no swarm: `msrctl install` sees to that."""
    with Lab(1, images=[msr_image], rootfs=engine_rootfs()) as one:
        yield one


@pytest.fixture
def host(lab: Lab) -> Host:
    """The host of `lab`, as the test before left it."""
    return lab[1]


@pytest.fixture
def clean(lab: Lab) -> Host:
    """The host of `lab` with an empty engine: only images, and the swarm if there was one."""
    clean_lab(lab)
    return lab[1]


@pytest.fixture
def bare(lab: Lab) -> Host:
    """The host of `lab` with an empty engine that is in no swarm."""
    clean_lab(lab, leave_swarm=True)
    return lab[1]


@pytest.fixture(scope="session")
def three_engines(msr_image: Path) -> Iterator[Lab]:
    """Three engines with msrctl's image in one swarm of three managers; as the test before left them."""
    with Lab(3, images=[msr_image], rootfs=engine_rootfs()) as several:
        several.swarm(managers=3)
        yield several


@pytest.fixture
def three(three_engines: Lab) -> Lab:
    """Three empty engines in one swarm of three managers, all ready."""
    clean_lab(three_engines)
    eventually(lambda: three_engines.nodes_ready() == 3, 60, what="all three nodes are ready")
    return three_engines
