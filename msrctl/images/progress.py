"""What the image functions share: progress lines, and time limits of the Docker SDK's client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import docker

Progress = Callable[[str], None]


def silent(line: str) -> None:
    """A `Progress` that drops every line."""


@contextmanager
def time_limit(api: docker.APIClient, seconds: int | None) -> Iterator[None]:
    """Sets how long one read from the engine may take.

    Arguments:
        api: the client; its own limit (60 s by default) is put back at the end.
        seconds: the limit; None waits for ever, as unpacking gigabytes on a slow disk says nothing for long.
    """
    before = api.timeout
    api.timeout = seconds  # type: ignore[assignment]
    try:
        yield
    finally:
        api.timeout = before
