"""How options are declared, and the groups of options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from msrctl.cli import pem, values
from msrctl.cli.base import EXTENDED_HELP_VARIABLES, Option, invocation_of, show_extended_help
from msrctl.cli.invocation import OUTPUT_VARIABLE, switched_on
from msrctl.secret import Secret

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

ENGINE = "Engine"
GENERAL = "General"


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic only since click 8.2


class Checked(_ParamType):
    """A value that a function of msrctl.cli.values checks and brings into one form.

    Arguments:
        name: the value's name in help, such as ``PORT``.
        function: raises ValueError with a reason.
        empty: an empty string is a value of its own ("take it away").
    """

    def __init__(self, name: str, function: Callable[[str], Any], *, empty: bool = False) -> None:
        self.name = name
        self._function = function
        self._empty = empty

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The checked value."""
        if not isinstance(value, str) or (self._empty and not value):
            return value
        try:
            return self._function(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Switch(click.types.BoolParamType):
    """A flag whose environment variable may hold anything, because other programs use it as well."""

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 - click's signature
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Any:
        """True or False."""
        return switched_on(value) if isinstance(value, str) else value


class SecretText(_ParamType):
    """A secret; an empty one counts as not given unless `empty`."""

    def __init__(self, name: str, function: Callable[[str], str], *, empty: bool = False) -> None:
        self.name = name
        self._function = function
        self._empty = empty

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value as a Secret; the reason of a refusal never holds the value."""
        if not isinstance(value, str):
            return value
        if not value:
            return Secret("") if self._empty else None
        try:
            return Secret(self._function(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def both_spellings(variable: str | tuple[str, ...]) -> list[str]:
    """The documented variable, and for each DTR_ name the MSR_ one that newer documentation writes."""
    names: list[str] = []
    for name in (variable,) if isinstance(variable, str) else variable:
        names += [name, "MSR_" + name[4:]] if name.startswith("DTR_") else [name]
    return names


def option(*declarations: str, variable: str | tuple[str, ...] = (), **attributes: Any) -> Decorator:
    """An option of msrctl; absent means None."""
    return click.option(
        *declarations, cls=Option, envvar=both_spellings(variable) or None, default=None, **attributes
    )


def flag(name: str, *more_names: str, variable: str | tuple[str, ...] = (), **attributes: Any) -> Decorator:
    """A boolean option; `--name=true`, `--name=false` and the hidden `--no-name` are understood as well."""
    attributes.setdefault("type", click.BOOL)
    names = "/".join([name, f"--no-{name[2:]}"])
    return option(*more_names, names, variable=variable, is_flag=True, **attributes)


def together(*decorators: Decorator) -> Callable[[Function], Function]:
    """Several options as one decorator, shown in this order."""

    def apply(function: Function) -> Function:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def _keep(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        # What was typed after the command wins over what stands before it; variables were read at the root.
        typed = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if value is not None and not ctx.resilient_parsing and (typed or ctx.parent is None):
            setattr(invocation_of(ctx), attribute, value)

    return callback


general_options = together(
    option(
        "--output",
        type=click.Choice(["text", "json"], case_sensitive=False),
        metavar="text|json",
        variable=OUTPUT_VARIABLE,
        is_eager=True,
        expose_value=False,
        callback=_keep("output"),
        section=GENERAL,
        default_text="text",
        help="Form of the result on stdout.",
        more="With json, stdout holds one JSON document, also when the command fails: command, ok, "
        "exit_code, data, error, warnings. Progress and log lines stay on stderr.",
    ),
    flag(
        "--debug",
        variable="DEBUG",
        type=Switch(),
        is_eager=True,
        expose_value=False,
        callback=_keep("debug"),
        section=GENERAL,
        help="Log more, and show a traceback when something fails.",
        more="This is about msrctl itself; --log-level is about the services of the registry.",
    ),
    flag(
        "--nocolor",
        variable="NOCOLOR",
        type=Switch(),
        is_eager=True,
        expose_value=False,
        callback=_keep("nocolor"),
        section=GENERAL,
        help="No colours and no moving progress.",
        more="NO_COLOR is respected as well.",
    ),
    flag(
        "--help-extended",
        variable=EXTENDED_HELP_VARIABLES[0],
        type=Switch(),
        is_eager=True,
        expose_value=False,
        callback=show_extended_help,
        section=GENERAL,
        help="Show longer help and exit.",
        more="If the variable is set, --help shows the longer help, too.",
    ),
)

endpoint_options = together(
    option(
        "--ucp-url",
        type=Checked("HOST[:PORT]", values.ucp_url),
        variable="UCP_URL",
        section=ENGINE,
        default_text="DOCKER_HOST, the docker context or the local socket",
        help="An MKE/UCP controller to reach the swarm through.",
        more="Name a node rather than a load balancer with short time-outs. User and password are asked for "
        "on a terminal when they are missing.",
    ),
    option(
        "--ucp-username",
        type=Checked("NAME", values.single_line),
        variable="UCP_USERNAME",
        section=ENGINE,
        help="The UCP administrator username.",
    ),
    option(
        "--ucp-password",
        type=SecretText("PASSWORD", values.single_line),
        variable="UCP_PASSWORD",
        section=ENGINE,
        secret=True,
        help="The UCP administrator password. Arguments are visible in ps: prefer the variable.",
    ),
    option(
        "--ucp-ca",
        type=Checked("PEM", pem.certificates, empty=True),
        variable="UCP_CA",
        section=ENGINE,
        help="CA that signed the controller's certificate: PEM text, or a file's path or @path.",
        more="The controller offers it at https://<controller>/ca.",
    ),
    flag(
        "--ucp-insecure-tls",
        variable="UCP_INSECURE_TLS",
        section=ENGINE,
        help="Accept any certificate of the controller. Not for production.",
    ),
)

max_wait_option = option(
    "--max-wait",
    type=Checked("DURATION", values.positive_duration),
    variable="MAX_WAIT",
    section=GENERAL,
    default_text="10m",
    help="Longest time to wait for any one thing, such as 90s, 10m or 1h30m.",
)

lock_wait_option = option(
    "--lock-wait",
    type=Checked("DURATION", values.duration),
    variable="MSRCTL_LOCK_WAIT",
    section=GENERAL,
    default_text="0",
    help="How long to wait for another msrctl to finish.",
)

dry_run_option = flag(
    "--dry-run",
    section=GENERAL,
    help="Check and show the plan; change nothing.",
)

skip_unreachable_option = flag(
    "--skip-unreachable",
    section=GENERAL,
    help="Pass over replicas whose nodes do not answer; they are behind until they are changed too.",
    more="When such a node has returned, msrctl status says that its replica is behind, and msrctl "
    "reconfigure brings it on. It is never for a change of the storage: a node that returned with the old "
    "store would take pushes into it.",
)

yes_option = flag(
    "--yes",
    "-y",
    variable="MSRCTL_YES",
    section=GENERAL,
    help="Answer yes to questions.",
)
