"""The NFS probe: each kind of trouble has its own code and remedy, in time; nothing is changed."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nfs_fake import ACCES, NOENT, NOTDIR, READ_ONLY, ROFS, FakeNfs

from msrctl.storage.nfs_probe import NfsReport, check, nfs3, nfs4, probe, report
from msrctl.storage.nfs_probe.rpc import Deadline, ProbeError, uints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = "127.0.0.1"
ANY = check.VERSIONS
WRONGSEC, SYMLINK = 10016, 10029


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Probes a fake server, whose portmapper is at the same port."""

    def run(fake: FakeNfs, export: str = "/images", versions: Sequence[str] = ANY, **more: Any) -> NfsReport:
        monkeypatch.setattr(nfs3, "PORTMAPPER_PORT", fake.port)
        return probe(HERE, export, versions=versions, port=fake.port, **{"timeout": 2.0, **more})

    return run


@contextlib.contextmanager
def listening(backlog: int = 5) -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0), backlog=backlog) as server:
        yield server


# -- good exports


@pytest.mark.parametrize("version", ANY)
def test_a_good_export_passes_all_checks_with_each_version(ask: Any, version: str) -> None:
    with FakeNfs() as fake:
        found = ask(fake, versions=[version])
    assert found.ok
    assert found.version == version
    assert found.served == ANY
    assert found.client == HERE
    titles = [one.title for one in found.checks]
    assert titles == [f"port {fake.port} of {HERE}", "export /images", "rights of root in /images"]


@pytest.mark.parametrize(
    ("minors", "v3", "best"),
    [
        ((0, 1, 2), True, "4.2"),
        ((0, 1), True, "4.1"),
        ((1,), False, "4.1"),
        ((0,), False, "4.0"),
        ((), True, "3"),
    ],
)
def test_the_best_version_served_is_taken(ask: Any, minors: tuple[int, ...], v3: bool, best: str) -> None:
    with FakeNfs(minors=minors, v3=v3) as fake:
        assert ask(fake).version == best


def test_a_session_is_numbered_and_destroyed_again(ask: Any) -> None:
    with FakeNfs(directories={"/images": READ_ONLY}) as fake:
        ask(fake, versions=["4.1"])
        assert fake.sequences == [1, 2]


def test_version_3_is_taken_when_only_it_knows_the_path(ask: Any) -> None:
    with FakeNfs(status={}, directories={"/images": 0x3F}) as fake:
        fake.status = {}
        original = fake._compound
        fake._compound = lambda arguments: (  # type: ignore[method-assign]
            uints(NOENT, 0, 2, nfs4.PUTROOTFH, 0, nfs4.LOOKUP, NOENT)
            if b"images" in arguments._data
            else original(arguments)
        )
        found = ask(fake)
    assert found.ok
    assert found.version == "3"


def test_a_server_that_asks_for_patience_gets_it(ask: Any) -> None:
    with FakeNfs() as fake:
        for version in ANY:
            fake.delays = 2
            assert ask(fake, versions=[version]).ok
            assert not fake.delays


# -- bad ones: (server, export, versions, code, words of the detail)

