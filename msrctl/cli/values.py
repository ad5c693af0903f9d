"""Values as people type them, checked and brought into one form; ValueError says why one is refused."""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

import posixpath
import re

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_WAIT = 366 * 86400.0

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
LOG_PROTOCOLS = ("internal", "tcp", "udp")


def single_line(text: str) -> str:
    """The text itself, refused if it holds a line break, another control character or broken UTF-8."""
    for character in text:
        code = ord(character)
        if code < 0x20 or 0x7F <= code <= 0x9F or character in "\u2028\u2029":
            raise ValueError("holds a line break or another control character")
        if 0xD800 <= code <= 0xDFFF:
            raise ValueError("is not valid UTF-8")
    return text


def word(text: str) -> str:
    """A non-empty single line without blanks, such as a node's name."""
    if not single_line(text) or any(character.isspace() for character in text):
        raise ValueError("must be one word")
    return text


def replica_id(text: str) -> str:
    """A replica's id: 12 hex digits, in lower case."""
    if not re.fullmatch(r"[0-9a-f]{12}", text.lower()):
        raise ValueError(f"{text!r} is not a replica id (12 hex digits)")
    return text.lower()


def replica_ids(text: str) -> tuple[str, ...]:
    """Ids of replicas with commas between them."""
    return tuple(replica_id(part.strip()) for part in text.split(",") if part.strip())


def port(text: str) -> int:
    """A TCP port, 1 to 65535."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def megabytes(text: str) -> int:
    """A size in MB, a positive whole number."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError(f"{text!r} is not a number of megabytes")
    return int(text)


def host(text: str) -> str:
    """A host name, an IPv4 address, or an IPv6 address in brackets; in lower case.

    Names follow what an image reference can hold (no underscore):
    https://pkg.go.dev/github.com/distribution/reference
    """
    import ipaddress

    name = text.lower()
    if name.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            raise ValueError(f"{text!r} is not an IPv6 address in brackets") from None
    if not name:
        raise ValueError("the host is missing")
    if len(name) > 253 or not _HOST_NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a host name")
    if name.rpartition(".")[2].isdigit():
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise ValueError(f"{text!r} is neither a host name nor an IPv4 address") from None
    return name


def host_and_port(text: str) -> str:
    """`host` or `host:port`, in lower case."""
    if text.count(":") > 1 and not text.startswith("["):
        raise ValueError(f"{text!r}: write an IPv6 address in brackets")
    match = _AUTHORITY.fullmatch(single_line(text))
    if not match:
        raise ValueError(f"{text!r} is not host[:port]")
    name = host(match["host"])
    return name if match["port"] is None else f"{name}:{port(match['port'])}"


def _https_url(text: str) -> str:
    """`https://host[:port]`; the scheme may be left out, everything else is refused."""
    scheme, separator, rest = single_line(text).rpartition("://")
    if separator and scheme.lower() != "https":
        raise ValueError(f"{scheme}:// is not possible here, it must be https://host[:port]")
    rest = rest.removesuffix("/")
    if "@" in rest:
        raise ValueError("must not hold a user name or password")
    if any(mark in rest for mark in "/?#"):
        raise ValueError("must be https://host[:port] without a path or query")
    return f"https://{host_and_port(rest)}"


def external_url(text: str) -> str:
    """`--dtr-external-url`: https://host[:port]; a bare host[:port] gets the https://.

    A port is kept as typed, also 443: for Docker, host and host:443 are two registries.
    """
    return _https_url(text)


def ucp_url(text: str) -> str:
    """`--ucp-url`: https://host[:port]; the original takes host:port, so the scheme is optional."""
    return _https_url(text)


def registry_version(text: str) -> str:
    """`--registry-version`: 2.8 or 3, also written as 2, 2.8.3, 3.1 and the like."""
    major, _, minor = text.strip().removeprefix("v").partition(".")
    if major == "3" or (major == "2" and minor.partition(".")[0] in ("", "8")):
        return "3" if major == "3" else "2.8"
    raise ValueError(f"{text!r} is neither 2.8 nor 3")


def nfs_url(text: str) -> str:
    """`--nfs-storage-url`: nfs://host/directory, the directory being the export's path on the server."""
    scheme, separator, rest = single_line(text).partition("://")
    if not separator or scheme.lower() != "nfs":
        raise ValueError(f"{text!r} is not nfs://host/directory")
    server, slash, path = rest.partition("/")
    if "@" in server:
        raise ValueError("must not hold a user name or password")
    if ":" in server and not server.startswith("["):
        raise ValueError("write nfs://host/directory; a port goes into --nfs-options as port=N")
    if not slash:
        raise ValueError(f"{text!r} names no directory: write nfs://host/directory")
    directory = posixpath.normpath("/" + path.lstrip("/"))
    if ".." in path.split("/"):
        raise ValueError("the directory must not hold ..")
    return f"nfs://{host(server)}{directory}"


def storage_volume(text: str) -> str:
    """`--dtr-storage-volume`: a volume's name, or an absolute path in its shortest form.

    The pattern of names is the engine's own (two characters or more).
    """
    if single_line(text).startswith("/"):
        shortest = posixpath.normpath("/" + text.lstrip("/"))
        if ".." in text.split("/"):
            raise ValueError("the path must not hold ..")
        if shortest == "/":
            raise ValueError("/ itself cannot be the image store")
        if text != shortest:
            raise ValueError(f"write the path as {shortest}")
        return text
    if not _VOLUME.fullmatch(text):
        raise ValueError(
            f"{text!r} is neither an absolute path nor a volume name (two or more of letters, digits, _.-)"
        )
    return text


