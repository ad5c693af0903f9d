"""Renders the configuration of the proxy (nginx) in front of a replica's registry."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from msrctl.model import names
from msrctl.model.cluster import Cluster, Replica

if TYPE_CHECKING:
    from jinja2 import Template

CONFIG_PATH = "/etc/nginx/nginx.conf"
LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "error": "error", "fatal": "crit"}
HEALTHY = '{"Error":"","Healthy":true}\n'
"""The answer of /_ping and /health, in the original's shape (reference: dtr-semantics.md, section 6)."""


def render(cluster: Cluster, replica: Replica) -> dict[str, str]:
    """The proxy's configuration files: path in the container to text. None of them is secret.

    Arguments:
        cluster: the cluster document.
        replica: the replica whose proxy it is.
    """
    settings = cluster.settings
    client_ca = settings.client_cert_auth_ca if settings.enable_client_cert_auth else None
    quiet = settings.log_level in {"warn", "error", "fatal"}
    files = {
        CONFIG_PATH: _template("nginx.conf.j2").render(
            level=LEVELS[settings.log_level],
            access_log="off" if quiet else "/dev/stdout",
            registry=names.service("registry", replica.id),
            redirect_port="" if replica.https_port == 443 else f":{replica.https_port}",
            client_ca=client_ca,
            ca=cluster.tls.ca,
            pprof=settings.enable_pprof,
        ),
        "/etc/nginx/health.conf": _template("nginx_health.conf.j2").render(),
        "/etc/nginx/healthy.json": HEALTHY,
        "/etc/nginx/tls.crt": cluster.tls.certificate,
    }
    if cluster.tls.ca:
        files["/etc/nginx/ca.crt"] = cluster.tls.ca
    if client_ca:
        files["/etc/nginx/client-ca.crt"] = client_ca
    return files


@cache
def _template(name: str) -> Template:
    import jinja2

    # The output is an nginx configuration, not HTML; every value in it was checked when it was parsed.
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    return environment.from_string((resources.files("msrctl.registry") / name).read_text())
