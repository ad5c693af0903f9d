"""What must exist in the swarm for a cluster document: networks, configs, services, as bodies for the engine.

A pure function of the document: the same document gives the same bodies, byte for byte. Configs are named by
their content, so a changed file is a new config and a service that uses it gets a new spec.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from msrctl.model import names
from msrctl.model.cluster import Cluster, Replica, Settings
from msrctl.registry import config as registry_config
from msrctl.registry import proxy
from msrctl.registry.version import is_3
from msrctl.storage import backend

JSON = dict[str, Any]

SECOND = 1_000_000_000
"""The engine counts durations in nanoseconds."""
GRACE = 30 * SECOND
USER = "10001"
"""uid and gid of the image's unprivileged user msr."""
CUSTOM_CA_DIR = "/etc/msrctl/ca"
GATE = "/gate"
NEXT = "registry-next"
"""Component of a registry that stands in during a switch of the storage."""


@dataclass(frozen=True)
class Desired:
    """Bodies by name, in the order in which they are made."""

    networks: dict[str, JSON]
    configs: dict[str, JSON]
    secrets: frozenset[str]
    services: dict[str, JSON]
    gates: dict[str, JSON] = field(default_factory=dict)
    """The gate of each replica's proxy by the replica's id, as the engine's `set_gate` takes it."""


def desired(cluster: Cluster) -> Desired:
    """Everything that the document asks for.

    Arguments:
        cluster: the cluster document.
    """
    configs: dict[str, JSON] = {}
    services: dict[str, JSON] = {}
    for replica in cluster.replicas:
        for component in (_registry, _proxy):
            name, spec, used = component(cluster, replica)
            spec["Labels"][names.LABEL_HASH] = names.digest_of(spec)
            services[name] = spec
            configs |= used
    gates = {replica.id: gate_of(cluster, replica) for replica in cluster.replicas}
    return Desired({names.NETWORK: _network(cluster)}, configs, cluster.secrets(), services, gates)


def registry_labels(cluster: Cluster, replica: Replica) -> dict[str, str]:
    """Labels of a replica's registry and of the volume that it has.

    Arguments:
        cluster: the document.
        replica: one of its replicas.
    """
    return names.labels(cluster.id, replica.version, component="registry", replica=replica.id)


def gate_of(cluster: Cluster, replica: Replica) -> JSON:
    """The gate of a replica's proxy as JSON that a journal can keep: its node, image, and volume's mount.

    Arguments:
        cluster: the document.
        replica: one of its replicas.
    """
    labels = names.labels(cluster.id, replica.version, component="nginx", replica=replica.id)
    return {
        "node": replica.node_id,
        "image": replica.image,
        "mount": gate_mount(replica.id, labels, writable=True),
    }


def next_registry(cluster: Cluster, replica: Replica) -> tuple[str, JSON]:
    """Name and body of the registry that stands in while the replica's own moves to the document's store.

    It reads the same configs and secrets as the replica's own registry will.

    Arguments:
        cluster: the document that is wanted.
        replica: one of its replicas.
    """
    _, spec, _ = _registry(cluster, replica)
    labels = names.labels(cluster.id, replica.version, component=NEXT, replica=replica.id)
    spec["Name"] = names.next_registry(replica.id)
    spec["Labels"] = dict(labels)
    spec["TaskTemplate"]["ContainerSpec"]["Labels"] = labels
    return spec["Name"], spec


def _network(cluster: Cluster) -> JSON:
    spec: JSON = {
        "Name": names.NETWORK,
        "Driver": "overlay",
        "Attachable": True,
        "CheckDuplicate": True,
        "Labels": names.labels(cluster.id, cluster.version, component="network"),
    }
    if cluster.settings.overlay_subnet:
        spec["IPAM"] = {"Driver": "default", "Config": [{"Subnet": cluster.settings.overlay_subnet}]}
    return spec


