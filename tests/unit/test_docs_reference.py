"""The generated reference is that of the command line, and says something about everything."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from cli_support import every_command

from msrctl.errors import EXIT_CODES
from msrctl.model.schema import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_page_is_current(generate: ModuleType) -> None:
    assert generate.stale() == [], "run python docs/generate.py"


def test_every_command_and_option_has_help() -> None:
    for path, command in every_command():
        assert command.help, path
        if path:
            assert command.short_help, path
            assert command.short_help.endswith("."), path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)
                assert parameter.help.endswith("."), (path, parameter.name)


def test_every_command_and_option_stands_in_the_reference() -> None:
    for path, command in every_command():
        page = ROOT / "docs" / "reference" / "cli" / f"{path.replace(' ', '-') or 'index'}.md"
        text = page.read_text("utf-8")
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                for name in parameter.opts:
                    assert name in text, (path, name)
                for variable in getattr(parameter, "variables", ()):
                    assert f"`{variable}`" in text, (path, variable)


def test_every_exit_code_stands_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "exit-codes.md").read_text("utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in text


@pytest.mark.parametrize("driver", ["s3", "azure", "swift", "gcs"])
def test_every_key_of_a_storage_configuration_stands_in_the_reference(driver: str) -> None:
    page = (ROOT / "docs" / "reference" / "storage" / f"{driver}.md").read_text("utf-8")
    for key, body in load(f"storage-{driver}")["properties"].items():
        assert f"| `{key}` |" in page
        assert ("A secret." in next(r for r in page.splitlines() if r.startswith(f"| `{key}`"))) is bool(
            body.get("x-secret")
        )


def test_check_fails_for_a_page_that_is_stale_missing_or_surplus(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "cli" / "status.md").write_text("old")
    (tmp_path / "cli" / "gone.md").write_text("of a command that is no more")
    (tmp_path / "storage" / "oss.md").write_text("of a driver that is no more")
    assert generate.stale() == ["cli/gone.md", "cli/status.md", "storage/oss.md"]
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.stale() == []
    assert generate.main(["--chekc"]) == 2
