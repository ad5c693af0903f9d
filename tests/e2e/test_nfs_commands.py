"""Whole commands with the kernel's NFS client and server: install, options, moving, dead servers, destroy."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support import exports, look, run
from support.moving import config
from support.use import client, pull, push

from labs.stores import moto
from labs.system import eventually
from msrctl.model import names
from msrctl.storage.nfs_probe import report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.deployment import Deployment
    from labs.nfs import NfsLab

pytest_plugins = ["labs.nfs.fixtures"]
pytestmark = pytest.mark.timeout(1200)  # a guest is slow, and slower still beside other tests

PROMISE = 10.0  # seconds until a wrong server is told, beyond what any task takes to start there
STALL = 40.0  # seconds: --max-wait where a server goes away
PLAIN = "rw,sync,no_subtree_check"
ROOT = f"{PLAIN},no_root_squash"
V3 = "rw,nolock,actimeo=0,nfsvers=3"
V40 = "rw,sync,actimeo=0,nfsvers=4.0"
REPOSITORIES = ("team/app", "team/deep/er")


def address(lab: NfsLab, kind: str) -> str:
    """The server's own address, and others of it; a second one by which it serves too, or is gone."""
    numbers = {"server": 1, "nobody": 200, "drops": 201, "closed": 202, "second": 203}
    return f"{lab.server.ip.rsplit('.', 1)[0]}.{numbers[kind]}" if kind in numbers else kind


@pytest.fixture(scope="module")
def lab(nfs_lab: NfsLab) -> NfsLab:
    server = nfs_lab.server
    for export in ("one", "two"):
        server.export(f"{exports.WHERE}/{export}", ROOT)
    server.export(f"{exports.WHERE}/ro", ROOT.replace("rw", "ro"))
    server.export(f"{exports.WHERE}/squash", PLAIN)
    server.export(f"{exports.WHERE}/others", ROOT, clients=address(nfs_lab, "nobody"))
    server.ssh(f"touch {exports.WHERE}/ro/file")
    rules = {
        "drops": "-p tcp -j DROP",
        "closed": "-p tcp -m multiport --dports 111,2049 -j REJECT --reject-with tcp-reset",
        "second": "",
    }
    for kind, rule in rules.items():
        ip = address(nfs_lab, kind)
        server.ssh(f"ip addr replace {ip}/24 dev vec0")
        if rule:
            server.ssh(f"iptables -A INPUT -d {ip} {rule}")
    return nfs_lab


# -- install refuses each wrong server: (address, export, options, code, words)

ROWS: dict[str, tuple[str, str, str, str, str]] = {
    "absent": ("server", "nosuch", "", report.EXPORT, "is not exported; "),
    "absent, v3": ("server", "nosuch", V3, report.EXPORT, "is not exported; "),
    "to others": ("server", "others", "", report.EXPORT, "but to "),
    "read-only": ("server", "ro", "", report.READ_ONLY, "exported read-only"),
    "root_squash": ("server", "squash", "", report.ROOT_SQUASH, "root_squash"),
    "a file": ("server", "ro/file", "", report.NOT_DIRECTORY, "is not a directory"),
    "port closed": ("closed", "one", "", report.REFUSED, "refuses connections"),
    "nobody there": ("nobody", "one", "", report.UNREACHABLE, "no route to host"),
    "packets dropped": ("drops", "one", "", report.TIMEOUT, "no answer within 4 s"),
    "unknown name": ("nas.invalid", "one", "", report.RESOLVE, "does not resolve"),
    "bad option": ("server", "one", "rw,nosuchoption", report.OPTIONS, "nosuchoption"),
}


@dataclass(frozen=True)
class Told:
    """What an install told, and after how many seconds."""

    document: dict[str, Any]
    seconds: float


@pytest.fixture(scope="module")
def told(lab: NfsLab) -> dict[str, Told]:
    """What `msrctl install` says to each row; nothing of any may be left."""
    host = exports.host_of(lab.node)
    host.cli("swarm", "init", "--advertise-addr", lab.node.ip)
    found = {}
    # The first once more: only then everything has been read from the disk.
    for name, (kind, export, options, *_) in [next(iter(ROWS.items())), *ROWS.items()]:
        where = exports.url(address(lab, kind), export)
        arguments = ["install", "--nfs-storage-url", where, *(("--nfs-options", options) if options else ())]
        began = time.monotonic()
        done = run.document(host, *arguments, env=run.WITH_PASSWORD, timeout=exports.PATIENCE)
        found[name] = Told(done, time.monotonic() - began)
    eventually(lambda: look.empty(host), 60)
    return found


