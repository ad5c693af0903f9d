"""Click classes: options that collect problems, commands that check them together, groups that load late."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
from click.core import ParameterSource

from msrctl.cli import tokens
from msrctl.cli.helptext import Context
from msrctl.cli.invocation import Invocation, switched_on

EXTENDED_HELP_VARIABLES = ("DTR_EXTENDED_HELP", "MSR_EXTENDED_HELP")
_PROBLEMS = "msrctl.problems"
_EXTENDED = "msrctl.extended-help"


class Option(click.Option):
    """An option with longer help, a section in `--help`, and problems that are collected instead of raised.

    Arguments:
        more: further help, shown by `--help-extended` and in the reference.
        section: the heading in `--help`.
        default_text: what holds when the option is absent, in words (the value itself is None then).
        secret: the value is never shown.
        ignored: why the option has no effect; giving it is answered with this warning.
    """

    def __init__(
        self,
        *declarations: Any,
        more: str = "",
        section: str = "Options",
        default_text: str = "",
        secret: bool = False,
        ignored: str = "",
        **attributes: Any,
    ) -> None:
        super().__init__(*declarations, **attributes)
        self.more = more
        self.section = section
        self.default_text = default_text
        self.secret = secret
        self.ignored = ignored

    @property
    def long_name(self) -> str:
        """The spelling that messages use."""
        return max(self.opts, key=len)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the option is read from, first match first."""
        return (self.envvar,) if isinstance(self.envvar, str) else tuple(self.envvar or ())

    @property
    def spelling(self) -> str:
        """Names and value for help: `-y, --yes` or `--ucp-url HOST[:PORT]`."""
        names = ", ".join(sorted(self.opts, key=len))
        return names if self.is_flag else f"{names} {self.metavar or self.type.name.upper()}"

    def label(self, ctx: click.Context) -> str:
        """The option in a message, with the variable if the value came from there."""
        if ctx.get_parameter_source(self.name or "") is ParameterSource.ENVIRONMENT:
            source = next((name for name in self.variables if os.environ.get(name)), "")
            return f"{self.long_name} (from ${source})"
        return self.long_name

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Notes what is wrong with the value, so that all problems are reported together."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.BadParameter as error:
            problems(ctx).append((self.name or "", f"{self.label(ctx)}: {error.message}"))
            ctx.params[self.name or ""] = None
            return None, args

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Spelling and meaning for `--help`, with variables and default."""
        if self.hidden:
            return None
        extra = ["$" + self.variables[0]] if self.variables else []
        extra += [f"default: {self.default_text}"] if self.default_text else []
        text = f"{self.help or ''}{'  [' + '; '.join(extra) + ']' if extra else ''}"
        if self.more and extended_help(ctx):
            text += f"\n\n{self.more}"
        return self.spelling, text


def problems(ctx: click.Context) -> list[tuple[str, str]]:
    """What is wrong with the arguments of this context so far: names of parameters and messages."""
    found: list[tuple[str, str]] = ctx.meta.setdefault(_PROBLEMS, [])
    return found


def extended_help(ctx: click.Context) -> bool:
    """Whether help is asked for in its long form."""
    return bool(ctx.meta.get(_EXTENDED)) or any(
        switched_on(os.environ.get(v)) for v in EXTENDED_HELP_VARIABLES
    )


def show_extended_help(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
    """Callback of `--help-extended`."""
    if (
        value
        and not ctx.resilient_parsing
        and ctx.get_parameter_source(_parameter.name or "") is (ParameterSource.COMMANDLINE)
    ):
        ctx.meta[_EXTENDED] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class Given:
    """What a command was given, for checks of options against each other."""

    def __init__(self, ctx: click.Context) -> None:
        self.ctx = ctx
        self._broken = {name for name, _ in problems(ctx)}

    def value(self, name: str) -> Any:
        """The checked value; None if absent or wrong."""
        return self.ctx.params.get(name)

    def has(self, name: str) -> bool:
        """Whether it was given, be it wrong."""
        return self.value(name) is not None or name in self._broken

    def sets(self, name: str) -> bool:
        """Whether it was given and is neither empty nor false."""
        return bool(self.value(name)) or name in self._broken

    def typed(self, name: str) -> bool:
        """Whether it stands on the command line (and not in the environment)."""
        return self.has(name) and self.ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE

    @property
    def invocation(self) -> Invocation:
        """The run that this command belongs to."""
        return invocation_of(self.ctx)


Check = Callable[[Given], Iterable[str]]


def invocation_of(ctx: click.Context) -> Invocation:
    """The run that a context belongs to."""
    return ctx.ensure_object(Invocation)


class _Parsing(click.Command):
    """What commands and groups share: rewriting of boolean values, and one message for all problems."""

    context_class = Context
    checks: tuple[Check, ...] = ()
    more: str = ""
    stop_at_word = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses, then checks options against each other, then refuses everything wrong in one message."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        parameters = self.get_params(ctx)
        invocation = invocation_of(ctx)
        invocation.command = " ".join(ctx.command_path.split()[1:]) if ctx.parent else ""
        invocation.command_line = " ".join(
            [ctx.command_path, *tokens.masked(args, parameters, stop_at_word=self.stop_at_word)]
        )
        args, wrong = tokens.without_boolean_values(args, parameters, stop_at_word=self.stop_at_word)
        rest = super().parse_args(ctx, args)
        given = Given(ctx)
        for parameter in parameters:
            if isinstance(parameter, Option) and parameter.ignored and given.sets(parameter.name or ""):
                invocation.warnings.append(f"{parameter.long_name} has no effect: {parameter.ignored}")
        messages = [*wrong, *(message for _, message in problems(ctx))]
        messages += [message for check in self.checks for message in check(given)]
        problems(ctx).clear()
        if messages:
            raise click.UsageError("\n".join(messages), ctx)
        return rest

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help text, and the longer one if asked for."""
        super().format_help_text(ctx, formatter)
        if self.more and extended_help(ctx):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(self.more)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options under the headings of their sections, in the order of declaration."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", "General"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class Command(_Parsing):
    """A command of msrctl.

    Arguments:
        checks: functions that look at all options together and yield what is wrong.
        more: further help, shown by `--help-extended` and in the reference.
    """

    def __init__(
        self, *arguments: Any, checks: tuple[Check, ...] = (), more: str = "", **attributes: Any
    ) -> None:
        super().__init__(*arguments, **attributes)
        self.checks = checks
        self.more = more


