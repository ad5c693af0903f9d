"""Options for the settings of a deployment: those of the original's install and reconfigure, and our own."""

from __future__ import annotations

from msrctl.cli import pem, values
from msrctl.cli.options import Checked, SecretText, flag, option, together

ADDRESS = "Address and certificates"
STORAGE = "Storage"
LOGS = "Logs and debugging"
PROXIES = "Proxies"
ACCOUNT = "Administrator"

replica_ports_options = together(
    option(
        "--replica-http-port",
        type=Checked("PORT", values.port),
        variable="REPLICA_HTTP_PORT",
        section=ADDRESS,
        default_text="80",
        help="Port of the replica for http; it redirects to https and answers health checks.",
        more="Per replica.",
    ),
    option(
        "--replica-https-port",
        type=Checked("PORT", values.port),
        variable="REPLICA_HTTPS_PORT",
        section=ADDRESS,
        default_text="443",
        help="Port of the replica for https.",
        more="Per replica.",
    ),
)

address_options = together(
    option(
        "--dtr-external-url",
        type=Checked("URL", values.external_url, empty=True),
        variable="DTR_EXTERNAL_URL",
        section=ADDRESS,
        default_text="the node's name or address",
        help="The address that clients use: https://host[:port].",
        more="A bare host[:port] is taken as https://. If a load balancer stands before the replicas, this "
        "is its address; the certificate must hold its name.",
    ),
    replica_ports_options,
    option(
        "--dtr-ca",
        type=Checked("PEM", pem.certificates, empty=True),
        variable="DTR_CA",
        section=ADDRESS,
        help="CA of --dtr-cert: PEM text, or a file's path or @path.",
        more="Needs --dtr-cert and --dtr-key.",
    ),
    option(
        "--dtr-cert",
        type=Checked("PEM", pem.certificates, empty=True),
        variable="DTR_CERT",
        section=ADDRESS,
        default_text="signed by a CA of msrctl's own",
        help="Certificate for https, intermediates after it: PEM text, or a file's path or @path.",
    ),
    option(
        "--dtr-key",
        type=SecretText("PEM", pem.private_key, empty=True),
        variable="DTR_KEY",
        section=ADDRESS,
        secret=True,
        help="Private key of --dtr-cert: PEM text, or a file's path or @path. "
        "Arguments are visible in ps: prefer the variable or a file.",
    ),
    option(
        "--client-cert-auth-ca",
        type=Checked("PEM", pem.certificates, empty=True),
        variable="CLIENT_CA",
        section=ADDRESS,
        help="CA for certificates of clients: PEM text, or a file's path or @path.",
    ),
    flag(
        "--enable-client-cert-auth",
        variable="ENABLE_CLIENT_CERT_AUTH",
        section=ADDRESS,
        help="Ask clients for a certificate of --client-cert-auth-ca as well as for their password.",
        more="The certificate does not stand for a password; what is refused is /v2/, while health checks "
        "need neither. Turn it off again with --enable-client-cert-auth=false.",
    ),
    option(
        "--custom-ca-cert-bundle",
        type=Checked("PEM", pem.certificates, empty=True),
        variable="CUSTOM_CA_CERTS_BUNDLE",
        section=ADDRESS,
        help="CAs that the services trust as well, such as a storage endpoint's: PEM text, a path or @path.",
    ),
)

