"""Whether somebody sits at a terminal, and asking them for what is missing."""

from __future__ import annotations

import sys

import click

from msrctl.secret import Secret


def is_interactive() -> bool:
    """Whether questions can be asked: a terminal on both stdin and stderr."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def _is_terminal(stream: object) -> bool:
    try:
        return bool(getattr(stream, "isatty", lambda: False)())
    except ValueError:  # closed
        return False


def ask(name: str, meaning: str) -> str:
    """Asks for a value in the original's form, `name (meaning): `."""
    answer: str = click.prompt(f"{name} ({meaning}): ", prompt_suffix="", err=True)
    return answer


def ask_secret(name: str, *, twice: bool = False) -> Secret:
    """Asks for a secret without echo, `name: `.

    Arguments:
        twice: ask again, because a mistake would lock somebody out.
    """
    again = f"{name} again: " if twice else False
    return Secret(
        click.prompt(f"{name}: ", prompt_suffix="", hide_input=True, err=True, confirmation_prompt=again)
    )
