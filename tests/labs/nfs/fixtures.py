"""The NFS lab as a pytest plugin: a module that wants it has ``pytest_plugins = ["labs.nfs.fixtures"]``."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from labs.evidence import logs_directory
from labs.nfs import NfsLab, missing_for_nfs
from labs.nfs.image import guest_image

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

REQUIRE_ENGINE = "MSRCTL_REQUIRE_ENGINE"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes the guests' image before the first test: no test's time limit covers that."""
    wanted = any("nfs_lab" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly and not missing_for_nfs():
        guest_image()


@pytest.fixture(scope="session")
def nfs_host() -> None:
    """A machine that NFS guests can run on: else tests are left out, or fail if MSRCTL_REQUIRE_ENGINE=1."""
    reason = missing_for_nfs()
    if reason and os.environ.get(REQUIRE_ENGINE) == "1":
        pytest.fail(f"{REQUIRE_ENGINE}=1, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def nfs_lab(nfs_host: None, msr_image: Path) -> Iterator[NfsLab]:
    """An NFS server, and a Docker Engine node with msrctl's image; as the test before left them."""
    with NfsLab(1, images=[msr_image]) as lab:
        yield lab


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keeps what the guests have to say about a failure."""
    report = yield
    if report.failed and NfsLab.standing:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{item.nodeid}-{report.when}")[-120:]
        directory = logs_directory() / f"nfs-{name}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (logs_directory() / ".gitignore").write_text("*\n")
        for lab in NfsLab.standing:
            lab.keep_logs(directory)
        report.sections.append(("guests", f"their logs: {directory}"))
    return report
