"""`python -m msrctl` and the console script."""

from __future__ import annotations

from msrctl.cli import cli


def main() -> None:
    """Runs msrctl with the arguments of the process; ends in one of msrctl.errors.EXIT_CODES."""
    cli.main(prog_name="msrctl")


if __name__ == "__main__":
    main()