def _config(cluster: Cluster, component: str, path: str, text: str, *, templated: bool = False) -> JSON:
    spec: JSON = {
        "Name": names.config(component, path, text),
        "Data": base64.b64encode(text.encode()).decode(),
        "Labels": names.labels(cluster.id, cluster.version, component="config"),
    }
    if templated:
        spec["Templating"] = {"Name": "golang"}
    return spec


def proxy_environment(settings: Settings) -> list[str]:
    """The proxies as a container's environment."""
    proxies = {
        "HTTP_PROXY": settings.http_proxy,
        "HTTPS_PROXY": settings.https_proxy,
        "NO_PROXY": settings.no_proxy,
    }
    return [f"{key}={value}" for key, value in proxies.items() if value]


def _registry(cluster: Cluster, replica: Replica) -> tuple[str, JSON, dict[str, JSON]]:
    settings = cluster.settings
    version = replica.registry_version
    config_path = registry_config.path(version)
    rendered = registry_config.render(cluster, version=version)
    files = {config_path: _config(cluster, "registry", config_path, rendered, templated=True)}
    env = proxy_environment(settings)
    if is_3(version):
        # It would send traces to a collector that is not there (distribution-storage.md, section 3).
        env.append("OTEL_TRACES_EXPORTER=none")
    # The s3 driver has no option for a CA: what it shall trust must be in the system's trust
    # (object-stores.md, section 2).
    trusted = {"custom-ca.pem": settings.custom_ca_cert_bundle, "store-ca.pem": cluster.storage.root_ca}
    for name, bundle in trusted.items():
        if bundle:
            path = f"{CUSTOM_CA_DIR}/{name}"
            files[path] = _config(cluster, "registry", path, bundle)
    if any(trusted.values()):
        env.append(f"SSL_CERT_DIR=/etc/ssl/certs:{CUSTOM_CA_DIR}")
    labels = registry_labels(cluster, replica)
    mount = backend(cluster.storage).mount(replica.id, labels)
    container: JSON = {
        "Image": replica.registry_image or replica.image,
        "Command": ["/usr/bin/docker-registry"] if not replica.registry_image else ["registry"],
        "Args": ["serve", config_path],
        "Env": env,
        # uid 0, because stores that are taken over belong to root; but without root's powers, except to
        # read and write a directory whatever its owner (docs/adr/0002-one-image.md).
        "User": "0:0",
        "CapabilityDrop": ["ALL"],
        "CapabilityAdd": ["CAP_DAC_OVERRIDE"],
        "ReadOnly": True,
        "Mounts": [*([mount] if mount else []), _tmpfs()],
        "Healthcheck": _healthcheck(registry_config.HTTP_PORT, replica),
        "StopGracePeriod": GRACE,
        "Configs": [_file(path, spec, uid="0") for path, spec in files.items()],
        "Secrets": [
            _secret("http.secret", cluster.http_secret, uid="0"),
            _secret("htpasswd", cluster.accounts.htpasswd_secret, uid="0"),
            *(
                _secret(f"store.{parameter}", name, uid="0")
                for parameter, name in sorted(cluster.storage.secrets.items())
            ),
        ],
        "Labels": labels,
    }
    spec = _service(cluster, replica, "registry", container, labels, order="start-first")
    return spec["Name"], spec, {body["Name"]: body for body in files.values()}


