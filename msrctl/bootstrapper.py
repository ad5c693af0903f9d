"""What errors say besides where msrctl runs from its own image: the host's files and socket are not there."""

from __future__ import annotations

import os

# Set in the Dockerfile.
VARIABLE = "MSRCTL_IN_IMAGE"


def about_socket() -> str:
    """How a container gets the engine's socket, to be added to a hint; empty outside of one."""
    if not os.environ.get(VARIABLE):
        return ""
    return (
        " This msrctl runs in a container, which has to be given the engine's socket: "
        "docker run -v /var/run/docker.sock:/var/run/docker.sock ..."
    )


def about_files() -> str:
    """That a container does not have the host's files, to be added to a reason; empty outside of one."""
    if not os.environ.get(VARIABLE):
        return ""
    return " in this container (mount it: docker run -v)"
