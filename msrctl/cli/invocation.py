"""What holds for one run of msrctl, whatever the command: form of the output, debugging, colour, warnings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

OUTPUT_VARIABLE = "MSRCTL_OUTPUT"


def switched_on(text: str | None) -> bool:
    """Whether a variable that switches something is on: anything but empty, 0, false, no, off."""
    return (text or "").strip().lower() not in ("", "0", "f", "false", "n", "no", "off")


@dataclass
class Invocation:
    """One run: filled by the root's options, then by those of the command."""

    output: str = "text"
    debug: bool = False
    nocolor: bool = False
    command: str = ""
    """The command without the program's name, such as ``lock status``."""
    command_line: str = "msrctl"
    """What was typed, with secrets masked."""
    warnings: list[str] = field(default_factory=list)
    """Warnings found while parsing; the reporter shows them, and the JSON lists them."""

    @property
    def json(self) -> bool:
        """Whether stdout gets one JSON document."""
        return self.output == "json"

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Invocation:
        """What can be told before parsing, so that a parse error is shown in the form that was asked for."""
        made = cls(
            output="json" if os.environ.get(OUTPUT_VARIABLE, "").lower() == "json" else "text",
            debug=switched_on(os.environ.get("DEBUG")),
            nocolor=switched_on(os.environ.get("NOCOLOR")),
        )
        following = [*arguments[1:], ""]
        for argument, after in zip(arguments, following, strict=False):
            if argument == "--":
                break
            if argument == "--output" or argument.startswith("--output="):
                value = after if argument == "--output" else argument.partition("=")[2]
                made.output = "json" if value.lower() == "json" else "text"
            made.debug = made.debug or argument == "--debug"
            made.nocolor = made.nocolor or argument == "--nocolor"
        return made
