"""Checks of options against each other: each looks at what was given and yields what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from msrctl.cli.base import Given
from msrctl.cli.terminal import is_interactive

SETTINGS: tuple[tuple[str, str], ...] = (
    # parameter, field of SettingsRequest
    ("dtr_external_url", "external_url"),
    ("dtr_ca", "ca"),
    ("dtr_cert", "certificate"),
    ("dtr_key", "key"),
    ("replica_http_port", "http_port"),
    ("replica_https_port", "https_port"),
    ("log_level", "log_level"),
    ("log_protocol", "log_protocol"),
    ("log_host", "log_host"),
    ("http_proxy", "http_proxy"),
    ("https_proxy", "https_proxy"),
    ("no_proxy", "no_proxy"),
    ("enable_pprof", "enable_pprof"),
    ("enable_client_cert_auth", "enable_client_cert_auth"),
    ("client_cert_auth_ca", "client_cert_auth_ca"),
    ("custom_ca_cert_bundle", "custom_ca_cert_bundle"),
    ("dtr_storage_volume", "storage_volume"),
    ("nfs_storage_url", "nfs_storage_url"),
    ("async_nfs", "async_nfs"),
    ("nfs_options", "nfs_options"),
    ("storage_config", "storage_config"),
)
OTHER_CHANGES = (
    "admin_username",
    "admin_password_file",
    "storage_migrated",
    "reinitialize_storage",
    "migrate_storage",
    "adopt_storage",
    "verify",
    "replica_id",
    "overlay_subnet",
    "advertise_addr",
    "image",
    "registry_image",
    "ucp_node",
)
NEW_STORE = ("storage_config", "nfs_storage_url", "dtr_storage_volume")


def option_name(parameter: str) -> str:
    """The option of a parameter: ``dtr_ca`` is ``--dtr-ca``."""
    return "--" + parameter.replace("_", "-")


def endpoint(given: Given) -> Iterator[str]:
    """A controller needs its URL and an account; without a URL nothing about it may be typed."""
    if not given.sets("ucp_url"):
        for name in ("ucp_username", "ucp_password", "ucp_ca", "ucp_insecure_tls"):
            # From the environment they may well stand there for other programs.
            if given.typed(name) and given.sets(name):
                yield f"{option_name(name)} needs --ucp-url"
        return
    if given.sets("ucp_ca") and given.sets("ucp_insecure_tls"):
        yield "--ucp-ca and --ucp-insecure-tls exclude each other"
    if not is_interactive():
        for name in ("ucp_username", "ucp_password"):
            if not given.sets(name):
                yield f"{option_name(name)} (${name.upper()}) is missing, and there is no terminal to ask on"


def no_controller(given: Given) -> Iterator[str]:
    """A controller manages its swarm itself, and answers nobody when it has lost its quorum."""
    if given.sets("ucp_url"):
        yield (
            "emergency-repair works on the engine of a node, not through --ucp-url: repair the controller's "
            "own swarm as its documentation says, then drop lost replicas with msrctl remove --force"
        )


def ports(given: Given) -> Iterator[str]:
    """Both ports are on one node, so they differ."""
    http, https = given.value("replica_http_port"), given.value("replica_https_port")
    if (http or https) and (http or 80) == (https or 443):
        yield f"--replica-http-port and --replica-https-port would both be {http or 80}"


def replicas_to_remove(given: Given) -> Iterator[str]:
    """One of the two spellings names what to remove."""
    if not given.sets("replica_ids") and not given.sets("replica_id"):
        yield "which replica? Name it with --replica-ids (msrctl status lists them)"
    if given.sets("replica_ids") and given.sets("replica_id"):
        yield "--replica-ids and --replica-id are two names of one option: give one of them"


def ports_given(given: Given) -> Iterator[str]:
    """Like `ports`, where a port that is not given may be anything (reconfigure)."""
    if given.value("replica_http_port") and given.value("replica_https_port"):
        yield from ports(given)


def certificates(given: Given) -> Iterator[str]:
    """Certificate and key come together, and a CA only with them."""
    certificate, key = given.sets("dtr_cert"), given.sets("dtr_key")
    if certificate and not key:
        yield "--dtr-cert needs --dtr-key"
    if key and not certificate:
        yield "--dtr-key needs --dtr-cert"
    if given.sets("dtr_ca") and not (certificate or key):
        yield "--dtr-ca needs --dtr-cert and --dtr-key"


def client_certificates(given: Given) -> Iterator[str]:
    """Asking clients for a certificate needs the CA of those certificates."""
    if given.sets("enable_client_cert_auth") and not given.sets("client_cert_auth_ca"):
        yield "--enable-client-cert-auth needs --client-cert-auth-ca"


def client_certificates_given(given: Given) -> Iterator[str]:
    """On reconfigure the CA may be known already, but it must not be taken away at once."""
    if given.sets("enable_client_cert_auth") and given.value("client_cert_auth_ca") == "":
        yield "--enable-client-cert-auth needs --client-cert-auth-ca, which is empty"


def logging(given: Given) -> Iterator[str]:
    """tcp and udp need a host, and a host needs one of them."""
    protocol = given.value("log_protocol")
    if protocol in ("tcp", "udp") and not given.sets("log_host"):
        yield f"--log-protocol {protocol} needs --log-host"
    if given.sets("log_host") and not given.has("log_protocol"):
        yield "--log-host needs --log-protocol tcp or udp"
    if given.sets("log_host") and protocol == "internal":
        yield "--log-host goes with --log-protocol tcp or udp, not internal"


def nfs(given: Given) -> Iterator[str]:
    """NFS options need an explicit URL, and NFS is not a volume at the same time."""
    for name in ("async_nfs", "nfs_options"):
        if given.has(name) and not given.sets("nfs_storage_url"):
            yield f"{option_name(name)} needs --nfs-storage-url on the same command line"
    if given.sets("nfs_storage_url") and given.sets("dtr_storage_volume"):
        yield "--nfs-storage-url and --dtr-storage-volume exclude each other"
    options = given.value("nfs_options")
    if options and given.value("async_nfs") and "sync" in options.split(","):
        yield "--async-nfs contradicts sync in --nfs-options"


def storage_config(given: Given) -> Iterator[str]:
    """A storage configuration is read and checked here, so that all that is wrong with it is told now."""
    file = given.value("storage_config")
    # To go on with an interrupted run, the file can only come from the environment: it is not meant.
    if not isinstance(file, str) or given.sets("resume") or given.sets("undo"):
        return
    for name in ("nfs_storage_url", "dtr_storage_volume"):
        if given.sets(name):
            yield f"--storage-config and {option_name(name)} exclude each other"
    if file == "-" and given.value("admin_password_file") == "-":
        yield "--storage-config - and --admin-password-file - would both read stdin"
        return
    if file == "-" and sys.stdin.isatty():
        yield "--storage-config - reads stdin, which is a terminal: redirect it, or name a file"
        return
    from msrctl.errors import UsageFault
    from msrctl.workflows.storage_file import read, read_for_any

    image = given.value("registry_image")
    try:
        # Without an image a reconfigure is for the registry in use, which only the engine knows.
        in_use = image is None and given.ctx.info_name == "reconfigure"
        request = read_for_any(file) if in_use else read(file, registry_of(image))
    except UsageFault as fault:
        yield from (f"--storage-config {file}: {detail}" for detail in fault.details)
        return
    given.ctx.params["storage_config"] = request
    given.invocation.warnings += request.warnings


def registry_of(image: str | None) -> str:
    """The version of the registry that an image's tag says: ``3``, else ``2.8`` as in msrctl's own image."""
    tag = (image or "").partition("@")[0].rpartition("/")[2].partition(":")[2]
    return "3" if tag.removeprefix("v").partition(".")[0] == "3" else "2.8"


def storage_change(given: Given) -> Iterator[str]:
    """What happens to the tags is one thing or the other."""
    if given.sets("storage_migrated") and given.sets("reinitialize_storage"):
        yield "--storage-migrated keeps the tags and --reinitialize-storage erases them: give one of them"
    if given.sets("migrate_storage"):
        if given.sets("storage_migrated"):
            yield "--migrate-storage copies the data that --storage-migrated says are there: give one of them"
        if given.sets("reinitialize_storage"):
            yield "--migrate-storage keeps the tags and --reinitialize-storage erases them: give one of them"
    if given.value("verify") == "digest" and given.sets("reinitialize_storage"):
        yield "--verify digest has nothing to verify in a store that --reinitialize-storage leaves empty"
    if any(given.has(name) for name in NEW_STORE):
        return
    for name in ("migrate_storage", "adopt_storage", "verify"):
        if given.sets(name):
            stores = ", ".join(option_name(store) for store in NEW_STORE)
            yield f"{option_name(name)} is about another store: it needs one of {stores}"


def storage_from_stdin(given: Given) -> Iterator[str]:
    """A storage configuration is not typed."""
    if given.value("file") == "-" and sys.stdin.isatty():
        yield "- reads the configuration from stdin, which is a terminal: redirect it, or name a file"


def continuation(given: Given) -> Iterator[str]:
    """Going on with an interrupted run takes what that run was given."""
    for mode in ("resume", "undo"):
        if not given.sets(mode):
            continue
        names = [name for name, _ in SETTINGS] + list(OTHER_CHANGES)
        typed = [option_name(name) for name in names if given.typed(name)]
        if typed:
            yield f"--{mode} takes what the interrupted run was given and excludes {', '.join(typed)}"
    if given.sets("resume") and given.sets("undo"):
        yield "--resume and --undo exclude each other"


def address_of_images(given: Given) -> Iterator[str]:
    """Warns about an external name that clients would take for a user of Docker Hub."""
    url = given.value("dtr_external_url")
    name = url.removeprefix("https://") if url else ""
    if name and not any(mark in name for mark in ".:") and name != "localhost":
        given.invocation.warnings.append(
            f"docker takes {name}/image for an image on Docker Hub, because {name} has neither dot nor port; "
            f"clients have to write {name}:443/image"
        )
    yield from ()


def watching(given: Given) -> Iterator[str]:
    """How often to look is about looking again."""
    if given.has("interval") and not given.sets("watch"):
        yield "--interval needs --watch"
    if given.sets("watch") and given.invocation.output == "prometheus":
        yield "--watch goes on and on, and --output prometheus is one look: leave one of them away"


def save_to_stdout(given: Given) -> Iterator[str]:
    """An image on stdout excludes everything else there."""
    if given.value("file") != "-":
        return
    if sys.stdout.isatty():
        yield "- writes the image to stdout, which is a terminal: redirect it, or name a file"
    if given.invocation.json:
        yield "- writes the image to stdout, so there is no place for --output json"


def bundle_to_stdout(given: Given) -> Iterator[str]:
    """A support bundle on stdout excludes everything else there."""
    if given.value("output_file") != "-":
        return
    if sys.stdout.isatty():
        yield "--output-file - writes the bundle to stdout, which is a terminal: redirect it, or name a file"
    if given.invocation.json:
        yield "--output-file - writes the bundle to stdout, so there is no place for --output json"


def load_from_stdin(given: Given) -> Iterator[str]:
    """An image is not typed."""
    if given.value("file") == "-" and sys.stdin.isatty():
        yield "- reads the image from stdin, which is a terminal: redirect it, or name a file"