@dataclass(frozen=True)
class Late:
    """A command that is imported when it is used.

    Arguments:
        module: where its object `command` is.
        short_help: its line in the group's help; the command's own must be the same.
    """

    module: str
    short_help: str
    hidden: bool = False


class Group(_Parsing, click.Group):
    """A group whose commands are listed in a table and imported late; renders errors when it is the root.

    Arguments:
        late: commands by their names.
        default: the command that runs when nothing is named.
    """

    stop_at_word = True

    def __init__(
        self,
        *arguments: Any,
        late: Mapping[str, Late] | None = None,
        default: str | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*arguments, **attributes)
        self.late = dict(late or {})
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses up to the command's name; without any argument the default runs, or help is shown."""
        if not args and self.default and not ctx.resilient_parsing:
            args = [self.default]
        if not args and not ctx.resilient_parsing and not invocation_of(ctx).json:
            click.echo(ctx.get_help(), err=True, color=ctx.color)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table, then of declaration."""
        return [*(name for name, entry in self.late.items() if not entry.hidden), *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now if need be."""
        if cmd_name in self.late:
            command: click.Command = import_module(self.late[cmd_name].module).command
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or says which one was probably meant."""
        name = args[0]
        if not ctx.resilient_parsing and name not in self.late and name not in self.commands:
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"There is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(  # click's signature
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """The list of commands, from the table alone."""
        rows = [(name, entry.short_help) for name, entry in self.late.items() if not entry.hidden]
        rows += [(name, command.get_short_help_str(limit=100)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands first, then options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,
    ) -> Any:
        """Runs a command line; in standalone mode every error is shown and ends in its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        invocation = Invocation.from_arguments(arguments)
        extra.setdefault("obj", invocation)

        def run() -> Any:
            return super(Group, self).main(
                arguments, prog_name or self.name, complete_var, standalone_mode=False, **extra
            )

        if not standalone_mode:
            return run()
        from msrctl.cli.faults import exit_code_of

        sys.exit(exit_code_of(run, invocation))
