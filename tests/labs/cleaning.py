"""Brings a lab back to empty engines between tests, also after one that left hosts off, frozen or cut off."""

from __future__ import annotations

import contextlib
import shutil
from functools import partial
from typing import TYPE_CHECKING

from docker.errors import APIError, NotFound

from labs.system import eventually

if TYPE_CHECKING:
    from labs.engines import Lab
    from labs.host import Host

PREDEFINED_NETWORKS = frozenset({"bridge", "docker_gwbridge", "host", "ingress", "none"})


def clean(lab: Lab, *, leave_swarm: bool = False) -> None:
    """Removes all services, containers, configs, secrets, volumes and networks from a lab; images stay.

    Arguments:
        lab: every host of it is restored and cleaned.
        leave_swarm: take the engines out of their swarm as well, as on a new machine.
    """
    lab.all(restore)
    managers = [host for host in lab.hosts if is_manager(host)]
    if managers:
        _remove_services(managers[0])
    lab.all(_remove_containers)
    if managers:
        api = managers[0].client.api
        for config in api.configs():  # type: ignore[no-untyped-call]
            api.remove_config(config["ID"])  # type: ignore[no-untyped-call]
        for secret in api.secrets():
            api.remove_secret(secret["ID"])
    lab.all(_remove_local)
    if leave_swarm:
        lab.all(_leave_swarm)
        if len(lab.hosts) > 1:
            lab.all(renew_engine)


def renew_engine(host: Host) -> None:
    """Restarts an engine that has left a swarm of several nodes.

    Docker 20.10 at times keeps port 7946 of that swarm until it ends, and in its next one no container knows
    another's name ("agentInit: ... 0.0.0.0:7946: bind: address already in use").
    """
    host.stop_docker()
    host.start_docker()
    host.wait_docker()


def restore(host: Host) -> None:
    """Gives a host back its power, its cable and an engine that answers."""
    host.freeze(False)
    host.link(True)
    if not host.running:
        host.power_on()
    if not host.pids("dockerd"):
        host.start_docker()
    host.wait_docker()


def is_manager(host: Host) -> bool:
    """Whether the host's engine is a manager of a swarm that has a leader."""
    swarm = host.client.info()["Swarm"]
    return bool(swarm["LocalNodeState"] == "active" and swarm["ControlAvailable"] and not swarm.get("Error"))


def _remove_services(host: Host) -> None:
    for service in host.client.services.list():
        with contextlib.suppress(NotFound):
            host.client.api.remove_service(service.id)  # type: ignore[no-untyped-call]


def _remove_containers(host: Host) -> None:
    # Killed, since the registry takes its whole grace period to drain; again and again, since swarm may still
    # be about to start a task of a service that has just been removed.
    eventually(lambda: _none_left(host), 60, every=0.2, what=f"{host.name} has no containers")


def _none_left(host: Host) -> bool:
    found = host.client.api.containers(all=True)
    for container in found:
        with contextlib.suppress(APIError):
            host.client.api.remove_container(container["Id"], force=True, v=True)
    return not found


def _remove_local(host: Host) -> None:
    for volume in host.client.volumes.list():
        volume.remove(force=True)
    for network in host.client.networks.list():
        if network.name not in PREDEFINED_NETWORKS:
            eventually(partial(_network_gone, host, str(network.name)), 30, every=0.2)
    for name in ("etc/certs.d", "docker-config"):
        shutil.rmtree(host.directory / name, ignore_errors=True)


def _network_gone(host: Host, name: str) -> bool:
    """Removes a network; the swarm's are in use for a moment after the last task, and workers see them go."""
    try:
        host.client.api.remove_network(name)
    except NotFound:
        return True
    except APIError:
        return not host.client.networks.list(names=[name])
    return True


def _leave_swarm(host: Host) -> None:
    if host.client.info()["Swarm"]["LocalNodeState"] != "inactive":
        host.client.swarm.leave(force=True)
