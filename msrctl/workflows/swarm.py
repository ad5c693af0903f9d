"""The engine as a swarm manager: what msrctl asks of it before anything else, and the node for a replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msrctl.engine.faults import swarm_fault
from msrctl.engine.protocol import ApiError
from msrctl.errors import PreflightFailed, WrongState
from msrctl.model import names

if TYPE_CHECKING:
    from msrctl.engine.protocol import JSON, Engine

NOTHING = "Nothing was changed."


@dataclass(frozen=True)
class Node:
    """A swarm node as far as a replica on it is concerned."""

    id: str
    name: str
    address: str
    is_endpoint: bool


def swarm_state(engine: Engine) -> str:
    """``active`` for a manager, ``inactive`` for an engine in no swarm.

    Raises:
        WrongState: SWARM-LOCKED, NOT-MANAGER, LIVE-RESTORE, SWARM-ERROR.
    """
    info = engine.info()
    swarm = info.get("Swarm", {})
    state = swarm.get("LocalNodeState", "inactive")
    if info.get("LiveRestoreEnabled"):
        raise swarm_fault("LIVE-RESTORE", engine.endpoint)
    if state == "locked":
        raise swarm_fault("SWARM-LOCKED", engine.endpoint)
    if state in {"error", "pending"}:
        raise WrongState(
            f"the swarm of the engine at {engine.endpoint} is in state {state}: {swarm.get('Error', '')}",
            code="SWARM-ERROR",
            state=NOTHING,
            hint="docker info and the engine's log say more.",
        )
    if state == "active" and not swarm.get("ControlAvailable"):
        managers = ", ".join(m["Addr"].rsplit(":", 1)[0] for m in swarm.get("RemoteManagers") or [])
        raise swarm_fault("NOT-MANAGER", engine.endpoint, managers=managers)
    return str(state)


def init_swarm(engine: Engine, advertise_addr: str | None) -> str:
    """Makes the engine a single-node swarm; returns the node id.

    Raises:
        PreflightFailed: the engine cannot choose an address; the message lists what it has.
    """
    try:
        return engine.init_swarm(advertise_addr)
    except ApiError as error:
        if "multiple addresses" in error.text or "could not choose an IP address" in error.text:
            raise PreflightFailed(
                f"the engine cannot choose the address to advertise: {error.text}",
                code="PRE-ADVERTISE-ADDR",
                state=NOTHING,
                hint="Name one with --advertise-addr, or run docker swarm init yourself.",
            ) from error
        if advertise_addr is None and "could not find the system's IP address" in error.text:
            # A machine with no network at all: a single-node swarm is content with the loopback.
            return engine.init_swarm("127.0.0.1")
        raise


def made_by_msrctl(engine: Engine) -> bool:
    """Whether the swarm of a manager was made by `init_swarm`: its label tells, whatever became of msrctl."""
    cluster = engine.info().get("Swarm", {}).get("Cluster") or {}
    labels = (cluster.get("Spec") or {}).get("Labels") or {}
    return bool(labels.get(names.LABEL_COMPONENT) == "swarm")


def leave_unused(engine: Engine) -> bool:
    """Takes the engine out of a swarm that msrctl made, if nothing lives there and no node has joined."""
    if swarm_state(engine) == "inactive" or not made_by_msrctl(engine):
        return False
    locked = engine.find("configs", names.LOCK)
    others = [*engine.list("services"), *engine.list("configs"), *engine.list("secrets")]
    others = [o for o in others if not (locked and o["ID"] == locked["ID"])]
    networks = [n for n in engine.list("networks") if n.get("Scope") == "swarm" and n["Name"] != "ingress"]
    if others or networks or len(engine.nodes()) > 1:
        return False
    engine.leave_swarm()
    return True


def nodes(engine: Engine) -> dict[str, Node]:
    """All nodes by id."""
    own = engine.info()["Swarm"]["NodeID"]
    return {raw["ID"]: _node(raw, own) for raw in engine.nodes()}


def ready_nodes(engine: Engine) -> frozenset[str]:
    """Ids of the nodes that answer."""
    return frozenset(n["ID"] for n in engine.nodes() if n["Status"]["State"] == "ready")


def takes_work(node: JSON) -> bool:
    """Whether a node, as the engine lists it, answers and may be given tasks."""
    return bool(node["Status"]["State"] == "ready") and node["Spec"].get("Availability", "active") == "active"


def choose_node(engine: Engine, wanted: str | None) -> Node:
    """The node for a replica: by host name or id, else the endpoint's own.

    Raises:
        PreflightFailed: PRE-NODE: there is none of that name, several, or it cannot take tasks.
    """
    own = engine.info()["Swarm"]["NodeID"]
    listed = engine.nodes()
    matching = [n for n in listed if (wanted or own) in {n["ID"], n["Description"]["Hostname"]}]
    if len(matching) != 1:
        what = "no node" if not matching else f"{len(matching)} nodes"
        known = ", ".join(sorted(n["Description"]["Hostname"] for n in listed))
        raise PreflightFailed(
            f"{what} of this swarm is called {wanted}",
            code="PRE-NODE",
            state=NOTHING,
            hint=f"--ucp-node takes one of: {known} (or a node id, see docker node ls).",
        )
    raw = matching[0]
    state, availability = raw["Status"]["State"], raw["Spec"]["Availability"]
    if state != "ready" or availability != "active":
        raise PreflightFailed(
            f"node {raw['Description']['Hostname']} cannot take a replica: it is {state} and {availability}",
            code="PRE-NODE",
            state=NOTHING,
            hint="Bring it back, or docker node update --availability active it, or name another node.",
        )
    return _node(raw, own)


def _node(raw: JSON, own: str) -> Node:
    address = str(raw["Status"].get("Addr", ""))
    if address in {"", "0.0.0.0"}:  # noqa: S104 - what a manager may say of itself
        address = str(raw.get("ManagerStatus", {}).get("Addr", "")).rsplit(":", 1)[0]
    return Node(raw["ID"], raw["Description"]["Hostname"], address, raw["ID"] == own)
