"""The Docker Engine as `Engine`: the Engine API over the docker SDK's low-level client."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from msrctl.engine import faults, patience
from msrctl.engine.logstream import LogReader, Record, records_as_they_come, records_of, unix_stamp
from msrctl.engine.protocol import JSON, MINIMUM_API, ApiError, Conflict, Kind, NotFound
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names

if TYPE_CHECKING:
    import builtins

    import requests
    from docker import APIClient

Dial = Callable[[str], "APIClient"]

# Networks that every node has by itself: services name them, they are not objects of the swarm.
PREDEFINED_NETWORKS = frozenset({"host", "none", "bridge"})

# An engine without a swarm leader answers after 20 s; time-outs must be longer to see its own message.
DEFAULT_TIMEOUT = 60.0
LOG_TIMEOUT = 20.0
LOG_CHUNK = 256 << 10

_ID_FIELDS = {
    "Configs": ("configs", "ConfigName", "ConfigID"),
    "Secrets": ("secrets", "SecretName", "SecretID"),
}
_SINGULAR = {
    "services": "service",
    "configs": "config",
    "secrets": "secret",
    "networks": "network",
    "volumes": "volume",
}


class DockerEngine:
    """One endpoint of a swarm, real. Not thread-safe: `clone` gives another one.

    Arguments:
        dial: makes a client for a version of the API ("1.41") without asking the engine anything.
        endpoint: where the engine is, in words, without credentials.
        version: of the API; None: as the engine says.
        led: see `expect_leader`.
    """

    def __init__(self, dial: Dial, endpoint: str, *, version: str | None = None, led: bool = False) -> None:
        self._dial = dial
        self._led = led
        self._endpoint = endpoint
        self._api = dial(version or _dotted(MINIMUM_API))
        if version is None:
            version = self._negotiate()
            if version != self._api.api_version:
                self._api.close()
                self._api = dial(version)
        self._version = version

    @property
    def endpoint(self) -> str:
        """Where the engine is, in words for messages, without credentials."""
        return self._endpoint

    @property
    def api(self) -> APIClient:
        """The docker SDK's client, for what only images need: build, load, save."""
        return self._api

    def clone(self) -> DockerEngine:
        """Another connection to the same endpoint, for another thread."""
        return type(self)(self._dial, self._endpoint, version=self._version, led=self._led)

    def expect_leader(self) -> None:
        """Waits for leaders from now on; see `Engine.expect_leader`."""
        self._led = True

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    # -- the engine itself -------------------------------------------------------------------------

    def info(self) -> JSON:
        """`GET /info`."""
        return cast("JSON", self._get("/info", doing="ask the engine about itself"))

    def version(self) -> JSON:
        """`GET /version`."""
        return cast("JSON", self._get("/version", doing="ask the engine for its version"))

    def init_swarm(self, advertise_addr: str | None = None) -> str:
        """Makes the engine a single-node swarm, labelled as msrctl's; returns the node id.

        What else the spec has is left to the engine (moby, daemon/cluster/swarm.go, initClusterSpec: merged).
        """
        body = {
            "ListenAddr": "0.0.0.0:2377",
            "AdvertiseAddr": advertise_addr or "",
            "Spec": {"Labels": {names.LABEL_COMPONENT: "swarm"}},
        }
        answer = self._call("POST", "/swarm/init", body=body, doing="initialise a swarm")
        return str(answer.json())

    def leave_swarm(self) -> None:
        """Takes the engine out of its swarm, by force. Only to undo `init_swarm`."""
        self._call("POST", "/swarm/leave", params={"force": "1"}, doing="leave the swarm")

    def force_new_cluster(self) -> None:
        """Makes a manager the only one of its swarm, whose other managers are lost; services and data stay.

        The engine takes the addresses from the request, not from what it had, so they are given as they were;
        an empty Spec changes no setting of the swarm (moby, daemon/cluster/swarm.go, Init, initClusterSpec).
        """
        swarm = self.info().get("Swarm", {})
        own = [m["Addr"] for m in swarm.get("RemoteManagers") or [] if m["NodeID"] == swarm.get("NodeID")]
        port = own[0].rsplit(":", 1)[1] if own else "2377"
        address = str(swarm.get("NodeAddr", ""))
        body = {
            "ForceNewCluster": True,
            "ListenAddr": f"0.0.0.0:{port}",
            "AdvertiseAddr": f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
            "Spec": {},
        }
        self._call("POST", "/swarm/init", body=body, doing="make the engine the only manager of its swarm")

    def nodes(self) -> list[JSON]:
        """`GET /nodes`."""
        return cast("list[JSON]", self._get("/nodes", doing="list the nodes"))

    def remove_node(self, ident: str) -> bool:
        """Takes a node that does not answer out of the swarm; False if there was none."""
        return self._delete(f"/nodes/{quote(ident, safe='')}", doing=f"remove node {ident}", force="1")

    # -- objects -----------------------------------------------------------------------------------

    def list(self, kind: Kind, labels: Mapping[str, str | None] | None = None) -> list[JSON]:
        """Objects of a kind that carry all the labels (None as a value: any value)."""
        return self._list(kind, _label_filter(labels or {}))

    def find(self, kind: Kind, name: str) -> JSON | None:
        """The object of exactly this name (the API's filters match prefixes), or None."""
        same = [o for o in self._list(kind, {"name": [name]}) if _name_of(o) == name]
        # A node may have a local network of the same name; the swarm's own is meant.
        same.sort(key=lambda o: o.get("Scope") != "swarm")
        return same[0] if same else None

    def create(self, kind: Kind, spec: JSON) -> str:
        """Creates an object from the body that the API documents; returns its id (a volume's name).

        A volume that exists is not a conflict for the engine: it keeps its old options without a word.
        The request carries no registry login and no client version, so the engine asks no registry
        (moby, api/server/router/swarm/cluster_routes.go: `queryRegistry`).

        Raises:
            Conflict: the name is taken.
            NotFound: the spec names a network, config or secret that there is not.
        """
        body = self._with_ids(spec) if kind == "services" else spec
        if kind == "networks":
            body = {**body, "CheckDuplicate": True}
        doing = f"create {_SINGULAR[kind]} {spec.get('Name', '')}".strip()

        def once() -> str:
            made = self._call("POST", f"/{kind}/create", body=body, doing=doing).json()
            return str(made["Name"] if kind == "volumes" else made.get("ID") or made["Id"])

        return patience.create(self, once, kind, spec, self._tries())

    def update(self, kind: Kind, ident: str, version: int, spec: JSON, *, back: bool = False) -> None:
        """Replaces the spec of a service, or the labels of a config or secret, at a known version."""
        if kind not in {"services", "configs", "secrets"}:
            raise ApiError(405, f"{kind} cannot be updated", f"update {_SINGULAR[kind]} {ident}")
        body = self._with_ids(spec) if kind == "services" else spec
        path = f"/{kind}/{quote(ident, safe='')}/update"
        params = {"version": str(version)} | ({"rollback": "previous"} if back else {})
        doing = f"update {_SINGULAR[kind]} {spec.get('Name', ident)}"

        def once() -> None:
            self._call("POST", path, params=params, body=body, doing=doing)

        patience.update(self, once, kind, version, body, self._tries())

    def remove(self, kind: Kind, ident: str) -> bool:
        """Removes an object by id or exact name; False if there was none."""
        path = f"/{kind}/{quote(ident, safe='')}"
        once = partial(self._delete, path, doing=f"remove {_SINGULAR[kind]} {ident}")
        return patience.remove(once, self._tries())

    # -- what runs ---------------------------------------------------------------------------------

    def tasks(self, service: str) -> builtins.list[JSON]:
        """Tasks of a service (id or name), newest first; by id also those that outlive the service."""
        doing = f"list the tasks of {service}"
        try:
            found = self._get("/tasks", params=_filters({"service": [service]}), doing=doing)
        except NotFound:
            found = [t for t in self._get("/tasks", doing=doing) if t.get("ServiceID") == service]
        return sorted(found, key=lambda t: (str(t.get("CreatedAt", "")), _index(t)), reverse=True)

    def logs(self, service: str, *, tail: int | None = None) -> Iterator[str]:
        """Lines that the tasks of a service wrote, oldest first, without following."""
        yield from (record.text for record in self.records(service, tail=tail))

    def records(
        self, service: str, *, tail: int | None = None, since: str = "", follow: bool = False
    ) -> Iterator[Record]:
        """Lines of a service's log with their times; see `Engine.records`."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "details": "1"}
        params["tail"] = "all" if tail is None else str(tail)
        params |= {"since": unix_stamp(since)} if since else {}
        params |= {"follow": "1"} if follow else {}
        path = f"/services/{quote(service, safe='')}/logs"
        doing = f"read the log of {service}"
        answer = self._call("GET", path, params=params, doing=doing, timeout=LOG_TIMEOUT, stream=follow)
        if not follow:
            yield from records_of(answer.content)
            return
        import requests

        # However it ends: whoever follows asks again.
        with contextlib.closing(answer), contextlib.suppress(requests.RequestException, OSError):
            yield from records_as_they_come(answer.iter_content(chunk_size=None))

    def stream_logs(self, service: str) -> Iterator[str]:
        """Lines that the only task of a service wrote, as they come; see `Engine.stream_logs`."""
        import requests

        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "details": "1", "tail": "all"}
        path = f"/services/{quote(service, safe='')}/logs"
        doing = f"read the log of {service}"
        answer = self._call("GET", path, params=params, doing=doing, timeout=LOG_TIMEOUT, stream=True)
        reader = LogReader()
        with contextlib.closing(answer):
            try:
                for chunk in answer.iter_content(LOG_CHUNK):
                    yield from (record.text for record in reader.feed(chunk))
            except (requests.RequestException, OSError) as error:
                raise faults.from_exception(error, doing=doing, endpoint=self._endpoint) from error
        yield from (record.text for record in reader.rest())

    def image(self, reference: str) -> JSON | None:
        """`GET /images/{name}/json` on the endpoint's node, or None."""
        path = f"/images/{quote(reference, safe='/:@')}/json"
        try:
            return cast("JSON", self._get(path, doing=f"look for image {reference}"))
        except NotFound:
            return None

    def containers(self, labels: Mapping[str, str | None]) -> builtins.list[JSON]:
        """Containers of the endpoint's own node, running or not, that carry all the labels."""
        params = {"all": "1", **_filters(_label_filter(labels))}
        return cast("list[JSON]", self._get("/containers/json", params=params, doing="list containers"))

    def remove_container(self, ident: str) -> bool:
        """Stops and removes a container of the endpoint's own node; False if it was gone or is going.

        Volumes without a name go with it, as when the swarm removes it; those with a name stay.
        """
        path, doing = f"/containers/{quote(ident, safe='')}", f"remove container {ident}"
        try:
            return self._delete(path, doing=doing, force="1", v="1")
        except Conflict:  # "removal of container ... is already in progress"
            return False

    # -- plumbing ----------------------------------------------------------------------------------

    def _delete(self, path: str, *, doing: str, **params: str) -> bool:
        """Removes what is at a path; False if there was nothing."""
        try:
            self._call("DELETE", path, params=params, doing=doing)
        except NotFound:
            return False
        return True

    def _list(self, kind: Kind, filters: Mapping[str, builtins.list[str]]) -> builtins.list[JSON]:
        params = _filters(filters)
        if kind == "services":
            params["status"] = "1"  # counts of running and desired tasks, since API 1.41
        found = self._get(f"/{kind}", params=params, doing=f"list {kind}")
        return cast("list[JSON]", (found.get("Volumes") if kind == "volumes" else found) or [])

    def _with_ids(self, spec: JSON) -> JSON:
        """A copy of a service's spec in which names of networks, configs and secrets have become ids."""
        spec = copy.deepcopy(spec)
        template = spec.get("TaskTemplate", {})
        for network in template.get("Networks") or []:
            if network["Target"] not in PREDEFINED_NETWORKS:
                found = self.find("networks", network["Target"])
                # Unknown names stay as they are: it may be an id already, and else the engine says so itself.
                network["Target"] = found["Id"] if found else network["Target"]
        for field, (kind, name_key, id_key) in _ID_FIELDS.items():
            for reference in template.get("ContainerSpec", {}).get(field) or []:
                if not reference.get(id_key):
                    reference[id_key] = self._id_of(cast("Kind", kind), reference[name_key])
        return spec

    def _id_of(self, kind: Kind, name: str) -> str:
        found = self.find(kind, name)
        if found is None:
            raise NotFound(404, f"no such {_SINGULAR[kind]}", f"use {_SINGULAR[kind]} {name}")
        return str(found["ID"])

    def _get(self, path: str, *, params: Mapping[str, str] | None = None, doing: str) -> Any:
        tries = patience.Tries(led=self._led)
        return patience.ask(lambda: self._call("GET", path, params=params, doing=doing).json(), tries)

    def _tries(self) -> patience.Tries:
        """How often a request for a change is tried."""
        return patience.Tries(led=self._led)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: JSON | None = None,
        doing: str,
        versioned: bool = True,
        timeout: float = DEFAULT_TIMEOUT,
        stream: bool = False,
    ) -> requests.Response:
        """One request; raises the errors of `faults` for everything but an answer below 400."""
        import requests

        prefix = f"/v{self._api.api_version}" if versioned else ""
        url = f"{self._api.base_url}{prefix}{path}"
        try:
            answer = self._send(method, url, params=params, json=body, timeout=timeout, stream=stream)
        except MsrctlError:
            raise  # from the login to an MKE controller, which happens inside the request
        except (requests.RequestException, OSError) as error:
            raise faults.from_exception(error, doing=doing, endpoint=self._endpoint) from error
        if answer.status_code >= 400:
            raise self._fault(answer.status_code, answer.text, doing=doing)
        return answer

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        """Sends a request as it is."""
        return self._api.request(method, url, **options)

    def _fault(self, status: int, text: str, *, doing: str) -> MsrctlError:
        """The error for an answer of 400 or more."""
        return faults.from_answer(status, text, doing=doing, endpoint=self._endpoint)

    def _negotiate(self) -> str:
        """The engine's version of the API; refuses one that is too old for what msrctl needs."""
        answer = self._call("GET", "/version", doing="connect", versioned=False)
        try:
            found = str(answer.json()["ApiVersion"])
            too_old = tuple(int(part) for part in found.split(".")) < MINIMUM_API
        except (ValueError, KeyError, TypeError) as error:
            raise WrongState(
                f"what answers at {self._endpoint} is not a Docker Engine", code="NOT-AN-ENGINE"
            ) from error
        if too_old:
            raise WrongState(
                f"the engine at {self._endpoint} is too old: it speaks API {found}, "
                f"and {_dotted(MINIMUM_API)} (Docker Engine 20.10) is needed",
                code="ENGINE-TOO-OLD",
                state=faults.NOTHING_CHANGED,
                hint="Upgrade Docker Engine on that node to 20.10 or newer.",
            )
        return found


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _filters(filters: Mapping[str, list[str]]) -> dict[str, str]:
    return {"filters": json.dumps(filters)} if filters else {}


def _label_filter(labels: Mapping[str, str | None]) -> dict[str, list[str]]:
    wanted = [key if value is None else f"{key}={value}" for key, value in labels.items()]
    return {"label": wanted} if wanted else {}


def _name_of(found: JSON) -> str:
    return str(found["Name"] if "Name" in found else found.get("Spec", {}).get("Name", ""))


def _index(found: JSON) -> int:
    return int(found.get("Version", {}).get("Index", 0))
