"""What runs on a replica's node, inside the image, as a one-shot: `msrctl node WHAT ...`.

Each answer is one line of JSON on stdout. Nothing here knows the swarm; arguments carry no secret, secrets
are files under /run/secrets.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrctl.errors import MsrctlError
from msrctl.transfer import tasks
from msrctl.transfer.files import FileStore
from msrctl.transfer.pulse import print_line
from msrctl.workflows import overlay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

JSON = dict[str, Any]


def main(args: Sequence[str]) -> int:
    """Runs one of the commands; 0 if every answer is ok.

    Arguments:
        args: what follows `msrctl node`.
    """
    parser = argparse.ArgumentParser(prog="msrctl node")
    commands = parser.add_subparsers(dest="what", required=True)
    check = commands.add_parser("check")
    check.add_argument("--port", type=int, action="append", default=[])
    check.add_argument("--storage", type=Path)
    commands.add_parser("usage").add_argument("root", type=Path)
    sign = commands.add_parser("sign")
    sign.add_argument("--days", type=int, required=True)
    probe = commands.add_parser("probe")
    probe.add_argument("--registry")
    probe.add_argument("--proxy")
    probe.add_argument("--host", default="")
    probe.add_argument("--upload", action="store_true")
    probe.add_argument("--pull", action="store_true")
    probe.add_argument("--client-certificates", action="store_true")
    drained = commands.add_parser("drained")
    drained.add_argument("proxy")
    drained.add_argument("--host", required=True)
    drained.add_argument("--seconds", type=float, required=True)
    commands.add_parser("overlay-serve").add_argument("--seconds", type=float, required=True)
    trial = commands.add_parser("overlay-try")
    trial.add_argument("name")
    trial.add_argument("--seconds", type=float, required=True)
    remove = commands.add_parser("remove-volume")
    remove.add_argument("name")
    remove.add_argument("--label", action="append", default=[])
    gate = commands.add_parser("gate")
    gate.add_argument("--set", action="append", default=[])
    gate.add_argument("--clear", action="append", default=[])
    nfs = commands.add_parser("nfs-probe")
    nfs.add_argument("host")
    nfs.add_argument("export")
    nfs.add_argument("--version", action="append", required=True)
    nfs.add_argument("--port", type=int, required=True)
    commands.add_parser("reveal").add_argument("--to", required=True)
    tasks.add_arguments(commands.add_parser("store"))
    options = parser.parse_args(args)
    run = {
        "check": _check,
        "usage": _usage,
        "sign": _sign,
        "probe": _probe,
        "drained": _drained,
        "overlay-serve": overlay.serve,
        "overlay-try": overlay.try_out,
        "remove-volume": _remove_volume,
        "gate": _gate,
        "nfs-probe": _nfs_probe,
        "reveal": _reveal,
        "store": tasks.run,
    }[options.what]
    fine = True
    for answer in run(options):
        fine = fine and answer.get("ok", True)
        print_line(answer)
    return 0 if fine else 1


def _check(options: argparse.Namespace) -> Iterator[JSON]:
    for port in options.port:
        yield {"check": "port", "port": port, **check_port(port)}
    if options.storage:
        for answer in FileStore(options.storage).probe():
            yield {"check": "storage", **answer}


def check_port(port: int) -> JSON:
    """Whether a port of this network namespace (the node's own) can be bound, on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - what the engine will do with it
            probe.listen(1)
        except OSError as error:
            return {"ok": False, "reason": os.strerror(error.errno or errno.EADDRINUSE), "errno": error.errno}
    return {"ok": True}


def _usage(options: argparse.Namespace) -> Iterator[JSON]:
    from msrctl.transfer.usage import usage

    found = usage(options.root)
    use = os.statvfs(options.root)
    yield {
        "ok": True,
        **found,
        "free_bytes": use.f_bavail * use.f_frsize,
        "device_bytes": use.f_blocks * use.f_frsize,
    }


def _sign(options: argparse.Namespace) -> Iterator[JSON]:
    """Signs the request in /run/msrctl/request.csr with the CA, whose key only this task can read."""
    from msrctl.secret import Secret
    from msrctl.tls.authority import sign

    key = Secret(Path("/run/secrets/ca.key").read_bytes())
    ca = Path("/run/msrctl/ca.crt").read_text()
    request = Path("/run/msrctl/request.csr").read_text()
    yield {"ok": True, "certificate": sign(ca, key, request, days=options.days)}


def _probe(options: argparse.Namespace) -> Iterator[JSON]:
    """Asks the registry, and the proxy in front of it, over the overlay network."""
    from msrctl.model.cluster import PROBE_USER
    from msrctl.registry.client import Registry
    from msrctl.secret import Secret

    auth = (PROBE_USER, Secret(Path("/run/secrets/probe").read_text().strip()))
    targets: list[tuple[str, str, tuple[str, int], str | None]] = []
    trust: str | None
    if options.registry:
        targets.append(("registry", "http://registry", (options.registry, 5000), None))
    if options.proxy:
        trust = Path("/run/msrctl/tls.crt").read_text()
        targets.append(("nginx", f"https://{options.host}", (options.proxy, 8443), trust))
    for component, url, address, trust in targets:
        began = time.monotonic()
        client = Registry(url, ca=trust, auth=auth, connect_to=address)
        try:
            if component == "nginx":
                healthy, text = client.health(ready=True)
                if not healthy:
                    yield {"ok": False, "component": component, "error": text, "code": "UNHEALTHY"}
                    continue
            if component == "nginx" and options.client_certificates:
                pass  # it lets nobody through without a certificate of the operator's CA, msrctl neither
            elif options.upload:
                client.probe_upload()
            else:
                client.ping()
            pulled = client.probe_pull() if options.pull else ""
        except MsrctlError as error:
            yield {"ok": False, "component": component, "error": str(error), "code": error.code}
        else:
            seconds = round(time.monotonic() - began, 3)
            yield {"ok": True, "component": component, "pulled": pulled, "seconds": seconds}


def _drained(options: argparse.Namespace) -> Iterator[JSON]:
    """Waits until the proxy has no write under way."""
    from msrctl.registry.client import Registry

    trust = Path("/run/msrctl/tls.crt").read_text()
    client = Registry(f"https://{options.host}", ca=trust, connect_to=(options.proxy, 8443))
    end = time.monotonic() + options.seconds
    while not (done := client.drained()) and time.monotonic() < end:
        time.sleep(0.1)
    yield {"ok": done}


def _gate(options: argparse.Namespace) -> Iterator[JSON]:
    """Opens or closes the gate of the proxy on this node: files in a volume, seen by the next request."""
    directory = Path("/gate")
    for name in options.set:
        (directory / name).touch()
    for name in options.clear:
        (directory / name).unlink(missing_ok=True)
    yield {"ok": True, "gate": sorted(p.name for p in directory.iterdir())}


def _nfs_probe(options: argparse.Namespace) -> Iterator[JSON]:
    """What a mount of an export from this node would meet, without mounting it."""
    from msrctl.storage.nfs_probe.check import probe

    yield probe(options.host, options.export, versions=options.version, port=options.port).to_json()


def _remove_volume(options: argparse.Namespace) -> Iterator[JSON]:
    """Removes a volume of this node, through the engine's socket, if it carries all the labels."""
    from msrctl.engine.connect import Endpoint, connect
    from msrctl.engine.volumes import remove_volume

    engine = connect(Endpoint())
    labels = dict(label.split("=", 1) for label in options.label)
    node = str(engine.info()["Swarm"]["NodeID"])
    yield {"ok": True, "removed": remove_volume(engine, options.name, node, labels)}


def _reveal(options: argparse.Namespace) -> Iterator[JSON]:
    """The secrets that are mounted into this task, sealed for the one reader who has the key."""
    from msrctl.backup.seal import seal

    files = sorted(path for path in Path("/run/secrets").iterdir() if path.is_file())
    yield from seal(((path.name, path.read_bytes()) for path in files), options.to)
    yield {"ok": True, "secrets": len(files)}
