"""The command line of msrctl: parsing only, workflows do the work."""

from msrctl.cli.root import cli as cli
