"""`msrctl --help` is quick: nothing is imported that it does not need."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from cli_support import every_command, run

from msrctl import __version__
from msrctl.cli import cli
from msrctl.cli.root import COMMANDS
from msrctl.cli.version import commit_hash
from msrctl.errors import EXIT_CODES

HEAVY = {
    "azure", "bcrypt", "botocore", "cryptography", "docker", "google", "jinja2", "jsonschema", "obstore",
    "requests", "rich", "swiftclient", "urllib3", "yaml",
}  # fmt: skip


def loaded_by(*arguments: str) -> set[str]:
    """Modules that a run of msrctl has imported when it ends."""
    program = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
        f"sys.argv = ['msrctl', *{list(arguments)!r}]; from msrctl.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("install", "--help"), ("reconfigure", "--help"), ("completion", "bash")],
)
def test_help_loads_no_heavy_library_and_no_workflow(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert "msrctl.cli.root" in loaded
    assert {name for name in loaded if name.partition(".")[0] in HEAVY} == set()
    assert {name for name in loaded if name.startswith(("msrctl.workflows", "msrctl.engine"))} - {
        "msrctl.workflows", "msrctl.workflows.reporter"
    } == set()  # fmt: skip


def test_the_help_of_the_root_loads_no_command() -> None:
    loaded = loaded_by("--help")
    assert {entry.module for entry in COMMANDS.values()} & loaded == set()


def test_a_refusal_loads_no_heavy_library() -> None:
    loaded = loaded_by("install", "--replica-id", "x")
    assert {name for name in loaded if name.partition(".")[0] in HEAVY} == set()


def test_the_table_of_commands_says_what_the_commands_say() -> None:
    ctx = click.Context(cli)
    for name, entry in COMMANDS.items():
        command = cli.get_command(ctx, name)
        assert command is not None
        assert command.name == name
        assert command.short_help == entry.short_help
        assert command.hidden == entry.hidden


def test_the_root_help_names_commands_exit_codes_and_the_rule_of_variables() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, entry in COMMANDS.items():
        assert (f"\n  {name} " in result.stdout) is not entry.hidden
    for code in EXIT_CODES:
        assert f"\n  {code} " in result.stdout
    assert "may also begin with MSR_" in result.stdout


def test_every_command_has_help_with_its_options_and_their_variables() -> None:
    for path, command in every_command():
        result = run(*path.split(), "--help")
        assert result.exit_code == 0, path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[0] in result.stdout, (path, parameter.name)


def test_help_never_breaks_an_option_in_two() -> None:
    for path, _ in every_command():
        for line in run(*path.split(), "--help-extended").stdout.splitlines():
            assert not line.rstrip().endswith("-"), (path, line)


@pytest.mark.parametrize("arguments", [("install", "--help-extended"), ("install", "--help")])
def test_longer_help_is_shown_on_request(arguments: tuple[str, ...]) -> None:
    env = {} if "--help-extended" in arguments else {"MSR_EXTENDED_HELP": "1"}
    assert "A bare host[:port] is taken as https://" in " ".join(run(*arguments, env=env).stdout.split())
    assert "A bare host" not in run("install", "--help").stdout


def test_no_command_at_all_shows_help_and_fails() -> None:
    for arguments in ((), ("lock",)):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Usage: msrctl" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_MSRCTL_COMPLETE" in result.stdout
    assert "msrctl" in result.stdout


def test_completion_completes_commands_and_options() -> None:
    for words, wanted in (("msrctl re", "reconfigure"), ("msrctl install --dtr-ex", "--dtr-external-url")):
        env = {
            "_MSRCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        assert f"plain,{wanted}" in run(env=env).stdout


def test_the_version_names_the_commit_where_it_is_known(tmp_path) -> None:
    assert run("--version").stdout.startswith(f"msrctl {__version__}")
    package = tmp_path / "msrctl"
    package.mkdir()
    assert commit_hash(package) is None
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_hash(package) is None
    (git / "packed-refs").write_text("# pack-refs\n1111 refs/heads/other\n2222 refs/heads/main\n")
    assert commit_hash(package) == "2222"
    (package / "COMMIT").write_text("3333\n")
    assert commit_hash(package) == "3333"


def test_node_takes_its_arguments_unparsed_and_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    from msrctl.workflows import node

    taken: list[list[str]] = []
    monkeypatch.setattr(node, "main", lambda arguments: taken.append(arguments) or 4)
    assert run("node", "check", "--help", "--store=/storage", "--", "-x").exit_code == 4
    assert taken == [["check", "--help", "--store=/storage", "--", "-x"]]
