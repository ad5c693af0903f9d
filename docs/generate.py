"""Writes docs/reference: commands and exit codes from the command line, storage configurations from schemas.

`python docs/generate.py` writes them, `python docs/generate.py --check` fails if they are not current.
"""
# ruff: noqa: INP001, T201 - a script beside the pages, not a package

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from msrctl.cli import cli
from msrctl.cli.base import Option
from msrctl.cli.root import ENVIRONMENT_RULE
from msrctl.errors import EXIT_CODES
from msrctl.model.schema import load
from msrctl.storage.document import DRIVERS
from msrctl.storage.sample import sample

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py; change the command's help instead. -->"
STORAGE_NOTE = "<!-- Written by docs/generate.py; change schemas/storage-*.json instead. -->"

STORAGE_USE = """\
For `--storage-config FILE` of `msrctl install` and `msrctl reconfigure`. `msrctl storage sample {driver}`
prints the sample, and `msrctl storage validate FILE` checks a file without touching anything. Keys that are
not listed here are refused, because the registry would ignore them silently."""
STORAGE_SECRETS = """\
A **secret** may stand in the file, come from the environment as `${NAME}`, or be read from a file of its
own: `<key>_file: /path`. It is kept as a swarm secret. A certificate may be in a file, too."""


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command that people use: its words after `msrctl`, itself, and a context for its help."""
    root = click.Context(cli, info_name="msrctl")
    yield "", cli, root
    yield from _below(cli, root, "")


def _below(
    group: click.Group, ctx: click.Context, words: str
) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=ctx)
        path = f"{words} {name}".strip()
        yield path, command, inner
        if isinstance(command, click.Group):
            yield from _below(command, inner, path)


def pages() -> dict[Path, str]:
    """All generated pages: paths and contents."""
    found = {REFERENCE / "exit-codes.md": exit_codes_page()}
    for path, command, ctx in commands():
        name = path.replace(" ", "-") or "index"
        found[REFERENCE / "cli" / f"{name}.md"] = command_page(path, command, ctx)
    for driver in DRIVERS:
        found[REFERENCE / "storage" / f"{driver}.md"] = storage_page(driver)
    return found


def command_page(path: str, command: click.Command, ctx: click.Context) -> str:
    """The page of one command: synopsis, description, subcommands, options."""
    usage = ctx.get_usage().removeprefix("Usage: ")
    parts = [f"# msrctl {path}".rstrip(), NOTE, f"```\n{usage}\n```", _paragraphs(command.help or "")]
    more = getattr(command, "more", "")
    if more:
        parts.append(_text(more))
    if isinstance(command, click.Group):
        parts += ["## Commands", _command_list(path, command, ctx)]
    if not path:
        parts += [
            "## Environment",
            _text(ENVIRONMENT_RULE),
            "How msrctl ends is in [Exit codes](../exit-codes.md).",
        ]
    sections: dict[str, list[str]] = {}
    for parameter in command.get_params(ctx):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            section = getattr(parameter, "section", "General")
            sections.setdefault(section, []).append(_option_row(parameter))
    for section, rows in sections.items():
        head = "| Option | Variable | Default | Meaning |\n|---|---|---|---|"
        parts += [f"## {section}", "\n".join([head, *rows])]
    return "\n\n".join(parts) + "\n"


def storage_page(driver: str) -> str:
    """The page of a driver's storage configuration: its keys and a sample."""
    schema = load(f"storage-{driver}")
    versions = schema.get("x-versions", ["2.8", "3"])
    rows = list(_keys(schema, "", versions))
    parts = [
        f"# Storage configuration: {driver}",
        STORAGE_NOTE,
        _text(schema["description"]),
        STORAGE_USE.format(driver=driver),
        STORAGE_SECRETS,
        "## Keys",
        "\n".join(["| Key | Registry | Default | Meaning |", "|---|---|---|---|", *rows]),
    ]
    for version in versions:
        parts += [f"## Sample for registry {version}", f"```yaml\n{sample(driver, version)}```"]
    return "\n\n".join(parts) + "\n"


def _keys(schema: dict[str, Any], base: str, versions: list[str]) -> Iterator[str]:
    required = schema.get("required", [])
    for key, body in schema["properties"].items():
        words = [str(body["description"])]
        words += ["Required."] if key in required else []
        words += ["A secret."] if body.get("x-secret") else []
        values = body.get("enum") or body.get("items", {}).get("enum")
        words += [f"One of {', '.join(f'`{value}`' for value in values)}."] if values else []
        words += [f"On the original's storage page: {body['x-field']}."] if "x-field" in body else []
        known = ", ".join(body.get("x-versions", versions))
        default = f"`{json.dumps(body['default'])}`" if "default" in body else ""
        yield f"| `{base}{key}` | {known} | {default} | {_cell(' '.join(words))} |"
        if "properties" in body:
            yield from _keys(body, f"{base}{key}.", body.get("x-versions", versions))


def exit_codes_page() -> str:
    """The page of exit codes."""
    rows = [f"| {code} | {_cell(meaning)} |" for code, meaning in EXIT_CODES.items()]
    table = "\n".join(["| Code | Meaning |", "|---|---|", *rows])
    text = "msrctl uses these exit codes and no others. A usage error lists everything that is wrong at once."
    return f"# Exit codes\n\n{NOTE}\n\n{text}\n\n{table}\n"


def _command_list(path: str, group: click.Group, ctx: click.Context) -> str:
    lines = []
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        words = f"{path} {name}".strip()
        lines.append(
            f"* [`msrctl {words}`]({words.replace(' ', '-')}.md): {command.get_short_help_str(limit=200)}"
        )
    return "\n".join(lines)


def _option_row(parameter: click.Option) -> str:
    if not isinstance(parameter, Option):
        spelling = ", ".join(parameter.opts)
        return f"| `{spelling}` | | | {_cell(parameter.help or '')} |"
    variables = ", ".join(f"`{name}`" for name in parameter.variables)
    meaning = " ".join(text for text in (parameter.help, parameter.more) if text)
    spelling = parameter.spelling.replace("|", "\\|")
    return f"| `{spelling}` | {variables} | {_cell(parameter.default_text)} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    # Angle brackets would be taken for HTML.
    return " ".join(text.split()).replace("<", "&lt;").replace(">", "&gt;")


def _paragraphs(text: str) -> str:
    return "\n\n".join(_text(paragraph) for paragraph in text.split("\n\n"))


def stale() -> list[str]:
    """Names of pages that are missing, differ from what the command line says, or belong to no command."""
    wanted = pages()
    found = {*_written(), REFERENCE / "exit-codes.md"}
    wrong = {path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text}
    return sorted(str(path.relative_to(REFERENCE)) for path in wrong | (found - set(wanted)))


def _written() -> Iterator[Path]:
    """Pages in the directories that hold nothing else."""
    for directory in ("cli", "storage"):
        yield from (REFERENCE / directory).glob("*.md")


def main(arguments: list[str]) -> int:
    """Writes the pages, or with `--check` only compares them; the exit code."""
    if arguments == ["--check"]:
        for name in stale():
            print(f"not current: docs/reference/{name} (run python docs/generate.py)", file=sys.stderr)
        return 1 if stale() else 0
    if arguments:
        print("usage: python docs/generate.py [--check]", file=sys.stderr)
        return 2
    wanted = pages()
    for path in list(_written()):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
