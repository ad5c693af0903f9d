"""A fake `Engine`: the same interface and the same traps as the real one, without Docker."""

from __future__ import annotations

import base64
import builtins
import copy
import re
from typing import TYPE_CHECKING, Any

from fakes.swarm import FakeSwarm
from msrctl.engine.faults import from_answer
from msrctl.engine.logstream import Record
from msrctl.engine.protocol import ApiError, Conflict, Kind, NotFound, OutOfSequence
from msrctl.errors import WrongState
from msrctl.model import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JSON = dict[str, Any]
_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?")
_NAME_LIMIT = {"services": 63, "configs": 64, "secrets": 64}
_DATA_LIMIT = {"configs": 1_000_000, "secrets": 512_000}
_UPDATED = frozenset({"services", "configs", "secrets"})


class FakeEngine:
    """One connection to a `FakeSwarm`.

    Arguments:
        swarm: what it connects to; None: a new one.
    """

    def __init__(self, swarm: FakeSwarm | None = None) -> None:
        self.swarm = swarm or FakeSwarm()
        self.endpoint = "unix:///fake.sock (fake)"

    def clone(self) -> FakeEngine:
        return FakeEngine(self.swarm)

    def expect_leader(self) -> None:
        pass

    def close(self) -> None:
        pass

    def info(self) -> JSON:
        state = "active" if self.swarm.active else "inactive"
        ident = self.swarm.nodes[0]["ID"] if self.swarm.active else ""
        return {
            "Name": self.swarm.nodes[0]["Description"]["Hostname"],
            "ServerVersion": "20.10.24",
            "SystemTime": self.swarm.now(),
            "LiveRestoreEnabled": False,
            "Swarm": {
                "NodeID": ident,
                "NodeAddr": self.swarm.nodes[0]["Status"]["Addr"],
                "LocalNodeState": state,
                "ControlAvailable": self.swarm.active,
                **({"Cluster": {"Spec": {"Labels": self.swarm.labels}}} if self.swarm.active else {}),
            },
        }

    def version(self) -> JSON:
        return {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}

    def init_swarm(self, advertise_addr: str | None = None) -> str:
        if self.swarm.active:
            raise ApiError(503, "This node is already part of a swarm.", "initialise a swarm")
        self.swarm.active = True
        self.swarm.labels = {names.LABEL_COMPONENT: "swarm"}
        self.swarm.nodes[0]["Status"]["Addr"] = advertise_addr or self.swarm.nodes[0]["Status"]["Addr"]
        return str(self.swarm.nodes[0]["ID"])

    def leave_swarm(self) -> None:
        self._managed()
        self.swarm.active = False
        for kind in ("services", "configs", "secrets", "networks"):
            self.swarm.objects[kind].clear()
        self.swarm.tasks.clear()

    def force_new_cluster(self) -> None:
        if not self.swarm.active:
            raise ApiError(503, "This node is not a swarm manager.", "make the engine the only manager")
        self.swarm.leader = True
        for node in self.swarm.nodes[1:]:
            node.pop("ManagerStatus", None)

    def remove_node(self, ident: str) -> bool:
        self._managed()
        kept = [n for n in self.swarm.nodes if n["ID"] != ident]
        found = len(kept) < len(self.swarm.nodes)
        self.swarm.nodes[:] = kept
        return found

    def nodes(self) -> list[JSON]:
        self._managed()
        return copy.deepcopy(self.swarm.nodes)

    def list(self, kind: Kind, labels: Mapping[str, str | None] | None = None) -> list[JSON]:
        with self.swarm.guard:
            if kind != "volumes":
                self._managed()
            found = self.swarm.objects[kind].values()
            return [_shown(kind, o) for o in found if _matches(_labels(o), labels or {})]

    def find(self, kind: Kind, name: str) -> JSON | None:
        return next((o for o in self.list(kind) if _name(o) == name), None)

    def create(self, kind: Kind, spec: JSON) -> str:
        with self.swarm.guard:
            self.swarm.before("create", kind, spec.get("Name", ""))
            if kind != "volumes":
                self._managed()
            doing = f"create {kind[:-1]} {spec.get('Name', '')}"
            _check_name(kind, spec["Name"], doing)
            if kind == "volumes":
                self.swarm.make_volume(spec["Name"], spec.get("Labels"), spec.get("DriverOpts"))
                return str(spec["Name"])
            if self.find(kind, spec["Name"]):
                raise Conflict(409, f"{spec['Name']} already exists", doing)
            return self._created(kind, copy.deepcopy(spec), doing)

    def update(self, kind: Kind, ident: str, version: int, spec: JSON, *, back: bool = False) -> None:
        with self.swarm.guard:
            self.swarm.before("update", kind, spec.get("Name", ""))
            doing = f"update {kind[:-1]} {spec.get('Name', ident)}"
            if kind not in _UPDATED:
                raise ApiError(405, f"{kind} cannot be updated", doing)
            found = self._by_id(kind, ident)
            if found is None:
                raise NotFound(404, f"{kind[:-1]} {ident} not found", doing)
            if found["Version"]["Index"] != version:
                raise OutOfSequence(500, "rpc error: code = Unknown desc = update out of sequence", doing)
            before = found["Spec"]
            if kind == "services":
                wanted = found["PreviousSpec"] if back else spec
                found["Spec"] = self._with_ids(copy.deepcopy(wanted), doing)
                found["PreviousSpec"] = before
            elif spec.get("Data", before["Data"]) != before["Data"] or spec["Name"] != before["Name"]:
                raise ApiError(400, "only updates to Labels are allowed", doing)
            else:
                found["Spec"] = {**before, "Labels": dict(spec.get("Labels") or {})}
            found["Version"] = {"Index": self.swarm.index()}
            found["UpdatedAt"] = self.swarm.now()
            replacing = ("TaskTemplate", "EndpointSpec")
            if kind == "services" and any(found["Spec"].get(k) != before.get(k) for k in replacing):
                found["UpdateStatus"] = {"State": "completed"}
                self.swarm.start(found)

    def remove(self, kind: Kind, ident: str) -> bool:
        with self.swarm.guard:
            self.swarm.before("remove", kind, ident)
            if kind != "volumes":
                self._managed()
            named = (o for o in self.swarm.objects[kind].values() if _name(o) == ident)
            found = self._by_id(kind, ident) or next(named, None)
            if found is None:
                return False
            if users := self.swarm.uses(kind, found):
                raise Conflict(
                    409, f"{ident} is in use by: {', '.join(users)}", f"remove {kind[:-1]} {ident}"
                )
            key = str(found.get("ID") or found.get("Id") or found["Name"])
            del self.swarm.objects[kind][key]
            if kind == "services":
                self.swarm.drop(key)
            return True

    def tasks(self, service: str) -> builtins.list[JSON]:
        with self.swarm.guard:
            self._managed()
            found = self.find("services", service)
            ident = found["ID"] if found else service
            newest = reversed([t for t in self.swarm.tasks if t["ServiceID"] == ident])
            return [copy.deepcopy(t) for t in newest]

    def logs(self, service: str, *, tail: int | None = None) -> Iterator[str]:
        yield from (record.text for record in self.records(service, tail=tail))

    def stream_logs(self, service: str) -> Iterator[str]:
        yield from self.logs(service)

    def records(
        self,
        service: str,
        *,
        tail: int | None = None,
        since: str = "",
        follow: bool = False,  # noqa: ARG002 - it ends at once, as a connection that is cut does
    ) -> Iterator[Record]:
        found = self.find("services", service)
        ident = found["ID"] if found else service
        if ident not in self.swarm.objects["services"]:
            raise NotFound(404, f"service {service} not found", f"read the log of {service}")
        lines = self.swarm.logs.get(ident, [])
        # A line is of the second that its place says, unless it is a whole record.
        made = [
            line if isinstance(line, Record) else Record(f"2026-01-01T00:00:{n:02d}.0Z", "stdout", "", line)
            for n, line in enumerate(lines)
        ]
        made = [record for record in made if not record.time or record.time >= since]
        yield from made if tail is None else made[max(0, len(made) - tail) :]

    def image(self, reference: str) -> JSON | None:
        return copy.deepcopy(self.swarm.image_of(reference))

    def containers(self, labels: Mapping[str, str | None]) -> builtins.list[JSON]:
        here = self.swarm.nodes[0]["ID"]
        out = []
        for task in self.swarm.tasks:
            status = task["Status"]
            if task.get("NodeID") != here or "ContainerStatus" not in status:
                continue
            carried = dict(task["Spec"]["ContainerSpec"].get("Labels") or {})
            carried |= {
                "com.docker.swarm.service.id": task["ServiceID"],
                "com.docker.swarm.task.id": task["ID"],
            }
            if _matches(carried, labels):
                state = "running" if status["State"] == "running" else "exited"
                ident = status["ContainerStatus"]["ContainerID"]
                out.append({"Id": ident, "Labels": carried, "State": state, "Mounts": []})
        return out

    def remove_container(self, ident: str) -> bool:
        with self.swarm.guard:
            kept = [t for t in self.swarm.tasks if _container_of(t) != ident]
            found = len(kept) < len(self.swarm.tasks)
            self.swarm.tasks[:] = kept
            return found

    def _managed(self) -> None:
        if not self.swarm.active:
            raise WrongState(f"the engine at {self.endpoint} is in no swarm", code="NO-SWARM")
        if not self.swarm.leader:
            raise from_answer(
                503, "The swarm does not have a leader", doing="ask the swarm", endpoint=self.endpoint
            )

    def _by_id(self, kind: Kind, ident: str) -> JSON | None:
        return self.swarm.objects[kind].get(ident)

    def _created(self, kind: Kind, spec: JSON, doing: str) -> str:
        ident = self.swarm.new_id(kind)
        if kind == "networks":
            made = {
                "Id": ident,
                "Created": self.swarm.now(),
                "Scope": "swarm" if spec.get("Driver") == "overlay" else "local",
                **spec,
            }
            self.swarm.objects[kind][ident] = made
            return ident
        if kind == "services":
            spec = self._with_ids(spec, doing)
        elif not 0 < len(base64.b64decode(spec.get("Data") or "")) < _DATA_LIMIT[kind]:
            raise ApiError(
                400, f"{kind[:-1]} data must be larger than 0 and less than {_DATA_LIMIT[kind]} bytes", doing
            )
        now = self.swarm.now()
        made = {
            "ID": ident,
            "Version": {"Index": self.swarm.index()},
            "CreatedAt": now,
            "UpdatedAt": now,
            "Spec": {"Labels": {}, **spec},
        }
        self.swarm.objects[kind][ident] = made
        if kind == "services":
            self.swarm.start(made)
        return ident

    def _with_ids(self, spec: JSON, doing: str) -> JSON:
        template = spec["TaskTemplate"]
        for network in template.get("Networks") or []:
            if network["Target"] in {"host", "none", "bridge"} or self._by_id("networks", network["Target"]):
                continue
            network["Target"] = self._id_of("networks", network["Target"], doing)
        for kind, key, name, ident in (
            ("configs", "Configs", "ConfigName", "ConfigID"),
            ("secrets", "Secrets", "SecretName", "SecretID"),
        ):
            for reference in template["ContainerSpec"].get(key) or []:
                reference.setdefault(ident, self._id_of(kind, reference[name], doing))
        return spec

    def _id_of(self, kind: Any, name: str, doing: str) -> str:
        found = self.find(kind, name)
        if found is None:
            raise NotFound(404, f"{kind[:-1]} {name} not found", doing)
        return str(found.get("ID") or found["Id"])


def _check_name(kind: str, name: str, doing: str) -> None:
    if (
        not _NAME.fullmatch(name)
        or len(name) > _NAME_LIMIT.get(kind, 255)
        or (kind == "volumes" and len(name) < 2)
    ):
        raise ApiError(400, "name must be valid", doing)


def _name(found: JSON) -> str:
    return str(found["Name"] if "Name" in found else found["Spec"]["Name"])


def _labels(found: JSON) -> Mapping[str, str]:
    return found.get("Spec", found).get("Labels") or {}


def _matches(carried: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    return all(k in carried and v in (None, carried[k]) for k, v in wanted.items())


def _shown(kind: str, found: JSON) -> JSON:
    shown = copy.deepcopy(found)
    if kind == "secrets":
        del shown["Spec"]["Data"]  # secrets cannot be read back
    return shown


def _container_of(task: JSON) -> str:
    return str((task["Status"].get("ContainerStatus") or {}).get("ContainerID", ""))
