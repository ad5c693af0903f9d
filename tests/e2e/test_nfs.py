"""NFS on the kernel's client and server: what the probe says, what the engine says, what a mount then is."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError

from msrctl.storage.nfs import NfsBackend
from msrctl.storage.nfs_probe import VERSIONS, NfsReport, explain_mount_error, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.nfs import DockerNode, NfsLab

pytest_plugins = ["labs.nfs.fixtures"]

PROMISE = 10.0  # seconds until a wrong server is told, on a guest at a third of the machine's speed
PLAIN = "rw,sync,no_subtree_check"
ROOT = f"{PLAIN},no_root_squash"

# Runs in the image, on the node's own network, as the check before a switch does.
PROBES = """
import json, sys
from msrctl.storage.nfs_probe import probe
for line in sys.stdin:
    host, export, versions = json.loads(line)
    print(json.dumps(probe(host, export, versions=versions).to_json()), flush=True)
"""


def address(lab: NfsLab, kind: str) -> str:
    """Addresses of the lab's network: the server's own, and others of it behind a firewall."""
    numbers = {"server": 1, "nobody": 200, "drops": 201, "closed": 202, "no-portmapper": 203}
    return f"{lab.server.ip.rsplit('.', 1)[0]}.{numbers[kind]}" if kind in numbers else kind


@pytest.fixture(scope="module")
def lab(nfs_lab: NfsLab) -> NfsLab:
    """The lab with an export of every kind."""
    server = nfs_lab.server
    server.export("/srv/nfs/rw", ROOT)
    server.export("/srv/nfs/ro", ROOT.replace("rw", "ro"))
    server.export("/srv/nfs/squash", PLAIN)
    server.export("/srv/nfs/owned", f"{PLAIN},anonuid=4711,anongid=4711")
    server.export("/srv/nfs/others", ROOT, clients=address(nfs_lab, "nobody"))
    server.export("/srv/nfs/secret", PLAIN, mode="0700")
    server.ssh("chown 4711:4711 /srv/nfs/owned; mkdir -p /srv/nfs/hidden; touch /srv/nfs/rw/file")
    firewall = {
        "drops": "-p tcp -j DROP",
        "closed": "-p tcp -m multiport --dports 111,2049 -j REJECT --reject-with tcp-reset",
        "no-portmapper": "-p tcp --dport 111 -j REJECT --reject-with tcp-reset",
    }
    for kind, rule in firewall.items():
        ip = address(nfs_lab, kind)
        server.ssh(f"ip addr replace {ip}/24 dev vec0 && iptables -A INPUT -d {ip} {rule}")
    return nfs_lab


def probe_on(node: DockerNode, questions: list[tuple[str, str, list[str]]]) -> list[NfsReport]:
    """Probes from a container of msrctl's image on the node's own network."""
    lines = "".join(f"{json.dumps(question)}\n" for question in questions)
    (node.share / "questions").write_text(lines)
    (node.share / "probes.py").write_text(PROBES)
    printed = node.ssh(
        "docker run --rm -i --network host -v /host/probes.py:/probes.py --entrypoint /opt/msrctl/bin/python "
        f"{node.images[0]} /probes.py </host/questions",
        timeout=200,
    )
    return [NfsReport.from_json(json.loads(line)) for line in printed.splitlines()]


# -- the probe: (address, export, versions, code, words of the detail)

V4, V3 = ["4.2"], ["3"]
ROWS: dict[str, tuple[str, str, list[str], str, str]] = {
    "absent 4": ("server", "/srv/nfs/nosuch", V4, report.EXPORT, "is not exported; "),
    "absent 3": ("server", "/srv/nfs/nosuch", V3, report.EXPORT, "is not exported; "),
    "there but not exported": ("server", "/srv/nfs/hidden", [*VERSIONS], report.EXPORT, "is not exported; "),
    "to others 4": ("server", "/srv/nfs/others", V4, report.EXPORT, "but to "),
    "to others 3": ("server", "/srv/nfs/others", V3, report.EXPORT, "but to "),
    "above the exports": ("server", "/srv/nfs", V4, report.EXPORT, "only leads to"),
    "a file 4": ("server", "/srv/nfs/rw/file", V4, report.NOT_DIRECTORY, "is not a directory"),
    "a file 3": ("server", "/srv/nfs/rw/file", V3, report.NOT_DIRECTORY, "is not a directory"),
    "read-only 4": ("server", "/srv/nfs/ro", V4, report.READ_ONLY, "exported read-only"),
    "read-only 3": ("server", "/srv/nfs/ro", V3, report.READ_ONLY, "exported read-only"),
    "root_squash 4": ("server", "/srv/nfs/squash", V4, report.ROOT_SQUASH, "root_squash"),
    "root_squash 3": ("server", "/srv/nfs/squash", V3, report.ROOT_SQUASH, "root_squash"),
    "secret": ("server", "/srv/nfs/secret", V4, report.DENIED, "reading is refused"),
    "port closed": ("closed", "/srv/nfs/rw", [*VERSIONS], report.REFUSED, "refuses connections"),
    "portmapper closed": ("no-portmapper", "/srv/nfs/rw", V3, report.REFUSED, "portmapper"),
    "nobody there": ("nobody", "/srv/nfs/rw", [*VERSIONS], report.UNREACHABLE, "no route to host"),
    "another network": (
        "192.0.2.1",
        "/srv/nfs/rw",
        [*VERSIONS],
        report.UNREACHABLE,
        "network is unreachable",
    ),
    "packets dropped": ("drops", "/srv/nfs/rw", [*VERSIONS], report.TIMEOUT, "no answer within 4 s"),
    "unknown name": ("nas.invalid", "/srv/nfs/rw", [*VERSIONS], report.RESOLVE, "does not resolve"),
}
GOOD = {
    **{f"by {version}": ("server", "/srv/nfs/rw", [version]) for version in VERSIONS},
    "by name": ("nfs1", "/srv/nfs/rw", [*VERSIONS]),
    "below an export": ("server", "/srv/nfs/rw/..data", [*VERSIONS]),
    "owned by the user that root becomes": ("server", "/srv/nfs/owned", [*VERSIONS]),
    "4 without a portmapper": ("no-portmapper", "/srv/nfs/rw", [*VERSIONS]),
}


@pytest.fixture(scope="module")
def reports(lab: NfsLab) -> dict[str, NfsReport]:
    """The answers to all rows, from one container: starting one takes seconds there."""
    lab.server.ssh("mkdir -p /srv/nfs/rw/..data")
    rows = {**{name: row[:3] for name, row in ROWS.items()}, **GOOD}
    questions = [(address(lab, kind), export, versions) for kind, export, versions in rows.values()]
    return dict(zip(rows, probe_on(lab.node, questions), strict=True))


@pytest.mark.parametrize("name", ROWS)
def test_each_wrong_server_has_its_own_message_within_seconds(
    reports: dict[str, NfsReport], name: str
) -> None:
    *_, code, words = ROWS[name]
    found = reports[name]
    assert found.failed is not None
    assert found.failed.code == code
    assert words in found.failed.detail
    assert found.failed.hint
    assert found.version is None
    assert found.seconds < PROMISE


@pytest.mark.parametrize("name", GOOD)
def test_each_good_export_passes_and_says_which_version_to_mount(
    reports: dict[str, NfsReport], lab: NfsLab, name: str
) -> None:
    found = reports[name]
    assert found.ok, found.failed
    assert found.version == GOOD[name][2][0]
    assert found.served == VERSIONS
    assert found.client == lab.node.ip
    assert found.seconds < PROMISE


@pytest.fixture
def every_version_again(lab: NfsLab) -> Iterator[None]:
    yield
    lab.server.serve()


@pytest.mark.parametrize("served", [("3",), ("4.0", "4.1")])
def test_the_best_of_what_a_server_serves_is_found(
    lab: NfsLab, every_version_again: None, served: tuple[str, ...]
) -> None:
    lab.server.serve(*served)
    host = lab.server.ip
    best, wrong = probe_on(lab.node, [(host, "/srv/nfs/rw", [*VERSIONS]), (host, "/srv/nfs/rw", ["4.2"])])
    assert best.ok, best.failed
    assert best.served == tuple(version for version in VERSIONS if version in served)
    assert best.version == best.served[0]
    assert wrong.failed is not None
    assert wrong.failed.code == report.VERSION
    assert f"only {', '.join(best.served)}" in wrong.failed.detail


def test_a_server_that_is_stopped_refuses_and_one_that_is_unplugged_times_out(
    lab: NfsLab, every_version_again: None
) -> None:
    question = [(lab.server.ip, "/srv/nfs/rw", [*VERSIONS])]
    lab.server.stop()
    (stopped,) = probe_on(lab.node, question)
    lab.server.unplug()
    try:
        (unplugged,) = probe_on(lab.node, question)
    finally:
        lab.server.plug()
    assert stopped.failed is not None
    assert stopped.failed.code == report.REFUSED
    assert unplugged.failed is not None
    # Which one depends on whether the node still remembers the server's hardware address.
    assert unplugged.failed.code in {report.TIMEOUT, report.UNREACHABLE}
    assert unplugged.seconds < PROMISE


# -- the engine


def run_with(node: DockerNode, backends: dict[str, NfsBackend], command: str) -> str:
    """Runs a shell command in a container that has stores at /NAME, and returns what it printed.

    Raises:
        APIError: the engine refused; what was made is removed.
    """
    api = node.client.api
    mounts = [backend.mount(name, {"made": "here"}, f"/{name}") for name, backend in backends.items()]
    config: dict[str, Any] = {
        "Image": node.images[0],
        "Entrypoint": ["/bin/busybox", "sh", "-c"],
        "Cmd": [command],
        "HostConfig": {"NetworkMode": "host", "Mounts": mounts},
    }
    container = api.create_container_from_config(config)["Id"]
    try:
        api.start(container)
        status = api.wait(container)["StatusCode"]
        printed = str(api.logs(container).decode())
        assert status == 0, printed
        return printed
    finally:
        api.remove_container(container, force=True)
        for name, backend in backends.items():
            api.remove_volume(backend.volume(name), force=True)


# name: (fields of the back end, type of the mount, options that the kernel then has, options that it has not)
MOUNTS: dict[str, tuple[dict[str, Any], str, set[str], str]] = {
    "v3": ({"version": "3"}, "nfs", {"vers=3", "sync", "acregmin=0", "acdirmax=0", "hard", "nolock"}, "soft"),
    "v40": ({"version": "4.0"}, "nfs4", {"vers=4.0", "sync", "acregmin=0", "acdirmax=0", "hard"}, "soft"),
    "v41": ({"version": "4.1"}, "nfs4", {"vers=4.1", "sync", "acregmin=0", "acdirmax=0", "hard"}, "soft"),
    "v42": ({"version": "4.2"}, "nfs4", {"vers=4.2", "sync", "acregmin=0", "acdirmax=0", "hard"}, "soft"),
    "async": ({"asynchronous": True}, "nfs4", {"vers=4.2", "rw", "acregmin=0"}, "sync"),
    "soft": ({"options": "rw,nfsvers=4.1,soft,timeo=50"}, "nfs4", {"vers=4.1", "soft", "timeo=50"}, "sync"),
    "noatime": ({"options": "noatime,rsize=65536"}, "nfs4", {"vers=4.2", "noatime", "rsize=65536"}, "sync"),
    "vers3": ({"options": "rw,vers=3,nolock"}, "nfs", {"vers=3", "nolock"}, "sync"),
    "flag": ({"options": "v4.0"}, "nfs4", {"vers=4.0"}, "sync"),
    "four": ({"options": "nfsvers=4"}, "nfs4", {"vers=4.0"}, "sync"),
    "name": ({"host": "nfs1", "version": "4.2"}, "nfs4", {"vers=4.2"}, "soft"),
}


@pytest.fixture(scope="module")
def mounted(lab: NfsLab) -> dict[str, tuple[str, str, set[str]]]:
    """What /proc/mounts says of each: device, type, options; all in one container, each written to."""
    lab.server.ssh("rm -rf /srv/nfs/rw/from-*")
    where = {"host": lab.server.ip, "export": "/srv/nfs/rw"}
    backends = {name: NfsBackend(**{**where, **fields}) for name, (fields, *_) in MOUNTS.items()}
    command = f"for m in {' '.join(MOUNTS)}; do echo $m >/$m/from-$m || exit 1; done; cat /proc/mounts"
    found = {}
    for line in run_with(lab.node, backends, command).splitlines():
        device, place, kind, options = line.split()[:4]
        found[place.removeprefix("/")] = (device, kind, set(options.split(",")))
    return found


@pytest.mark.parametrize("name", MOUNTS)
def test_each_mount_is_what_the_back_end_asked_for(
    lab: NfsLab, mounted: dict[str, tuple[str, str, set[str]]], name: str
) -> None:
    _, wanted_kind, wanted, unwanted = MOUNTS[name]
    device, kind, options = mounted[name]
    assert device == ":/srv/nfs/rw"
    assert kind == wanted_kind
    assert wanted <= options
    assert unwanted not in options
    assert f"addr={lab.server.ip}" in options
    assert lab.server.ssh(f"cat /srv/nfs/rw/from-{name}") == f"{name}\n"


def test_an_export_that_root_cannot_write_mounts_all_the_same_so_only_the_probe_tells(lab: NfsLab) -> None:
    names = ("ro", "squash")
    backends = {name: NfsBackend(lab.server.ip, f"/srv/nfs/{name}", version="4.2") for name in names}
    printed = run_with(lab.node, backends, "for m in ro squash; do echo x >/$m/x; done 2>&1; true")
    assert "/ro/x: Read-only file system" in printed
    assert "/squash/x: Permission denied" in printed


# (address, export, options, version, code); the probe would have told all of them but the options before.
REFUSED: dict[str, tuple[str, str, str | None, str, str]] = {
    "absent 4": ("server", "/srv/nfs/nosuch", None, "4.2", report.EXPORT),
    "absent 3": ("server", "/srv/nfs/nosuch", None, "3", report.EXPORT),
    "to others 4": ("server", "/srv/nfs/others", None, "4.1", report.EXPORT),
    "a file": ("server", "/srv/nfs/rw/file", None, "4.2", report.NOT_DIRECTORY),
    "port closed": ("closed", "/srv/nfs/rw", None, "4.2", report.REFUSED),
    "portmapper closed": ("no-portmapper", "/srv/nfs/rw", None, "3", report.REFUSED),
    "no rpcbind on the node": ("server", "/srv/nfs/rw", "rw,nfsvers=3", "3", report.REFUSED),
    "nobody there": ("nobody", "/srv/nfs/rw", None, "4.2", report.UNREACHABLE),
    "packets dropped": ("drops", "/srv/nfs/rw", "soft,timeo=10,retrans=1", "4.2", report.TIMEOUT),
    "bad option": ("server", "/srv/nfs/rw", "rw,nosuchoption", "4.2", report.OPTIONS),
    "unknown name": ("nas.invalid", "/srv/nfs/rw", None, "4.2", report.RESOLVE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_of_the_engine_is_explained(lab: NfsLab, name: str) -> None:
    kind, export, options, version, code = REFUSED[name]
    backend = NfsBackend(address(lab, kind), export, options, version=version)
    begun = time.monotonic()
    with pytest.raises(APIError) as caught:
        run_with(lab.node, {"v": backend}, "true")
    explained = explain_mount_error(str(caught.value.explanation))
    assert explained is not None, caught.value.explanation
    assert explained.code == code, caught.value.explanation
    assert time.monotonic() - begun < 3 * PROMISE


def test_a_version_that_is_not_served_is_explained(lab: NfsLab, every_version_again: None) -> None:
    lab.server.serve("3")
    with pytest.raises(APIError) as caught:
        run_with(lab.node, {"v": NfsBackend(lab.server.ip, "/srv/nfs/rw", version="4.2")}, "true")
    explained = explain_mount_error(str(caught.value.explanation))
    assert explained is not None
    assert explained.code == report.VERSION, caught.value.explanation


def test_a_trial_leaves_no_volume_behind(lab: NfsLab) -> None:
    api = lab.node.client.api
    before = {volume["Name"] for volume in api.volumes()["Volumes"] or []}
    mount = NfsBackend(lab.server.ip, "/srv/nfs/rw", version="4.2").trial_mount("/storage")
    container = api.create_container_from_config(
        {
            "Image": lab.node.images[0],
            "Entrypoint": ["/bin/busybox", "true"],
            "HostConfig": {"NetworkMode": "host", "Mounts": [mount]},
        }
    )["Id"]
    api.start(container)
    assert api.wait(container)["StatusCode"] == 0
    api.remove_container(container, v=True)
    assert {volume["Name"] for volume in api.volumes()["Volumes"] or []} == before
    assert "file" in lab.server.ssh("ls /srv/nfs/rw")
