"""A swarm in memory: objects with versions, and a small simulation of what becomes of tasks."""

from __future__ import annotations

import copy
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JSON = dict[str, Any]
ALIVE = frozenset({"running", "pending"})
IMAGE_ID = "sha256:" + "a" * 64


@dataclass(frozen=True)
class OneShot:
    """What a task with restart policy none does.

    Arguments:
        exit_code: its exit code.
        lines: what it prints.
        error: set if the engine cannot even start it, for example for a mount.
        hangs: it never ends.
    """

    exit_code: int = 0
    lines: tuple[str, ...] = ()
    error: str = ""
    hangs: bool = False


@dataclass
class FakeSwarm:
    """The state that all `FakeEngine` connections of one swarm share.

    Arguments:
        oneshot: decides what a one-shot does, from the service's spec.
        service_fault: decides why a service's tasks fail, from its spec; "" lets them run.
        leader: whether enough managers are up.
        before: called with (verb, kind, name) before each change; raise in it to inject a failure.
    """

    oneshot: Callable[[JSON], OneShot] = lambda _: OneShot()
    service_fault: Callable[[JSON], str] = lambda _: ""
    before: Callable[[str, str, str], None] = lambda *_: None
    active: bool = True
    leader: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    objects: dict[str, dict[str, JSON]] = field(
        default_factory=lambda: {k: {} for k in ("services", "configs", "secrets", "networks", "volumes")}
    )
    nodes: list[JSON] = field(default_factory=list)
    tasks: list[JSON] = field(default_factory=list)
    logs: dict[str, list[Any]] = field(default_factory=dict)
    images: dict[str, JSON] = field(default_factory=dict)
    ahead: timedelta = timedelta()
    guard: threading.RLock = field(default_factory=threading.RLock)
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        if not self.nodes:
            self.add_node("node-1")
        self.images.setdefault(IMAGE_ID, {"Id": IMAGE_ID, "RepoTags": ["msrctl/msr:0.1.0"]})

    def add_node(self, hostname: str, *, state: str = "ready", availability: str = "active") -> str:
        """Adds a node; returns its id. The first one is the endpoint."""
        ident = self.new_id("node")
        first = not self.nodes
        self.nodes.append(
            {
                "ID": ident,
                "Version": {"Index": 1},
                "Description": {"Hostname": hostname, "Platform": {"Architecture": "x86_64", "OS": "linux"}},
                "Spec": {"Role": "manager" if first else "worker", "Availability": availability},
                "Status": {"State": state, "Addr": f"10.0.0.{len(self.nodes) + 1}"},
                **({"ManagerStatus": {"Leader": True, "Reachability": "reachable"}} if first else {}),
            }
        )
        return ident

    def advance(self, seconds: float) -> None:
        """Moves the swarm's clock ahead."""
        self.ahead += timedelta(seconds=seconds)

    def now(self) -> str:
        """The swarm's time as the API writes it."""
        return (datetime.now(UTC) + self.ahead).isoformat().replace("+00:00", "Z")

    def index(self) -> int:
        """The next version, as Raft counts: over all objects."""
        return next(self._count)

    def new_id(self, kind: str) -> str:
        """A new id, 25 characters like the swarm's."""
        return f"{kind[:4]}{self.index():021d}"

    # -- tasks ----------------------------------------------------------------------------------------

    def start(self, service: JSON) -> None:
        """Makes the tasks that the service's spec asks for; older ones of it end."""
        template = service["Spec"]["TaskTemplate"]
        update = service["Spec"].get("UpdateConfig") or {}
        old = [t for t in self.tasks if t["ServiceID"] == service["ID"] and t["Status"]["State"] in ALIVE]
        if update.get("Order") != "start-first":
            self._end(old)
        node = self._node_of(template)
        if why := self._no_place(service, node):
            self._task(service, None, "pending", why)
            return
        assert node is not None  # else there was no place
        self._make_volumes(template, node)
        once = (template.get("RestartPolicy") or {}).get("Condition") == "none"
        image = template["ContainerSpec"]["Image"]
        if self.image_of(image) is None:
            for _ in range(1 if once else 2):
                self._task(service, node["ID"], "rejected", f"No such image: {image}")
        elif once:
            self._run_once(service, node)
        elif why := self.service_fault(service["Spec"]):
            for _ in range(2):
                self._task(service, node["ID"], "failed", why)
        else:
            self._task(service, node["ID"], "running")
            self._end(old)

    def retry_pending(self) -> None:
        """Starts what can have a place now, as the swarm's scheduler does when something has changed."""
        for task in [t for t in self.tasks if t["Status"]["State"] == "pending"]:
            service = self.objects["services"].get(task["ServiceID"])
            if service and not self._no_place(service, self._node_of(task["Spec"])):
                self.tasks.remove(task)
                self.start(service)

    def drop(self, service: str) -> None:
        """Takes the tasks of a removed service away."""
        self.tasks = [t for t in self.tasks if t["ServiceID"] != service]
        self.logs.pop(service, None)
        self.retry_pending()

    def image_of(self, reference: str) -> JSON | None:
        """The image of an id or a tag."""
        named = (i for i in self.images.values() if reference in (i.get("RepoTags") or []))
        return self.images.get(reference) or next(named, None)

    def uses(self, kind: str, found: JSON) -> list[str]:
        """Names of services (for volumes also ids of tasks) that use an object."""
        users = []
        for service in self.objects["services"].values():
            template = service["Spec"]["TaskTemplate"]
            container = template["ContainerSpec"]
            ids = {
                "configs": [c["ConfigID"] for c in container.get("Configs") or []],
                "secrets": [s["SecretID"] for s in container.get("Secrets") or []],
                "networks": [n["Target"] for n in template.get("Networks") or []],
                "volumes": [m.get("Source") for m in container.get("Mounts") or []],
            }
            if found.get("ID", found.get("Id", found.get("Name"))) in ids.get(kind, []):
                users.append(service["Spec"]["Name"])
        return users

    def _run_once(self, service: JSON, node: JSON) -> None:
        outcome = self.oneshot(service["Spec"])
        self.logs[service["ID"]] = list(outcome.lines)
        if outcome.hangs:
            self._task(service, node["ID"], "running")
        elif outcome.error:
            self._task(service, node["ID"], "rejected", outcome.error)
        elif outcome.exit_code:
            message = f"task: non-zero exit ({outcome.exit_code})"
            self._task(service, node["ID"], "failed", message, outcome.exit_code)
        else:
            self._task(service, node["ID"], "complete")

    def _task(self, service: JSON, node: str | None, state: str, error: str = "", code: int = 0) -> None:
        status: JSON = {"Timestamp": self.now(), "State": state, "Message": state}
        if error:
            status["Err"] = error
        if state in {"running", "complete", "failed"}:
            status["ContainerStatus"] = {"ContainerID": f"{self.index():064x}", "ExitCode": code}
        ports = (service["Spec"].get("EndpointSpec") or {}).get("Ports")
        if state == "running" and ports:
            status["PortStatus"] = {"Ports": copy.deepcopy(ports)}
        task = {
            "ID": self.new_id("task"),
            "Version": {"Index": self.index()},
            "CreatedAt": self.now(),
            "UpdatedAt": self.now(),
            "ServiceID": service["ID"],
            "Spec": copy.deepcopy(service["Spec"]["TaskTemplate"]),
            "Status": status,
            "DesiredState": "running",
        }
        if node and state != "pending":
            task["NodeID"] = node
        self.tasks.append(task)

    def _end(self, tasks: list[JSON]) -> None:
        for task in tasks:
            task["Status"]["State"] = task["DesiredState"] = "shutdown"

    def _node_of(self, template: JSON) -> JSON | None:
        wanted = [c for c in (template.get("Placement") or {}).get("Constraints") or [] if "node.id" in c]
        ident = wanted[0].replace(" ", "").removeprefix("node.id==") if wanted else self.nodes[0]["ID"]
        return next((n for n in self.nodes if n["ID"] == ident and n["Status"]["State"] == "ready"), None)

    def _no_place(self, service: JSON, node: JSON | None) -> str:
        """Why the scheduler finds no node, in its own words; "" if it does."""
        if node is None or node["Spec"]["Availability"] != "active":
            return f"no suitable node (scheduling constraints not satisfied on {len(self.nodes)} nodes)"
        taken = {
            port
            for task in self.tasks
            if task.get("NodeID") == node["ID"] and task["Status"]["State"] == "running"
            for port in _host_ports(self.objects["services"].get(task["ServiceID"]))
        }
        if taken & _host_ports(service):
            return "no suitable node (host-mode port already in use on 1 node)"
        return ""

    def _make_volumes(self, template: JSON, node: JSON | None) -> None:
        for mount in template["ContainerSpec"].get("Mounts") or []:
            mine = node is not None and node["ID"] == self.nodes[0]["ID"]
            if mount["Type"] == "volume" and mount.get("Source") and mine:
                options = mount.get("VolumeOptions") or {}
                driver = options.get("DriverConfig") or {}
                self.make_volume(mount["Source"], options.get("Labels"), driver.get("Options"))

    def make_volume(self, name: str, labels: dict[str, str] | None, options: dict[str, str] | None) -> None:
        """Makes a volume; one that exists keeps its options without a word, as the engine has it."""
        made = {
            "Name": name,
            "Driver": "local",
            "Scope": "local",
            "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
            "CreatedAt": self.now(),
            "Labels": labels or {},
            "Options": options or {},
        }
        self.objects["volumes"].setdefault(name, made)


def _host_ports(service: JSON | None) -> set[tuple[int, str]]:
    ports = ((service or {}).get("Spec", {}).get("EndpointSpec") or {}).get("Ports") or []
    return {(p["PublishedPort"], p.get("Protocol", "tcp")) for p in ports if p.get("PublishMode") == "host"}
