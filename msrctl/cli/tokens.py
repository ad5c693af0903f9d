"""Command-line tokens with the option that each belongs to, to rewrite `--flag=false` and to mask secrets."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import click

_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "no", "off"})
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class Token:
    """One option with its value, or (option None) anything else.

    Arguments:
        name: the option as typed, or the word itself.
        value: the value, None for a flag without one.
        words: the arguments as typed.
    """

    option: click.Option | None
    name: str
    value: str | None
    words: tuple[str, ...]


def tokens(
    arguments: Sequence[str], parameters: Iterable[click.Parameter], *, stop_at_word: bool
) -> Iterator[Token]:
    """Splits arguments the way click's parser does, without judging them.

    Arguments:
        stop_at_word: take everything from the first word that is no option as it is (a group's command).
    """
    options = {
        name: p for p in parameters if isinstance(p, click.Option) for name in (*p.opts, *p.secondary_opts)
    }
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        option = options.get(name if argument.startswith("--") else argument)
        is_word = not argument.startswith("-") or argument == "-"
        if argument == "--" or (is_word and stop_at_word):
            yield Token(None, argument, None, (argument,))
            yield from (Token(None, word, None, (word,)) for word in rest)
        elif option is None:
            yield Token(None, argument, None, (argument,))
        elif equals and argument.startswith("--"):
            yield Token(option, name, value, (argument,))
        elif option.is_flag:
            yield Token(option, argument, None, (argument,))
        else:
            following = next(rest, None)
            words = (argument,) if following is None else (argument, following)
            yield Token(option, argument, following, words)


def without_boolean_values(
    arguments: Sequence[str], parameters: Iterable[click.Parameter], *, stop_at_word: bool
) -> tuple[list[str], list[str]]:
    """Rewrites `--flag=true` to `--flag` and `--flag=false` to `--no-flag` (or drops it where there is none).

    Returns:
        the arguments, and what is wrong with them.
    """
    rewritten: list[str] = []
    problems: list[str] = []
    for token in tokens(arguments, parameters, stop_at_word=stop_at_word):
        if token.option is None or not token.option.is_flag or token.value is None:
            rewritten += token.words
        elif token.value.lower() in _TRUE:
            rewritten.append(token.name)
        elif token.value.lower() in _FALSE:
            rewritten += token.option.secondary_opts[:1]
        else:
            problems.append(f"{token.name}: {token.value!r} is neither true nor false")
    return rewritten, problems


def masked(
    arguments: Sequence[str], parameters: Iterable[click.Parameter], *, stop_at_word: bool
) -> list[str]:
    """The arguments for a lock or a journal: secrets and PEM text masked, long values cut, all quoted."""
    shown = []
    for token in tokens(arguments, parameters, stop_at_word=stop_at_word):
        if token.option is None or token.value is None:
            shown += [_shortened(word) for word in token.words]
        elif getattr(token.option, "secret", False):
            shown.append(f"{token.name}=****")
        else:
            shown.append(f"{token.name}={_shortened(token.value)}")
    return shown


def _shortened(text: str) -> str:
    if "-----BEGIN " in text:
        return "(PEM)"
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
    return shlex.quote("".join(c if c.isprintable() else "?" for c in text)) if text else "''"