@pytest.mark.parametrize("name", ROWS)
def test_install_tells_each_wrong_server_by_its_own_code_and_leaves_nothing(
    told: dict[str, Told], name: str
) -> None:
    *_, code, words = ROWS[name]
    done = told[name].document
    assert done["exit_code"] == 3, done
    assert done["error"]["code"] == code
    assert words in done["error"]["message"]
    assert done["error"]["hint"]
    assert done["error"]["state"] == "Nothing was changed."
    usual = statistics.median(one.seconds for one in told.values())
    assert told[name].seconds < usual + PROMISE


# -- one registry's way from export to export; each test starts where the one before has ended


@pytest.fixture(scope="module")
def deployed(lab: NfsLab) -> Deployment:
    """A registry by NFS 3, with images."""
    deployment = exports.install_on(lab, "one", "--nfs-options", V3)
    exports.fill(deployment, *REPOSITORIES)
    return deployment


def version(deployment: Deployment) -> str:
    return exports.mounted_version(
        deployment, look.container(deployment.host, "registry", deployment.replica_id)
    )


def healthy(deployment: Deployment) -> None:
    """It serves, nothing is left over, the next one finds a quiet engine."""
    data = run.data(deployment.host, "status", timeout=exports.PATIENCE)
    assert data["healthy"], data
    assert data["interrupted"] is None
    eventually(lambda: look.quiet(deployment.host), 60)
    assert look.tidy(deployment.host)


def test_images_are_pushed_to_an_export_and_pulled_from_it(lab: NfsLab, deployed: Deployment) -> None:
    assert version(deployed) == "3"
    assert sorted(exports.pulled(deployed)) == sorted(REPOSITORIES)
    assert exports.marked(lab, "one")
    assert len(exports.mounts(lab.node)) == 1, "trials leave no volume behind"
    healthy(deployed)


def test_other_options_are_no_switch_and_lose_no_tag(lab: NfsLab, deployed: Deployment) -> None:
    before, tags, files = look.document(deployed.host), exports.pulled(deployed), exports.images(lab, "one")
    data = exports.reconfigure(
        deployed, "--nfs-storage-url", exports.url(lab.server.ip, "one"), "--nfs-options", V40
    )
    assert data["outcome"] == "done"
    assert not [s for s in data["plan"] if s["kind"] in {"gate", "store", "proxy"}], data["plan"]
    assert version(deployed) == "4.0"
    assert exports.fill(deployed, "by/v40").items() > tags.items()
    after = look.document(deployed.host)
    assert after["storage"]["store_id"] == before["storage"]["store_id"]
    assert after["previous_storage"] is None
    assert exports.images(lab, "one").items() >= files.items()


@pytest.fixture
def heard_again(lab: NfsLab) -> Iterator[None]:
    yield
    exports.hear(lab, address(lab, "second"))


def to_two(lab: NfsLab) -> tuple[str, ...]:
    """By its second address and version 3: a client knows a server of version 4 again and asks the first."""
    where = exports.url(address(lab, "second"), "two")
    return ("--nfs-storage-url", where, "--nfs-options", V3, "--migrate-storage")


def test_a_new_server_that_goes_away_in_the_copy_ends_the_switch_in_time_and_the_old_one_serves(
    lab: NfsLab, deployed: Deployment, heard_again: None, tmp_path: Path
) -> None:
    tags, before = exports.pulled(deployed), look.document(deployed.host)
    moment = tmp_path / "moment"
    deaf = " ".join(f"'{part}'" for part in exports.drop(lab, address(lab, "second")))
    # Before it: both servers are asked, the new store is tried, told from the old one and looked at.
    plan = {
        "at": "create services msrctl-run",
        "nth": 6,
        "calls": ["sh", "-c", f"{deaf} && date +%s >{moment}"],
    }
    arguments = ("--output", "json", "reconfigure", *to_two(lab), "--max-wait", f"{STALL:.0f}s")
    done = run.trapped(deployed.host, plan, *arguments, timeout=exports.PATIENCE)
    seconds = time.time() - float(moment.read_text())
    assert done.returncode == 8, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert "nothing goes on any more" in error["message"]
    assert exports.url(address(lab, "second"), "two") in error["message"]
    assert "what ran before still runs" in error["state"]
    assert seconds < 3 * STALL, "a mount of its own would take 182 s, and this one is hard: for ever"
    assert exports.pulled(deployed) == tags
    assert look.document(deployed.host) == before
    exports.hear(lab, address(lab, "second"))
    healthy(deployed)