ROWS: dict[str, tuple[dict[str, Any], str, Sequence[str], str, str]] = {
    "version": ({"minors": (0,), "v3": False}, "/images", ["4.2"], report.VERSION, "is not served, only 4.0"),
    "no NFS at all": ({"minors": (), "v3": False}, "/images", ANY, report.NOT_NFS, "serves no NFS"),
    "absent 4": ({}, "/nosuch", ["4.2"], report.EXPORT, "NOENT at /nosuch"),
    "absent 3": ({}, "/nosuch", ["3"], report.EXPORT, "not exported to this node"),
    "missing on the server 3": (
        {"status": {"/images": NOENT}},
        "/images",
        ["3"],
        report.EXPORT,
        "does not exist",
    ),
    "for others 4": (
        {"listed": {"/other": ("10.0.0.5", "@nodes")}},
        "/other",
        ["4.0"],
        report.EXPORT,
        f"not exported to {HERE}, but to 10.0.0.5, @nodes",
    ),
    "for others 3": (
        {"listed": {"/other": ("10.0.0.5",)}},
        "/other",
        ["3"],
        report.EXPORT,
        f"not exported to {HERE}, but to 10.0.0.5",
    ),
    "a slip": ({"listed": {"/images": ()}}, "/image", ANY, report.EXPORT, f"{HERE} exports /images"),
    "above the exports": (
        {"directories": {"/srv/images": 0x3F}, "listed": {"/srv/images": ()}, "removal": ROFS},
        "/srv",
        ["4.2"],
        report.EXPORT,
        "only leads to /srv/images",
    ),
    "a file 4": ({"types": {"/images": 1}}, "/images", ["4.1"], report.NOT_DIRECTORY, "is not a directory"),
    "a file 3": ({"types": {"/images": 1}}, "/images", ["3"], report.NOT_DIRECTORY, "is not a directory"),
    "through a file 4": ({"status": {"/images": NOTDIR}}, "/images", ["4.0"], report.NOT_DIRECTORY, "NOTDIR"),
    "a link": ({"types": {"/images": 5}}, "/images", ["4.2"], report.NOT_DIRECTORY, "symbolic link"),
    "through a link": ({"status": {"/images": SYMLINK}}, "/images", ["4.2"], report.EXPORT, "symbolic link"),
    "refused 4": ({"status": {"/images": ACCES}}, "/images", ["4.2"], report.DENIED, "ACCES at /images"),
    "Kerberos": ({"status": {"/images": WRONGSEC}}, "/images", ["4.2"], report.SECURITY, "Kerberos only"),
    "secret": ({"directories": {"/images": 0}}, "/images", ANY, report.DENIED, "reading is refused"),
    "read-only 4": (
        {"directories": {"/images": READ_ONLY}, "removal": ROFS},
        "/images",
        ["4.2"],
        report.READ_ONLY,
        "exported read-only",
    ),
    "read-only 3": (
        {"directories": {"/images": READ_ONLY}, "removal": ROFS},
        "/images",
        ["3"],
        report.READ_ONLY,
        "exported read-only",
    ),
    "squash 4": (
        {"directories": {"/images": READ_ONLY}},
        "/images",
        ["4.0"],
        report.ROOT_SQUASH,
        "root_squash",
    ),
    "squash 3": (
        {"directories": {"/images": READ_ONLY}},
        "/images",
        ["3"],
        report.ROOT_SQUASH,
        "root_squash",
    ),
    "no mount service": ({"mountd": False}, "/images", ["3"], report.VERSION, "no mount service"),
    "authentication": ({"rpc_error": uints(1, 1, 5)}, "/images", ["4.2"], report.SECURITY, "AUTH_SYS"),
    "web server": ({"raw": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "/images", ANY, report.NOT_NFS, "protocol"),
    "hangs up": ({"raw": b""}, "/images", ANY, report.NOT_NFS, "closes the connection"),
    "another answer": (
        {"raw": uints(0x80000018, 0, 1, 0, 0, 0, 0)},
        "/images",
        ANY,
        report.NOT_NFS,
        "protocol",
    ),
    "silent": ({"silent": True}, "/images", ANY, report.TIMEOUT, "does not answer within 1 s"),
    "for ever later": ({"delays": 10**6}, "/images", ["4.0"], report.MOUNT, "try again later"),
}


@pytest.mark.parametrize("name", ROWS)
def test_each_trouble_has_its_own_code_and_words_and_a_remedy(ask: Any, name: str) -> None:
    server, export, versions, code, words = ROWS[name]
    begun = time.monotonic()
    with FakeNfs(**server) as fake:
        found = ask(fake, export, versions, timeout=1.0)
    failed = found.failed
    assert failed is not None
    assert not found.ok
    assert found.version is None
    assert failed.code == code, failed
    assert words in failed.detail
    assert failed.hint
    assert failed is found.checks[-1]
    assert time.monotonic() - begun < 3


def test_a_closed_port_is_refused_at_once() -> None:
    with listening() as server:
        port = server.getsockname()[1]
    found = probe(HERE, "/images", port=port)
    assert found.failed
    assert found.failed.code == report.REFUSED
    assert "no NFS server listens" in found.failed.hint
    assert found.seconds < 1


def test_a_closed_portmapper_is_told_apart_from_a_closed_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as server:
        monkeypatch.setattr(nfs3, "PORTMAPPER_PORT", server.getsockname()[1])
    with FakeNfs() as fake:
        found = probe(HERE, "/images", versions=["3"], port=fake.port)
    assert found.failed
    assert found.failed.code == report.REFUSED
    assert "portmapper" in found.failed.detail
    assert "rpcbind" in found.failed.hint


def test_dropped_packets_cost_the_time_out_and_no_more() -> None:
    # A listener whose queue is full drops what comes, as a firewall does.
    with listening(backlog=0) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        found = probe(HERE, "/images", port=server.getsockname()[1], timeout=0.5)
    assert found.failed
    assert found.failed.code == report.TIMEOUT
    assert "firewall" in found.failed.hint
    assert 0.4 < found.seconds < 1.5


def test_an_unknown_name_is_told_with_its_remedy() -> None:
    found = probe("nas.invalid", "/images")
    assert [one.ok for one in found.checks] == [False]
    assert found.checks[0].code == report.RESOLVE
    assert found.address == ""


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [gate.wait(20)] * 0)
    begun = time.monotonic()
    with pytest.raises(ProbeError, match="no name server answers in time"):
        check.resolve("nas.example.com", Deadline(1, 0.3))
    gate.set()
    assert time.monotonic() - begun < 1


