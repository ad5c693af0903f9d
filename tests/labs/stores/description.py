"""What a test is told about a store: where it is, how to get in, and how a registry is configured for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msrctl.secret import Secret

if TYPE_CHECKING:
    from labs.machine import Machine

WRONG_SECRET = Secret("bm90IHRoZSByaWdodCBrZXksIGJ1dCBiYXNlNjQ=")
"""A password or key that no store here knows; base64, as Azure's must be."""


@dataclass(frozen=True, kw_only=True)
class ObjectStore(ABC):
    """A standing store.

    Attributes:
        endpoint: where it answers, as a URL.
        container: the bucket or container that is there for the registry.
        ca: the CA (PEM) that its certificate is from; empty: plain http.
        machine: what it runs on, to freeze it or to pull its plug.
    """

    endpoint: str
    container: str
    ca: str = field(default="", repr=False)
    machine: Machine = field(repr=False, compare=False)

    @property
    def needs_hosts(self) -> tuple[tuple[str, str], ...]:
        """Names with their addresses that clients must resolve (see `names.NameServer`); mostly none."""
        return ()

    @abstractmethod
    def storage_section(self) -> dict[str, dict[str, Any]]:
        """The registry's ``storage`` section for it, credentials in clear: the driver and nothing else."""

    @abstractmethod
    def with_wrong_secret(self) -> ObjectStore:
        """The same store as seen by somebody whose password or key is wrong."""
