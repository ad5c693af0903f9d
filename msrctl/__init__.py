"""msrctl: installs, reconfigures and moves a private image registry on Docker Swarm."""

__version__ = "0.1.0"
