"""The examples for scheduled backups do what they say: the script, the units, the CI jobs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from cli_support import every_command

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "backup"
SCRIPT = EXAMPLES / "msrctl-backup.sh"
STUB = """#!/bin/sh
echo "$*" >> "$CALLS"
for last; do :; done
case "$*" in
  *" verify "*) exit "${VERIFY:-0}" ;;
  *) [ "${BACKUP:-0}" = 0 ] && echo data > "$last"; echo '{"ok": true}'; exit "${BACKUP:-0}" ;;
esac
"""


class Place:
    """A directory for backups, and a msrctl that only writes down what it was asked."""

    def __init__(self, directory: Path) -> None:
        self.backups = directory / "backups"
        self.calls = directory / "calls"
        self.metrics = directory / "backup.prom"
        program = directory / "bin" / "msrctl"
        program.parent.mkdir()
        program.write_text(STUB)
        program.chmod(0o755)
        self.environment = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "BACKUP_DIRECTORY": str(self.backups),
            "BACKUP_METRICS": str(self.metrics),
        }

    def run(self, **more: str) -> int:
        done = subprocess.run(["sh", str(SCRIPT)], env=self.environment | more, check=False)
        return done.returncode

    def old(self, count: int) -> list[str]:
        """Backups of earlier nights."""
        self.backups.mkdir()
        names = [f"msrctl-202601{n:02}T021500Z.backup" for n in range(1, count + 1)]
        for name in names:
            (self.backups / name).write_text("old")
        return names

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.backups.glob("*.backup"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_new_backup_is_proven_and_the_oldest_goes(place: Place) -> None:
    old = place.old(3)
    (place.backups / "notes.txt").write_text("somebody's")
    assert place.run(BACKUP_KEEP="3") == 0
    kept = place.kept()
    assert kept[:2] == old[1:]
    assert len(kept) == 3
    made, proven = place.calls.read_text().splitlines()
    assert made.startswith("--output json backup --output-file ")
    assert proven == f"--output json backup verify {place.backups / kept[-1]}"
    assert (place.backups / "notes.txt").exists()
    assert json.loads((place.backups / "last.json").read_text())["ok"]
    assert "msrctl_backup_exit_code 0\n" in place.metrics.read_text()
    assert "msrctl_backups 3\n" in place.metrics.read_text()


@pytest.mark.parametrize(("step", "code"), [("BACKUP", "5"), ("VERIFY", "7")])
def test_a_failure_keeps_every_old_backup_and_is_told(step: str, code: str, place: Place) -> None:
    old = place.old(3)
    assert place.run(**{step: code, "BACKUP_KEEP": "1"}) == int(code)
    assert place.kept() == old
    assert f"msrctl_backup_exit_code {code}\n" in place.metrics.read_text()


def test_a_passphrase_encrypts_and_never_is_an_argument(place: Place) -> None:
    assert place.run(MSRCTL_BACKUP_PASSPHRASE="correct horse") == 0
    assert " --encrypt " in place.calls.read_text()
    assert "horse" not in place.calls.read_text()


def test_what_cannot_be_opened_here_is_not_proven_here(place: Place) -> None:
    assert place.run(BACKUP_OPTIONS="--recipient age1xyz") == 0
    assert "verify" not in place.calls.read_text()
    assert place.run(BACKUP_OPTIONS="--recipient age1xyz", MSRCTL_BACKUP_IDENTITY="/key") == 0
    assert "verify" in place.calls.read_text()


@pytest.mark.parametrize("keep", ["0", "-1", "all", ""])
def test_a_retention_that_is_no_number_is_refused(keep: str, place: Place) -> None:
    place.old(2)
    assert place.run(BACKUP_KEEP=keep or " ") == 2
    assert len(place.kept()) == 2


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = []
    for path in sorted(EXAMPLES.glob("msrctl-*.service")) + sorted(EXAMPLES.glob("msrctl-*.timer")):
        text = path.read_text().replace("/usr/local/lib/msrctl/msrctl-backup.sh", str(SCRIPT))
        unit = tmp_path / path.name
        unit.write_text(text)
        units.append(str(unit))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stderr.splitlines() if "msrctl-" in line]
    assert (done.returncode, told) == (0, []), done.stderr
    assert len(units) == 4


def commands(path: Path) -> list[list[str]]:
    """Every call of msrctl in an example, in words."""
    text = path.read_text().replace("\\\n", " ")
    return [shlex.split(line.partition(" >")[0]) for line in re.findall(r"msrctl (--output .*)", text)]


@pytest.mark.parametrize("name", ["gitlab-ci.yml", "github-workflow.yml", "msrctl-drill.service"])
def test_every_command_and_option_in_the_examples_exists(name: str) -> None:
    known: dict[str, click.Command] = dict(every_command())
    found = commands(EXAMPLES / name)
    assert found
    for words in found:
        assert words[:3] == ["--output", "json", "backup"]
        command = known["backup drill" if words[3] == "drill" else "backup"]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[2:] if word.startswith("--")} <= options


@pytest.mark.parametrize("name", ["gitlab-ci.yml", "github-workflow.yml"])
def test_ci_jobs_are_yaml_with_a_retention(name: str) -> None:
    data: Any = yaml.safe_load((EXAMPLES / name).read_text())
    assert "expire_in" in json.dumps(data, default=str) or "retention-days" in json.dumps(data, default=str)
