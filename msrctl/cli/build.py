"""From checked options to the requests that workflows take; asks for what is missing on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from msrctl.bootstrapper import about_files
from msrctl.cli import checks, values
from msrctl.cli.base import Given
from msrctl.cli.terminal import ask, ask_secret, is_interactive
from msrctl.secret import Secret

if TYPE_CHECKING:
    # Made late: building these classes costs more than the rest of `--help`.
    from msrctl.model.requests import CommonRequest, EndpointRequest, SettingsRequest

PASSWORD_VARIABLE = "MSRCTL_ADMIN_PASSWORD"  # noqa: S105 - the variable's name


def endpoint(given: Given) -> EndpointRequest:
    """Which engine to talk to; user and password of a controller are asked for if they are missing."""
    from msrctl.model.requests import EndpointRequest

    url = given.value("ucp_url")
    if not url:
        return EndpointRequest()
    user = given.value("ucp_username") or ask("ucp-username", "The UCP administrator username")
    return EndpointRequest(
        ucp_url=url,
        ucp_username=user,
        ucp_password=given.value("ucp_password") or ask_secret("ucp-password"),
        ucp_ca=given.value("ucp_ca") or None,
        ucp_insecure_tls=bool(given.value("ucp_insecure_tls")),
    )


def common(given: Given) -> CommonRequest:
    """The options that every command takes."""
    from msrctl.model.requests import CommonRequest

    max_wait, lock_wait = given.value("max_wait"), given.value("lock_wait")
    defaults = CommonRequest()
    return CommonRequest(
        endpoint=endpoint(given),
        debug=given.invocation.debug,
        max_wait=defaults.max_wait if max_wait is None else max_wait,
        lock_wait=defaults.lock_wait if lock_wait is None else lock_wait,
        command_line=given.invocation.command_line,
    )


def settings(given: Given, *, empty_is_absent: bool) -> SettingsRequest:
    """The settings that were given.

    Arguments:
        empty_is_absent: an empty value means nothing (install), rather than "take it away" (reconfigure).
    """
    from msrctl.model.requests import SettingsRequest

    found = {}
    for parameter, name in checks.SETTINGS:
        value = given.value(parameter)
        if empty_is_absent and (value == "" or (isinstance(value, Secret) and not value)):
            value = None
        found[name] = value
    return SettingsRequest(**found)


def admin_password(given: Given) -> Secret | None:
    """The administrator's password from its file, stdin, a prompt or the variable; None: not given.

    Raises:
        click.UsageError: the file cannot be read, or the password cannot be used.
    """
    name = given.value("admin_password_file")
    if name == "-" and is_interactive():
        secret, source = ask_secret("admin-password", twice=True), "admin-password"
    elif name:
        secret, source = _read_password(given.ctx, name), f"--admin-password-file {name}"
    elif text := os.environ.get(PASSWORD_VARIABLE):
        secret, source = Secret(text), f"${PASSWORD_VARIABLE}"
    else:
        return None
    try:
        values.password(secret.reveal_text())
    except ValueError as error:
        raise click.UsageError(f"{source}: the password {error}", given.ctx) from None
    return secret


def _read_password(ctx: click.Context, name: str) -> Secret:
    from pathlib import Path

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        reason = f"{reason}{about_files()}" if isinstance(error, FileNotFoundError) else reason
        raise click.UsageError(f"--admin-password-file: cannot read {name}: {reason}", ctx) from None
    return Secret(text.removesuffix("\n").removesuffix("\r"))
