"""What tests of the command line share: a runner in a clean environment, workflows that only record."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from msrctl.cli import cli
from msrctl.cli.base import Option
from msrctl.model import results
from msrctl.plan.step import Plan

REPLICA = "5f0c2a9be417"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0a2V5\n-----END PRIVATE KEY-----\n"


def every_command() -> Iterator[tuple[str, click.Command]]:
    """All commands that people use, with their words after `msrctl`."""
    yield "", cli
    yield from _below(cli, "")


def _below(group: click.Group, words: str) -> Iterator[tuple[str, click.Command]]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        path = f"{words} {name}".strip()
        yield path, command
        if isinstance(command, click.Group):
            yield from _below(command, path)


def all_variables() -> set[str]:
    """Every environment variable that some option is read from."""
    return {
        variable
        for _, command in every_command()
        for parameter in command.params
        if isinstance(parameter, Option)
        for variable in parameter.variables
    } | {"MSRCTL_ADMIN_PASSWORD", "NO_COLOR"}


def run(*arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
    """Runs msrctl without a terminal; of the environment only `env` counts."""
    clean = dict.fromkeys(all_variables() & set(os.environ))
    return _runner().invoke(cli, list(arguments), env={**clean, **(env or {})}, input=stdin)


def _runner() -> CliRunner:
    try:
        return CliRunner(mix_stderr=False)  # type: ignore[call-arg]
    except TypeError:  # since click 8.2 they are always apart
        return CliRunner()


@dataclass
class Calls:
    """What workflows were called with."""

    requests: list[Any] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    """Results, or exceptions to raise, by the workflow's name."""
    act: Callable[[Any], None] | None = None
    """Called with the reporter before the workflow answers."""

    @property
    def request(self) -> Any:
        """The only request."""
        assert len(self.requests) == 1, self.requests
        return self.requests[0]

    def answer(self, name: str, request: Any, reporter: Any = None) -> Any:
        """What a recording workflow does."""
        self.requests.append(request)
        if self.act is not None:
            self.act(reporter)
        answer = self.answers[name]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def recording_workflows(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Puts workflows that only record in the place of the real ones."""
    calls = Calls(
        answers={
            "install": results.InstallResult(
                Plan("install"), replica_id=REPLICA, url="https://r.example.com"
            ),
            "reconfigure": results.ReconfigureResult(Plan("reconfigure")),
            "destroy": results.DestroyResult(Plan("destroy")),
            "emergency_repair": results.EmergencyRepairResult(Plan("repair"), replicas=(REPLICA,)),
            "status": results.StatusResult(installed=True),
            "usage": results.UsageResult(()),
            "lock_status": results.LockResult(held=False),
            "lock_release": results.LockResult(held=False, released=True),
        }
    )

    def workflow(name: str) -> Callable[..., Any]:
        return lambda request, reporter=None, **_kwargs: calls.answer(name, request, reporter)

    for module_name, functions in {
        "install": ["install"],
        "reconfigure": ["reconfigure"],
        "destroy": ["destroy"],
        "emergency": ["emergency_repair"],
        "status": ["status"],
        "usage": ["usage"],
        "lock": ["lock_status", "lock_release"],
    }.items():
        module = ModuleType(f"msrctl.workflows.{module_name}")
        for function in functions:
            setattr(module, function, workflow(function))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls
