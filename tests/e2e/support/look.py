"""What an engine holds, as data that can be compared; and where in it a text stands."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labs.host import Host

JSON = dict[str, Any]
PREDEFINED = frozenset({"bridge", "docker_gwbridge", "host", "ingress", "none"})


def objects(host: Host) -> dict[str, Any]:
    """Everything on an engine that a command could change: names, versions, containers, the swarm itself.

    Not the engine's own networks, and not configs of the lock: they come and go.
    """
    api = host.client.api
    info = api.info()
    found: dict[str, Any] = {
        "swarm": info["Swarm"]["LocalNodeState"],
        "containers": sorted(c["Id"] for c in api.containers(all=True) if not _is_past(c)),
        "volumes": sorted(v["Name"] for v in api.volumes()["Volumes"] or []),
        "networks": sorted((n["Name"], n["Id"]) for n in api.networks() if n["Name"] not in PREDEFINED),
        "images": sorted(i["Id"] for i in api.images()),
    }
    if info["Swarm"]["ControlAvailable"]:
        for kind in ("services", "configs", "secrets", "tasks"):
            listed = getattr(api, kind)()
            # What has ended is pruned by the engine in its own time.
            listed = [o for o in listed if o.get("DesiredState", "running") == "running"]
            found[kind] = sorted((o["ID"], o["Version"]["Index"]) for o in listed)
    return found


def _is_past(container: JSON) -> bool:
    """Whether it is of a task of a replica that has ended: the engine prunes those in its own time."""
    service = (container.get("Labels") or {}).get("com.docker.swarm.service.name", "")
    return container["State"] != "running" and service.startswith("dtr-")


def untouched(host: Host, before: dict[str, Any]) -> bool:
    """Whether an engine holds what `objects` found before; poll it, as one-shots leave after msrctl."""
    now = objects(host)
    changed = {k: (before[k], now.get(k)) for k in before if before[k] != now.get(k)}
    assert not changed, changed
    return True


def names(host: Host, kind: str) -> list[str]:
    """Names of all objects of a kind in the swarm: services, configs, secrets."""
    return sorted(o["Spec"]["Name"] for o in getattr(host.client.api, kind)())


def quiet(host: Host) -> bool:
    """Whether the engine has finished with every update, and the containers of one-shots have left.

    Until then it counts versions on by itself.
    """
    oneshots = {"label": "io.msrctl.component=oneshot"}
    left = host.client.api.containers(all=True, filters=oneshots)
    assert not left, [(c["Names"], c["Status"]) for c in left]
    listed = host.client.api.services() if installed(host) else []
    states = {s["Spec"]["Name"]: (s.get("UpdateStatus") or {}).get("State", "completed") for s in listed}
    assert all(state.endswith("completed") for state in states.values()), states
    return True


def empty(host: Host) -> bool:
    """Whether nothing of msrctl is left: no object in the swarm, no container, no volume.

    The container of a one-shot leaves 2 s after msrctl: poll this with `eventually`.
    """
    found = objects(host)
    left = {k: v for k, v in found.items() if k not in {"swarm", "images"} and v}
    assert not left, {
        **left,
        **({k: names(host, k) for k in ("services", "configs", "secrets") if k in left}),
    }
    return True


def service(host: Host, component: str, replica: str) -> JSON:
    """A service of a replica as the engine has it."""
    name = f"dtr-{component}-{replica}"
    return next(s for s in host.client.api.services() if s["Spec"]["Name"] == name)


def environment(host: Host, component: str, replica: str) -> dict[str, str]:
    """Environment that the spec of a replica's service sets."""
    container = service(host, component, replica)["Spec"]["TaskTemplate"]["ContainerSpec"]
    return dict(entry.split("=", 1) for entry in container.get("Env", []))


def task(host: Host, component: str, replica: str) -> str:
    """Id of the one running task of a replica's service."""
    listed = host.client.api.tasks({"service": f"dtr-{component}-{replica}", "desired-state": "running"})
    running = [t["ID"] for t in listed if t["Status"]["State"] == "running"]
    assert len(running) == 1, listed
    return str(running[0])