def _proxy(cluster: Cluster, replica: Replica) -> tuple[str, JSON, dict[str, JSON]]:
    files = {
        path: _config(cluster, "nginx", path, text) for path, text in proxy.render(cluster, replica).items()
    }
    labels = names.labels(cluster.id, replica.version, component="nginx", replica=replica.id)
    container: JSON = {
        "Image": replica.image,
        "Command": ["/usr/sbin/nginx"],
        "Args": ["-g", "daemon off;"],
        "User": f"{USER}:{USER}",
        "CapabilityDrop": ["ALL"],
        "ReadOnly": True,
        "Mounts": [_tmpfs(), gate_mount(replica.id, labels)],
        "Healthcheck": _healthcheck(8081, replica),
        "StopSignal": "SIGQUIT",
        "StopGracePeriod": GRACE,
        "Configs": [_file(path, spec, uid=USER) for path, spec in files.items()],
        "Secrets": [_secret("tls.key", cluster.tls.key_secret, uid=USER)],
        "Labels": labels,
    }
    # A service with host ports cannot start its new task before the old one has left (swarm.md, traps).
    spec = _service(cluster, replica, "nginx", container, labels, order="stop-first")
    spec["EndpointSpec"]["Ports"] = [
        {"Protocol": "tcp", "TargetPort": target, "PublishedPort": published, "PublishMode": "host"}
        for target, published in ((8080, replica.http_port), (8443, replica.https_port))
    ]
    return spec["Name"], spec, {body["Name"]: body for body in files.values()}


def _service(
    cluster: Cluster, replica: Replica, component: str, container: JSON, labels: dict[str, str], *, order: str
) -> JSON:
    update = {
        "Parallelism": 1,
        "Order": order,
        # A net under msrctl's own undo: killed in an update that fails, the engine goes back by itself.
        "FailureAction": "rollback",
        "Monitor": 5 * SECOND,
    }
    spec: JSON = {
        "Name": names.service(component, replica.id),
        "Labels": dict(labels),
        "Mode": {"Replicated": {"Replicas": 1}},
        "TaskTemplate": {
            "ContainerSpec": container,
            "Placement": {"Constraints": [f"node.id=={replica.node_id}"]},
            "RestartPolicy": {"Condition": "any", "Delay": 2 * SECOND},
            "Networks": [{"Target": names.NETWORK}],
        },
        "UpdateConfig": update,
        # Nothing is left to return to: what is known to have worked is tried until it runs.
        "RollbackConfig": {
            "Parallelism": 1,
            "Order": order,
            "FailureAction": "continue",
            "Monitor": 5 * SECOND,
        },
        "EndpointSpec": {"Mode": "dnsrr"},
    }
    if cluster.settings.log_protocol != "internal":
        spec["TaskTemplate"]["LogDriver"] = {
            "Name": "syslog",
            "Options": {
                "syslog-address": f"{cluster.settings.log_protocol}://{cluster.settings.log_host}",
                "tag": spec["Name"],
            },
        }
    return spec


def gate_mount(replica: str, labels: dict[str, str], *, writable: bool = False) -> JSON:
    """The small volume with the gate's files; the proxy reads it, a one-shot writes it."""
    return {
        "Type": "volume",
        "Source": names.gate_volume(replica),
        "Target": GATE,
        "ReadOnly": not writable,
        "VolumeOptions": {"NoCopy": True, "Labels": labels},
    }


def _healthcheck(port: int, replica: Replica) -> JSON:
    """Liveness only: a store that is away must not make the engine restart a registry that waits for it."""
    wget = "wget" if replica.registry_image and port == registry_config.HTTP_PORT else "/bin/busybox"
    args = [] if wget == "wget" else ["wget"]
    return {
        "Test": ["CMD", wget, *args, "-q", "-O", "/dev/null", f"http://127.0.0.1:{port}/"],
        "Interval": 2 * SECOND,
        "Timeout": 5 * SECOND,
        "Retries": 15,
        "StartPeriod": 10 * SECOND,
    }


def _tmpfs() -> JSON:
    return {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 64 << 20, "Mode": 0o1777}}  # noqa: S108


def _file(path: str, spec: JSON, *, uid: str) -> JSON:
    return {"ConfigName": spec["Name"], "File": {"Name": path, "UID": uid, "GID": uid, "Mode": 0o444}}


def _secret(target: str, name: str, *, uid: str) -> JSON:
    return {"SecretName": name, "File": {"Name": target, "UID": uid, "GID": uid, "Mode": 0o400}}