def test_images_move_from_export_to_export(lab: NfsLab, deployed: Deployment) -> None:
    tags, old = exports.pulled(deployed), exports.images(lab, "one")
    before = look.document(deployed.host)["storage"]
    exports.reconfigure(deployed, *to_two(lab))
    assert exports.pulled(deployed) == tags
    assert version(deployed) == "3"
    assert exports.images(lab, "one") == old == exports.images(lab, "two")
    assert look.document(deployed.host)["previous_storage"] == before
    exports.fill(deployed, "in/two")
    assert exports.images(lab, "one") == old
    healthy(deployed)


def test_finalize_forgets_the_export_before_and_leaves_its_images(lab: NfsLab, deployed: Deployment) -> None:
    images = exports.images(lab, "one")
    run.data(deployed.host, "storage", "finalize", "--yes", timeout=exports.PATIENCE)
    assert look.document(deployed.host)["previous_storage"] is None
    assert exports.images(lab, "one") == images
    assert not exports.marked(lab, "one")
    assert exports.marked(lab, "two")


def test_a_dead_server_does_not_keep_images_from_moving_that_were_moved_before(
    lab: NfsLab, deployed: Deployment, heard_again: None
) -> None:
    tags = exports.pulled(deployed)
    volume = names.default_volume(deployed.replica_id)
    place = f"/var/lib/docker/volumes/{volume}/_data"
    lab.node.ssh(
        f"docker volume create {volume} && "
        f"cp -a $(awk '$1 ~ /two$/ {{ print $2; exit }}' /proc/mounts)/docker {place}/"
    )
    with exports.deaf(lab, address(lab, "second")):
        began = time.monotonic()
        asked = ("reconfigure", "--nfs-storage-url", "", "--migrate-storage")
        told = run.refused(deployed.host, 3, report.TIMEOUT, *asked, timeout=exports.PATIENCE)
        assert "--storage-migrated" in told
        refused = time.monotonic() - began
        data = exports.reconfigure(deployed, "--nfs-storage-url", "", "--storage-migrated")
        assert [w for w in data["warnings"] if "not compared" in w and "no answer within" in w]
        assert exports.pulled(deployed) == tags
        assert look.document(deployed.host)["storage"]["kind"] == "volume"
    assert refused < 60
    healthy(deployed)


def test_and_back_to_the_export_as_long_as_nothing_was_pushed(lab: NfsLab, deployed: Deployment) -> None:
    tags, images = exports.pulled(deployed), exports.images(lab, "two")
    run.data(deployed.host, "storage", "revert", timeout=exports.PATIENCE)
    assert exports.pulled(deployed) == tags
    assert exports.images(lab, "two") == images
    assert version(deployed) == "3"
    healthy(deployed)


def test_images_move_from_an_export_to_s3(lab: NfsLab, deployed: Deployment, tmp_path: Path) -> None:
    tags, images = exports.pulled(deployed), exports.images(lab, "two")
    with moto.moto(lab.gateway) as store:
        file, _ = config(store, tmp_path / "s3.yml")
        exports.reconfigure(deployed, "--storage-config", file, "--migrate-storage")
        assert exports.pulled(deployed) == tags
        with client(deployed, timeout=exports.ANSWER) as registry:
            push(registry, "in/s3")
            assert pull(registry, "in/s3")
        assert exports.images(lab, "two") == images


def test_destroy_with_its_data_empties_no_export(lab: NfsLab, deployed: Deployment) -> None:
    # The export is the store before: its mounts are still the registry's.
    images = {export: exports.images(lab, export) for export in ("one", "two")}
    assert exports.mounts(lab.node)
    deployed.host.msrctl("destroy", "--remove-data", "--yes", check=0, timeout=exports.PATIENCE)
    assert {export: exports.images(lab, export) for export in ("one", "two")} == images
    assert images["one"]
    assert exports.mounts(lab.node) == []
    # What the dead server's images were moved to is no store of the registry any more.
    lab.node.cli("volume", "rm", "--force", names.default_volume(deployed.replica_id))
    eventually(lambda: look.empty(deployed.host), 60)