def container(host: Host, component: str, replica: str) -> str:
    """Id of the container of a replica's running task."""
    wanted = task(host, component, replica)
    listed = host.client.api.containers(filters={"label": f"com.docker.swarm.task.id={wanted}"})
    return str(listed[0]["Id"])


def inside(host: Host, component: str, replica: str, *command: str) -> str:
    """What a command prints in a replica's container."""
    return host.cli("exec", container(host, component, replica), *command).stdout


def document(host: Host) -> JSON:
    """The newest cluster document, as stored."""
    import base64

    listed = host.client.api.configs({"label": "io.msrctl.component=document"})
    newest = max(listed, key=lambda c: int(c["Spec"]["Labels"]["io.msrctl.generation"]))
    found: JSON = json.loads(base64.b64decode(newest["Spec"]["Data"]))
    return found


def installed(host: Host) -> bool:
    """Whether there is a cluster document."""
    state = host.client.info()["Swarm"]["LocalNodeState"]
    return state == "active" and any(name.startswith("msrctl-state-") for name in names(host, "configs"))


def own_volumes(host: Host, replica: str) -> list[str]:
    """Names of a replica's own volumes, as they must be: the images', and the gate's."""
    from msrctl.model import names as msrctl_names

    return sorted([msrctl_names.default_volume(replica), msrctl_names.gate_volume(replica)])


def tidy(host: Host) -> bool:
    """Whether the swarm holds what the cluster document asks for and nothing else of the cluster.

    The document before the newest one is kept.
    """
    from msrctl.model.cluster import Cluster
    from msrctl.plan.desired import desired

    cluster = Cluster.from_json(document(host))
    wanted = desired(cluster)
    assert names(host, "secrets") == sorted(wanted.secrets)
    assert names(host, "services") == sorted(wanted.services)
    configs = names(host, "configs")
    documents = [name for name in configs if name.startswith("msrctl-state-")]
    assert sorted(set(configs) - set(documents)) == sorted(wanted.configs)
    assert len(documents) <= 2, documents
    return True


def everything_readable(host: Host) -> dict[str, str]:
    """All that whoever may use the engine, or see the node's processes, can read: name of the place to text.

    Contents of secrets are not in it: nobody can read those.
    """
    import base64

    api = host.client.api
    out: dict[str, str] = {}
    for kind in ("services", "secrets", "tasks", "networks"):
        out[kind] = json.dumps(getattr(api, kind)())
    for one in api.configs():
        out[f"config {one['Spec']['Name']}"] = base64.b64decode(one["Spec"]["Data"]).decode() + json.dumps(
            one["Spec"]["Labels"]
        )
    for one in api.containers(all=True):
        out[f"container {one['Names'][0]}"] = json.dumps(api.inspect_container(one["Id"]))
        log = subprocess.run(
            ["docker", "logs", one["Id"]], env=host.environment(), capture_output=True, text=True, check=False
        )
        out[f"log of {one['Names'][0]}"] = log.stdout + log.stderr
    out["volumes"] = json.dumps(api.volumes())
    out["processes"] = host.run("ps", "axww", "-o", "args").stdout
    out["engine's log"] = host.dockerd_log.read_text(errors="replace")
    return out


def leaks(places: dict[str, str], secrets: Iterable[tuple[str, str]]) -> list[str]:
    """Which secret stands in which place, in words that do not repeat it.

    Arguments:
        places: name of a place to its text.
        secrets: pairs of words and the secret itself; a PEM key counts by any of its inner lines.
    """
    found = []
    for words, secret in secrets:
        needles = [secret]
        if "-----BEGIN" in secret:
            needles = [line for line in secret.splitlines() if line and not line.startswith("-----")][:-1]
        found += [
            f"{words} in {place}"
            for place, text in places.items()
            if any(needle in text for needle in needles)
        ]
    return found