def test_version_4_addresses_come_first_as_with_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        (socket.AF_INET6, 1, 6, "", ("fd00::9", 0, 0, 0)),
        (socket.AF_INET, 1, 6, "", ("10.0.0.9", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(answers))
    assert check.resolve("nas", Deadline(1, 1)) == "10.0.0.9"
    answers.pop()
    assert check.resolve("nas", Deadline(1, 1)) == "fd00::9"


def test_a_trickle_of_bytes_does_not_keep_the_probe_beyond_twice_its_time_out() -> None:
    def trickle(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer, contextlib.suppress(OSError):
            peer.sendall(uints(0x80001000))
            for _ in range(200):
                peer.sendall(b"x")
                time.sleep(0.05)

    with listening() as server:
        threading.Thread(target=trickle, args=(server,), daemon=True).start()
        found = probe(HERE, "/images", port=server.getsockname()[1], timeout=0.5)
    assert found.failed
    assert found.failed.code == report.TIMEOUT
    assert found.seconds < 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=120))
def test_whatever_a_server_answers_is_a_report(raw: bytes) -> None:
    with FakeNfs(raw=raw) as fake:
        found = probe(HERE, "/images", port=fake.port, timeout=0.3)
    assert found.failed
    assert found.failed.code in {report.NOT_NFS, report.TIMEOUT}


def test_nothing_is_removed_where_root_may_write(ask: Any) -> None:
    with FakeNfs() as fake:
        ask(fake, versions=["3"])
        assert (nfs3.NFS, 3, nfs3.REMOVE) not in fake.calls


def test_a_report_survives_json(ask: Any) -> None:
    with FakeNfs(listed={"/images": (), "/other": ("10.0.0.5",)}) as fake:
        for export in ("/images", "/nosuch"):
            found = ask(fake, export)
            data = json.loads(json.dumps(found.to_json()))
            assert data["ok"] is found.ok
            assert NfsReport.from_json(data) == found
