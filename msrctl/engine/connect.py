"""Finds the engine to use: an MKE controller, DOCKER_HOST, the docker context, or the local socket."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msrctl.errors import Unreachable, UsageFault
from msrctl.model.requests import EndpointRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import APIClient

    from msrctl.engine.docker import Dial, DockerEngine

DEFAULT_HOST = "unix:///var/run/docker.sock"
TIMEOUT = 60

Endpoint = EndpointRequest


@dataclass(frozen=True)
class Host:
    """One engine's address as the docker CLI knows it.

    Arguments:
        url: unix://, tcp://, http(s):// or ssh://.
        source: where the address comes from, in words.
        certificates: a directory with ca.pem, cert.pem and key.pem, or None for no TLS.
        verify: whether to verify the engine's certificate.
    """

    url: str
    source: str
    certificates: Path | None = None
    verify: bool = True


def connect(endpoint: Endpoint, environ: Mapping[str, str] | None = None) -> DockerEngine:
    """Connects to the engine that the user means, and asks it for its version.

    Arguments:
        endpoint: what the user said.
        environ: the environment; None: that of the process.

    Raises:
        UsageFault: what was said does not fit together.
        Unreachable: codes NO-ENGINE, NO-PERMISSION, NO-CONTEXT, UCP-LOGIN, UCP-CERTIFICATE.
        WrongState: ENGINE-TOO-OLD, NOT-AN-ENGINE.
    """
    if endpoint.ucp_url:
        from msrctl.engine.balanced import BalancedEngine

        return BalancedEngine(*_mke(endpoint))
    from msrctl.engine.docker import DockerEngine

    host = host_of(os.environ if environ is None else environ)
    return DockerEngine(_plain(host), f"{_without_credentials(host.url)} ({host.source})")


def connect_node(address: str) -> DockerEngine:
    """Connects to a node's own engine.

    Arguments:
        address: as DOCKER_HOST has it; certificates for it are those of DOCKER_HOST too.

    Raises:
        UsageFault, Unreachable, WrongState: as `connect`.
    """
    from msrctl.engine.docker import DockerEngine

    host = host_of({**os.environ, "DOCKER_HOST": address})
    return DockerEngine(_plain(replace(host, source="--node-engine")), _without_credentials(address))


def host_of(environ: Mapping[str, str]) -> Host:
    """The address that the docker CLI would use: DOCKER_HOST, a context, or the local socket.

    Source of the order: docker/cli, `cli/command/cli.go`, resolveContextName.
    """
    if url := environ.get("DOCKER_HOST"):
        directory = environ.get("DOCKER_CERT_PATH")
        verify = bool(environ.get("DOCKER_TLS_VERIFY"))
        if (directory or verify) and not url.startswith(("unix://", "ssh://")):
            return Host(url, "DOCKER_HOST", Path(directory or _config_dir(environ)), verify)
        return Host(url, "DOCKER_HOST")
    name = environ.get("DOCKER_CONTEXT") or _current_context(environ)
    return _context(name, environ) if name and name != "default" else Host(DEFAULT_HOST, "the local socket")


def _config_dir(environ: Mapping[str, str]) -> Path:
    if given := environ.get("DOCKER_CONFIG"):
        return Path(given)
    return Path(environ["HOME"] if environ.get("HOME") else Path.home()) / ".docker"


def _current_context(environ: Mapping[str, str]) -> str | None:
    try:
        data = json.loads((_config_dir(environ) / "config.json").read_text())
    except (OSError, ValueError):
        return None  # the docker CLI goes on with its defaults too
    name = data.get("currentContext") if isinstance(data, dict) else None
    return str(name) if name else None


def _context(name: str, environ: Mapping[str, str]) -> Host:
    """A docker context (docker/cli, `cli/context/store`: directories are named by the sha256 of the name)."""
    contexts = _config_dir(environ) / "contexts"
    ident = hashlib.sha256(name.encode()).hexdigest()
    try:
        docker: dict[str, Any] = json.loads((contexts / "meta" / ident / "meta.json").read_text())[
            "Endpoints"
        ]["docker"]
        url = str(docker["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Unreachable(
            f"the docker context {name} cannot be read below {contexts}",
            code="NO-CONTEXT",
            hint="docker context ls shows those that there are; docker context use default goes back.",
        ) from None
    certificates = contexts / "tls" / ident / "docker"
    return Host(
        url,
        f"docker context {name}",
        certificates if certificates.is_dir() else None,
        verify=not docker.get("SkipTLSVerify", False),
    )


def _plain(host: Host) -> Dial:
    """How to reach an engine by its own address."""
    from docker.errors import DockerException
    from docker.utils import parse_host

    if host.url.startswith("ssh://"):
        return _ssh(host.url)
    try:
        address = str(parse_host(host.url, tls=host.certificates is not None))
    except DockerException as error:
        raise UsageFault(
            f"the address {_without_credentials(host.url)} ({host.source}) is not one of an engine: {error}",
            hint="Use unix:///path, tcp://host:port or ssh://user@host.",
        ) from None
    context = _client_context(host) if host.certificates is not None else None

    def dial(version: str) -> APIClient:
        client = _client(host.url if address.startswith("http+unix://") else address, version)
        if context is not None:
            _use_context(client, context)
        return client

    return dial


def _ssh(url: str) -> Dial:
    from msrctl.engine.transport import SshAdapter, probe_ssh

    probe_ssh(url)

    def dial(version: str) -> APIClient:
        client = _client("http://ssh:22", version)  # a name; the adapter knows the way
        client.mount("http://", SshAdapter(url, TIMEOUT))
        return client

    return dial


def _mke(endpoint: Endpoint) -> tuple[Dial, str]:
    """How to reach a controller; the login happens with the first request."""
    from msrctl.engine.mke import MkeLogin, base_of
    from msrctl.engine.transport import context_for

    base = base_of(endpoint.ucp_url or "")
    if not endpoint.ucp_username or not endpoint.ucp_password:
        raise UsageFault(
            f"{base} wants a user and a password",
            code="UCP-LOGIN",
            hint="Give --ucp-username (or UCP_USERNAME), and the password in UCP_PASSWORD or --ucp-password.",
        )
    try:
        context = context_for(endpoint.ucp_ca, insecure=endpoint.ucp_insecure_tls)
    except ssl.SSLError:
        raise UsageFault(
            "--ucp-ca is not a PEM certificate", code="UCP-CA", hint='Give its text: --ucp-ca "$(cat ca.pem)"'
        ) from None
    login = MkeLogin(base, endpoint.ucp_username, endpoint.ucp_password, context)

    def dial(version: str) -> APIClient:
        client = _client(base, version)
        client.auth = login
        _use_context(client, context)
        return client

    return dial, f"{base} (MKE, as {endpoint.ucp_username})"


def _client(base_url: str, version: str) -> APIClient:
    from docker import APIClient

    client = APIClient(base_url=base_url, version=version, timeout=TIMEOUT)
    # Proxies and REQUESTS_CA_BUNDLE are for the outside world; the latter would override --ucp-ca.
    client.trust_env = False
    return client


def _use_context(client: APIClient, context: ssl.SSLContext) -> None:
    from msrctl.engine.transport import TlsContextAdapter

    client.mount("https://", TlsContextAdapter(context))
    client.verify = context.verify_mode != ssl.CERT_NONE


def _client_context(host: Host) -> ssl.SSLContext:
    """The TLS context for an engine's own port, with a client certificate if there is one."""
    from msrctl.engine.transport import context_for

    directory = host.certificates or Path()
    try:
        if not any((directory / name).exists() for name in ("ca.pem", "cert.pem")):
            raise FileNotFoundError(errno.ENOENT, "there are none")
        ca = directory / "ca.pem"
        context = context_for(ca.read_text() if ca.exists() else None, insecure=not host.verify)
        if (directory / "cert.pem").exists():
            context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    except OSError as error:  # ssl.SSLError is one
        raise Unreachable(
            f"the certificates in {directory} ({host.source}) cannot be used: {error.strerror or error}",
            code="NO-CERTIFICATES",
            hint="There must be ca.pem, cert.pem and key.pem; DOCKER_CERT_PATH names the directory.",
        ) from None
    return context


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.password else url