storage_options = together(
    option(
        "--dtr-storage-volume",
        type=Checked("NAME|PATH", values.storage_volume, empty=True),
        variable="DTR_STORAGE_VOLUME",
        section=STORAGE,
        default_text="dtr-registry-<replica id>",
        help="Where images are kept: a volume's name, or an absolute path on the node.",
    ),
    option(
        "--storage-config",
        type=Checked("FILE", values.single_line),
        variable="MSRCTL_STORAGE_CONFIG",
        section=STORAGE,
        help="Keep images in s3, azure, swift or gcs as this file says (.yml, .yaml, .txt; - is stdin).",
        more="The storage section of a registry's configuration, or the fields of the original's storage "
        "page; msrctl storage sample prints one. It is checked before anything else. Credentials may stand "
        "in it as ${NAME}, or in files of their own (secretkey_file).",
    ),
    option(
        "--nfs-storage-url",
        type=Checked("URL", values.nfs_url, empty=True),
        variable="NFS_STORAGE_URL",
        section=STORAGE,
        help="Keep images on NFS: nfs://host/directory.",
        more="On reconfigure an empty value stops using NFS: back to the local volume.",
    ),
    flag(
        "--async-nfs",
        variable="ASYNC_NFS",
        section=STORAGE,
        help="Mount NFS with async instead of sync. Needs --nfs-storage-url.",
    ),
    option(
        "--nfs-options",
        type=Checked("OPTIONS", values.single_line),
        variable="NFS_OPTIONS",
        section=STORAGE,
        help="Mount options for NFS, taken as they are, such as rw,nfsvers=4,async. Needs --nfs-storage-url.",
    ),
)

log_options = together(
    option(
        "--log-level",
        type=Checked("LEVEL", values.log_level),
        variable="LOG_LEVEL",
        section=LOGS,
        default_text="info",
        help="What the services log: debug, info, warn, error or fatal.",
    ),
    option(
        "--log-protocol",
        type=Checked("PROTOCOL", values.log_protocol),
        variable="LOG_PROTOCOL",
        section=LOGS,
        default_text="internal",
        help="Where the services log to: internal (the engine's own), tcp or udp (syslog at --log-host).",
    ),
    option(
        "--log-host",
        type=Checked("HOST[:PORT]", values.host_and_port, empty=True),
        variable="LOG_HOST",
        section=LOGS,
        help="The syslog server. Needs --log-protocol tcp or udp.",
    ),
    flag(
        "--enable-pprof",
        variable="DTR_PPROF",
        section=LOGS,
        help="Offer the registry's profiles at /registry_debug_pprof/debug/pprof.",
        more="Turn it off again with --enable-pprof=false.",
    ),
)

proxy_options = together(
    option(
        "--http-proxy",
        type=Checked("URL", values.proxy_url, empty=True),
        variable="DTR_HTTP_PROXY",
        section=PROXIES,
        help="Proxy of the services for http. No user or password in it.",
    ),
    option(
        "--https-proxy",
        type=Checked("URL", values.proxy_url, empty=True),
        variable="DTR_HTTPS_PROXY",
        section=PROXIES,
        help="Proxy of the services for https. No user or password in it.",
    ),
    option(
        "--no-proxy",
        type=Checked("LIST", values.no_proxy, empty=True),
        variable="DTR_NO_PROXY",
        section=PROXIES,
        help="What the services reach without a proxy: acme.com[, acme.org].",
    ),
)

ignored_options = together(
    option(
        "--replica-rethinkdb-cache-mb",
        type=Checked("MB", values.megabytes),
        variable="RETHINKDB_CACHE_MB",
        section=LOGS,
        ignored="there is no RethinkDB in this deployment",
        help="Accepted for compatibility; without effect, as there is no RethinkDB.",
    ),
)

settings_options = together(address_options, storage_options, log_options, proxy_options, ignored_options)

account_options = together(
    option(
        "--admin-username",
        type=Checked("NAME", values.user_name),
        variable="MSRCTL_ADMIN_USERNAME",
        section=ACCOUNT,
        help="Name of the administrator's account.",
    ),
    option(
        "--admin-password-file",
        type=Checked("FILE", values.single_line),
        variable="MSRCTL_ADMIN_PASSWORD_FILE",
        section=ACCOUNT,
        help="File with the administrator's password; - reads stdin, or asks on a terminal. "
        "The variable MSRCTL_ADMIN_PASSWORD may hold the password itself.",
        more="There is no argument for the password itself, because arguments are visible in ps.",
    ),
)

adopt_option = flag(
    "--adopt-storage",
    section=STORAGE,
    help="Take over a store that is marked as another cluster's.",
    more="Two clusters that write to one store lose each other's images: only for a store whose cluster is "
    "gone.",
)
