"""Sessions for people who work on msrctl: `nox -l` lists them; without -s the quick ones run."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]

HARNESS = ("mypy", "--explicit-package-bases")
REQUIRE_ENGINE = {"MSRCTL_REQUIRE_ENGINE": "1"}


def install(session: nox.Session, *extras: str) -> None:
    """Installs msrctl from this checkout with some of its extras."""
    session.install("--editable", f".[{','.join(extras)}]")


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types of the program and of the test harness."""
    install(session, "dev")
    session.run("mypy")
    # Modules are found as pytest finds them: from tests/ and a test's own directory.
    session.run(*HARNESS, "tests/labs", "tests/conftest.py", env={"MYPYPATH": "tests"})
    for lane in ("contract", "e2e"):
        session.run(*HARNESS, f"tests/{lane}/conftest.py", env={"MYPYPATH": f"tests:tests/{lane}"})


@nox.session
def tests(session: nox.Session) -> None:
    """Unit tests: no root, no engine."""
    install(session, "test")
    session.run("pytest", *(session.posargs or ["tests/unit"]))


@nox.session
def contract(session: nox.Session) -> None:
    """The fake and the real adapters pass the same tests (root, Docker Engine)."""
    install(session, "stores", "test")
    session.run("pytest", "tests/contract", *session.posargs, env=REQUIRE_ENGINE)


@nox.session
def e2e(session: nox.Session) -> None:
    """Real engines, clients and images (root, Docker Engine and what else tests/run.sh installs)."""
    install(session, "test")
    session.run("python", "-m", "labs.images", env={"PYTHONPATH": "tests"})
    session.run("pytest", *(session.posargs or ["tests/e2e"]), env=REQUIRE_ENGINE)


@nox.session
def docs(session: nox.Session) -> None:
    """The generated reference is that of this code, and the pages build."""
    install(session, "docs")
    session.run("python", "docs/generate.py", "--check")
    if Path("mkdocs.yml").exists():
        session.run("mkdocs", "build", "--strict", "--site-dir", session.create_tmp())


@nox.session
def bench(session: nox.Session) -> None:
    """The measured promises (root, Docker Engine)."""
    install(session, "test")
    session.run("python", "bench/run.py", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """Broken backups for ten minutes (or as many seconds as are given): no root, no engine."""
    install(session, "test")
    session.run("python", "tests/fuzz/fuzz_backup.py", *(session.posargs or ["600"]))