def subnet(text: str) -> str:
    """`--overlay-subnet`: an IPv4 network from /8 to /24, such as 10.1.0.0/24."""
    import ipaddress

    try:
        network = ipaddress.IPv4Network(single_line(text), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 network such as 10.1.0.0/24") from None
    if "/" not in text or not 8 <= network.prefixlen <= 24:
        raise ValueError(f"{text!r}: the network must have from /8 to /24 addresses, such as 10.1.0.0/24")
    if text.partition("/")[0] != str(network.network_address):
        raise ValueError(f"{text!r} has host bits set: did you mean {network}?")
    if network.is_multicast or network.is_loopback or network.is_link_local or network.is_reserved:
        raise ValueError(f"{text!r} is not a network that hosts can use")
    if network.network_address.packed[0] == 0:
        raise ValueError(f"{text!r} is not a network that hosts can use")
    return str(network)


def proxy_url(text: str) -> str:
    """A proxy as http(s)://host[:port]; no user and password, as a service's environment is readable."""
    scheme, separator, rest = single_line(text).partition("://")
    if not separator:
        scheme, rest = "http", text
    if scheme.lower() not in ("http", "https"):
        raise ValueError(f"{scheme}:// is not a proxy that the registry can use, write http://host:port")
    if "@" in rest:
        raise ValueError(
            "must not hold a user name or password: it would stand in the environment of a service, "
            "where everybody who may inspect services reads it"
        )
    rest = rest.removesuffix("/")
    if any(mark in rest for mark in "/?#"):
        raise ValueError("must be http://host:port without a path")
    return f"{scheme.lower()}://{host_and_port(rest)}"


def no_proxy(text: str) -> str:
    """`--no-proxy`: hosts, domains, addresses or networks, comma-separated (`acme.com[, acme.org]`)."""
    entries = [entry.strip() for entry in single_line(text).split(",")]
    for entry in entries:
        if not re.fullmatch(
            r"\*|(?:\*?\.)?[A-Za-z0-9_-][A-Za-z0-9_.:/-]*|\[[0-9A-Fa-f:.]+\](?::\d+)?|[0-9A-Fa-f:]+(?:/\d+)?",
            entry,
        ):
            raise ValueError(f"{entry!r} is not a host, a domain, an address or a network")
    return ",".join(entries)


def user_name(text: str) -> str:
    """A name for an account of the registry, as htpasswd can hold it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", text):
        raise ValueError("must be 1 to 64 letters, digits, or _ . @ -, and begin with a letter or digit")
    return text


def password(text: str) -> str:
    """A password for an account: 8 characters or more, at most 72 bytes, which is all that bcrypt reads."""
    single_line(text)
    if len(text) < 8:
        raise ValueError("must have 8 characters or more")
    if len(text.encode()) > 72:
        raise ValueError("must have 72 bytes or less (bcrypt reads no more)")
    return text


def engine_address(text: str) -> str:
    """The address of an engine as DOCKER_HOST has it: unix://, tcp:// or ssh://."""
    scheme, separator, rest = single_line(text).partition("://")
    if not separator or scheme not in {"unix", "tcp", "ssh"} or not rest:
        raise ValueError(f"{text!r} must be ssh://user@host, tcp://host:port or unix:///path")
    return text


def image_reference(text: str) -> str:
    """A reference to an image, by name, tag, digest or id; the engine has the last word on it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,254}", text):
        raise ValueError(f"{text!r} is not a reference to an image")
    return text


def log_level(text: str) -> str:
    """A log level, in any case."""
    return _one_of(text, LOG_LEVELS)


def log_protocol(text: str) -> str:
    """Where logs go: internal, tcp or udp."""
    return _one_of(text, LOG_PROTOCOLS)


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    if text.lower() not in choices:
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
    return text.lower()


def duration(text: str) -> float:
    """A Go duration such as 90s, 10m or 1h30m, in seconds (https://pkg.go.dev/time#ParseDuration)."""
    if text == "0":
        return 0.0
    position, seconds = 0, 0.0
    while position < len(text) and (part := _DURATION_PART.match(text, position)):
        seconds += float(part[1]) * _UNIT_SECONDS[part[2]]
        position = part.end()
    if not text or position < len(text):
        hint = (
            f", write {text}s or {text}m" if re.fullmatch(r"[0-9]+", text) else " such as 90s, 10m or 1h30m"
        )
        raise ValueError(f"{text!r} is not a duration{hint}")
    if seconds > _LONGEST_WAIT:
        raise ValueError(f"{text!r} is more than a year")
    return seconds


def positive_duration(text: str) -> float:
    """A duration above zero, in seconds."""
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError("must be more than 0")
    return seconds


ALL = "all"


def lines(text: str) -> int | str:
    """A number of lines, or ``all``."""
    if text.lower() == ALL:
        return ALL
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is neither a number nor all")
    return int(text)


def since(text: str) -> float | str:
    """A duration in seconds, or a time in UTC as the engine's logs have it (RFC 3339, ending in Z)."""
    from datetime import UTC, datetime

    if not re.match(r"\d{4}-", text):
        return duration(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 2026-01-02T03:04:05Z") from None
    # Without a zone it is this machine's, as with docker logs.
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def seconds(text: str) -> float:
    """A time above zero, in seconds: a plain number of them, or a duration."""
    return positive_duration(f"{text}s" if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else text)
