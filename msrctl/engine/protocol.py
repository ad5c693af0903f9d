"""What msrctl needs of a Docker Engine: a small interface with a real and a fake implementation.

Objects go in and out as the JSON of the Engine API, version 1.41
(https://docs.docker.com/reference/api/engine/version/v1.41/), so that a plan can hold them as data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from msrctl.errors import MsrctlError

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Mapping

    from msrctl.engine.logstream import Record

JSON = dict[str, Any]
Kind = Literal["services", "configs", "secrets", "networks", "volumes"]

MINIMUM_API = (1, 41)
ENDED = frozenset({"complete", "failed", "rejected", "shutdown", "orphaned", "remove"})
"""States of tasks that run no more and never will."""


class ApiError(MsrctlError):
    """The engine refused a request.

    Arguments:
        status: the HTTP status of the answer.
        text: the engine's own message.
        doing: what was asked, in words ("create service dtr-nginx-...").
    """

    default_code = "ENGINE"

    def __init__(self, status: int, text: str, doing: str = "") -> None:
        super().__init__(f"{doing}: {text}" if doing else text)
        self.status = status
        self.text = text


class NotFound(ApiError):
    """404: no such object."""


class Conflict(ApiError):
    """409, and the 500s that mean the same: the name is taken, or the object is in use."""


class OutOfSequence(ApiError):
    """A version is stale: somebody else changed the object since it was read."""


@runtime_checkable
class Engine(Protocol):
    """One endpoint of a swarm. Not thread-safe: one per thread (`clone`)."""

    @property
    def endpoint(self) -> str:
        """Where the engine is, in words for messages, without credentials."""

    def clone(self) -> Engine:
        """Another connection to the same endpoint, for another thread."""

    def expect_leader(self) -> None:
        """From now on a leader that is missed is one that is being elected, and requests wait for it.

        For changes that have begun: whoever only asks is told at once that there is none.
        """

    def close(self) -> None:
        """Closes the connections; a clone is closed by who made it."""

    def info(self) -> JSON:
        """`GET /info`."""

    def version(self) -> JSON:
        """`GET /version`."""

    def init_swarm(self, advertise_addr: str | None = None) -> str:
        """Makes the engine a single-node swarm with the label component=swarm; returns the node id."""

    def leave_swarm(self) -> None:
        """Takes the engine out of its swarm, by force. Only to undo `init_swarm`."""

    def force_new_cluster(self) -> None:
        """Makes a manager the only one of its swarm, whose other managers are lost; services and data stay.

        Raises:
            ApiError: the engine is no manager.
        """

    def nodes(self) -> list[JSON]:
        """`GET /nodes`."""

    def remove_node(self, ident: str) -> bool:
        """Takes a node that does not answer out of the swarm; False if there was none."""

    def list(self, kind: Kind, labels: Mapping[str, str | None] | None = None) -> list[JSON]:
        """Objects of a kind that carry all the labels (None as a value: any value).

        Volumes are those of the endpoint's own node only.
        """

    def find(self, kind: Kind, name: str) -> JSON | None:
        """The object of exactly this name (the API's filters match prefixes), or None."""

    def create(self, kind: Kind, spec: JSON) -> str:
        """Creates an object from the body that the API documents; returns its id (a volume's name).

        For services, a network's name under ``Networks[].Target`` and names of configs and secrets without
        ids are allowed: the adapter fills in the ids. A volume that exists already keeps its options without
        a word (the engine's own behaviour): its name is returned and nothing raised.

        Raises:
            Conflict: the name is taken.
        """

    def update(self, kind: Kind, ident: str, version: int, spec: JSON, *, back: bool = False) -> None:
        """Replaces the spec of a service, or the labels of a config or secret, at a known version.

        Arguments:
            kind: services, configs or secrets.
            ident: the object's id.
            version: the version that was read.
            spec: what it is to be.
            back: `spec` is what the engine holds as the service's previous one. It is put back as by
                ``docker service rollback``: should a task fail meanwhile, the engine does not return to
                the present spec, as it would in an update whose failure action is "rollback".

        Raises:
            OutOfSequence: the object has changed since `version` was read.
            NotFound: it is gone.
        """

    def remove(self, kind: Kind, ident: str) -> bool:
        """Removes an object by id or exact name; False if there was none.

        Raises:
            Conflict: it is in use.
        """

    def tasks(self, service: str) -> builtins.list[JSON]:
        """Tasks of a service (id or name), newest first."""

    def logs(self, service: str, *, tail: int | None = None) -> Iterator[str]:
        """Lines that the tasks of a service wrote, oldest first, without following."""

    def records(
        self, service: str, *, tail: int | None = None, since: str = "", follow: bool = False
    ) -> Iterator[Record]:
        """Lines of a service's log with their times.

        Arguments:
            service: id or name.
            tail: the last so many of each task; None: all.
            since: not what is older: RFC 3339 in UTC, ending in Z.
            follow: go on with what comes, in the order in which it comes. It ends when the connection is cut
                or was silent for a while: ask again, from the last line's time on. Else oldest first.

        Raises:
            NotFound: no such service.
        """

    def stream_logs(self, service: str) -> Iterator[str]:
        """Lines that the only task of a service wrote, as they come, however many; without following."""

    def image(self, reference: str) -> JSON | None:
        """`GET /images/{name}/json` on the endpoint's node, or None."""

    def containers(self, labels: Mapping[str, str | None]) -> builtins.list[JSON]:
        """Containers of the endpoint's own node, running or not, that carry all the labels."""

    def remove_container(self, ident: str) -> bool:
        """Stops and removes a container of the endpoint's own node; False if it was gone or is going."""
