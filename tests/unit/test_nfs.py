"""The NFS back end: its address, its mount options, its volume; and what the engine's refusals mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msrctl.errors import UsageFault
from msrctl.storage.nfs import (
    VERSIONS,
    NfsAddress,
    NfsBackend,
    option_version,
    option_warnings,
    parse_url,
    url_problems,
)
from msrctl.storage.nfs_probe import check, explain_mount_error, hints, report

if TYPE_CHECKING:
    from typing import Any

REPLICA = "5f0c2a9be417"
NAS = "nas.example.com"


# -- the address


@pytest.mark.parametrize(
    ("text", "host", "export"),
    [
        ("nfs://nas.example.com/images", NAS, "/images"),
        ("NFS://NAS.Example.com/images/", NAS, "/images"),
        ("nfs://nas//a/./b//c", "nas", "/a/b/c"),
        ("nfs://10.0.0.9/", "10.0.0.9", "/"),
        ("nfs://[fd00::9]/a", "fd00::9", "/a"),
        ("nfs://[FD00:0::9]/a", "fd00::9", "/a"),
        ("nfs://nas/with%20space/%25", "nas", "/with space/%"),
        ("nfs://nas/a:b,c@d", "nas", "/a:b,c@d"),
    ],
)
def test_an_address_is_read(text: str, host: str, export: str) -> None:
    address = parse_url(text)
    assert address == NfsAddress(host, export)
    assert parse_url(address.url) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["nfs://"]),
        ("nas:/images", ["nfs://"]),
        ("http://nas/images", ["nfs://"]),
        ("nfs://", ["no host", "no directory"]),
        ("nfs:///images", ["no host"]),
        ("nfs://nas", ["no directory"]),
        ("nfs://nas/?x", ["a query"]),
        ("nfs://nas/a#b", ["a fragment"]),
        ("nfs://nas:2049/a", ["port=2049"]),
        ("nfs://nas:/a", ["a port"]),
        ("nfs://[fd00::9]:20049/a", ["port=20049"]),
        ("nfs://user:secret@nas/a", ["a user name"]),
        ("nfs://fd00::9/a", ["in brackets"]),
        ("nfs://[fe80::1%eth0]/a", ["neither a host name"]),
        ("nfs://10.0.0.300/a", ["neither a host name"]),
        ("nfs://-nas/a", ["neither a host name"]),
        ("nfs://nas/a/../b", ["holds .."]),
        ("nfs://nas/%2e%2e/b", ["holds .."]),
        ("nfs://nas/a%00b", ["control characters"]),
        ("nfs://nas/a%zz", ["two hexadecimal digits"]),
        ("nfs://nas/a%ff", ["UTF-8"]),
        ("nfs://nas/a\nb", ["control characters"]),
        ("nfs://u@:99?x#y", ["a user name", "port=99", "no host", "a query", "a fragment"]),
    ],
)
def test_every_problem_of_an_address_is_named(text: str, words: list[str]) -> None:
    problems = list(url_problems(text))
    assert len(problems) == len(words), problems
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
    with pytest.raises(UsageFault) as caught:
        parse_url(text)
    assert caught.value.code == "USAGE-NFS-URL"
    assert len(caught.value.details) == (len(words) if len(words) > 1 else 0)


@given(st.one_of(st.text(max_size=40), st.text(max_size=40).map(lambda rest: f"nfs://{rest}")))
def test_any_text_is_an_address_or_refused_and_an_address_has_one_form(text: str) -> None:
    try:
        address = parse_url(text)
    except UsageFault:
        return
    assert address.host
    assert address.export.startswith("/")
    assert "\n" not in address.url
    assert parse_url(address.url) == address


@given(
    st.lists(st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/"), min_size=1))
)
def test_every_directory_can_be_written_as_an_address(names: list[str]) -> None:
    names = [name for name in names if name not in {".", ".."}]
    address = NfsAddress("nas", "/" + "/".join(names))
    assert parse_url(address.url) == address


# -- options

OPTIONS = st.lists(
    st.sampled_from(
        ["rw", "hard", "soft", "noatime", "timeo=50", "rsize=65536", "tcp", "sec=sys", "port=2050"]
    ),
    min_size=1,
    unique=True,
)
NAMED = {"nfsvers=3": "3", "vers=4.1": "4.1", "nfsvers=4": "4.0", "v4.2": "4.2", "v3": "3"}


def test_the_default_is_sync_with_an_explicit_version() -> None:
    options = NfsBackend(NAS, "/images", version="4.1").mount_options()
    assert options == f"addr={NAS},nfsvers=4.1,rw,sync,actimeo=0"


def test_async_takes_the_place_of_sync() -> None:
    options = NfsBackend(NAS, "/images", asynchronous=True, version="4.0").mount_options()
    assert options == f"addr={NAS},nfsvers=4.0,rw,async,actimeo=0"


def test_version_3_is_mounted_without_locks_unless_options_are_given() -> None:
    assert (
        NfsBackend(NAS, "/images", version="3").mount_options().endswith("nfsvers=3,rw,sync,actimeo=0,nolock")
    )
    assert NfsBackend(NAS, "/images", "rw", version="3").mount_options().endswith("nfsvers=3,rw")
    assert "nolock" in "".join(option_warnings("rw,nfsvers=3"))
    assert list(option_warnings("rw,nfsvers=3,nolock")) == []


@given(OPTIONS, st.sampled_from([None, *NAMED]), st.booleans())
def test_given_options_are_taken_verbatim_and_only_what_the_kernel_needs_is_added(
    given_options: list[str], named: str | None, addressed: bool
) -> None:
    text = ",".join([*given_options, *([named] if named else []), *(["addr=10.0.0.9"] if addressed else [])])
    backend = NfsBackend(NAS, "/images", text, version="4.2")
    rendered = backend.mount_options()
    assert rendered.endswith(text)
    assert rendered.count("addr=") == 1
    added = rendered[: -len(text)]
    assert added == ("" if addressed else f"addr={NAS},") + ("" if named else "nfsvers=4.2,")
    assert backend.versions == ((NAMED[named],) if named else VERSIONS)
    assert backend.port == (2050 if "port=2050" in given_options else 2049)


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ("rw", None),
        ("rw,vers=3,nfsvers=4.1", "4.1"),
        ("vers=4,minorversion=2", "4.2"),
        ("v4", "4.0"),
        ("nfsvers=", None),
        ("vol=v4", None),
    ],
)
def test_the_version_that_options_name_is_found(options: str, version: str | None) -> None:
    assert option_version(options.split(",")) == version


@pytest.mark.parametrize("text", ["port=x", "port=0", "port=", "port=123456", "port=٣"])
def test_an_odd_port_is_left_to_the_kernel(text: str) -> None:
    assert NfsBackend(NAS, "/images", text).port == 2049


def test_options_that_risk_images_are_warned_of() -> None:
    assert list(option_warnings(None)) == []
    assert list(option_warnings("rw,hard,sec=sys")) == []
    words = " ".join(option_warnings("soft,ro,sec=krb5"))
    assert all(word in words for word in ("soft", "ro:", "krb5"))


# -- mount and volume


def test_the_mount_carries_the_driver_options_and_no_copy_up() -> None:
    backend = NfsBackend(NAS, "/images", version="4.2")
    assert backend.mount(REPLICA, {"a": "b"}) == {
        "Type": "volume",
        "Source": backend.volume(REPLICA),
        "Target": "/storage",
        "VolumeOptions": {
            "NoCopy": True,
            "Labels": {"a": "b"},
            "DriverConfig": {
                "Name": "local",
                "Options": {
                    "type": "nfs",
                    "o": f"addr={NAS},nfsvers=4.2,rw,sync,actimeo=0",
                    "device": ":/images",
                },
            },
        },
    }


def test_the_trial_mount_is_the_same_without_a_name() -> None:
    backend = NfsBackend(NAS, "/images")
    named, trial = backend.mount(REPLICA, {}, "/new"), backend.trial_mount("/new")
    assert named.pop("Source")
    assert named == trial


@given(st.data())
def test_other_driver_options_are_another_volume(data: st.DataObject) -> None:
    backends = st.builds(
        NfsBackend,
        st.sampled_from(["nas", "nas2"]),
        st.sampled_from(["/a", "/b"]),
        st.sampled_from([None, "rw", "rw,soft", "rw,nfsvers=4.2", "rw,nfsvers=3"]),
        st.booleans(),
        st.sampled_from([None, *VERSIONS]),
    )
    one, other = data.draw(backends), data.draw(backends)
    same = one.driver_options() == other.driver_options()
    assert (one.volume(REPLICA) == other.volume(REPLICA)) is same
    assert one.volume(REPLICA).startswith(f"dtr-nfs-registry-{REPLICA}-")
    assert len(one.volume(REPLICA)) < 64
    assert NfsBackend.from_parameters(json.loads(json.dumps(one.parameters()))).volume(REPLICA) == one.volume(
        REPLICA
    )


def test_options_and_version_do_not_make_another_store() -> None:
    one = NfsBackend(NAS, "/images")
    assert one.identity(REPLICA) == NfsBackend(NAS, "/images", "rw,soft", version="3").identity(REPLICA)
    assert one.identity(REPLICA) != NfsBackend(NAS, "/other").identity(REPLICA)


def test_the_data_are_nobodys_to_remove_and_every_nodes_to_see() -> None:
    backend = NfsBackend(NAS, "/images")
    assert backend.own_volume(REPLICA) is None
    assert not backend.node_local()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": "4.2"}, "nfs://nas.example.com/images (NFS 4.2, rw,sync,actimeo=0)"),
        (
            {"asynchronous": True, "version": "3"},
            "nfs://nas.example.com/images (NFS 3, rw,async,actimeo=0,nolock)",
        ),
        ({"options": "rw,addr=1.2.3.4,nfsvers=4.1,soft"}, "nfs://nas.example.com/images (NFS 4.1, rw,soft)"),
        ({"options": "v3"}, "nfs://nas.example.com/images (NFS 3)"),
    ],
)
def test_the_store_is_said_in_a_few_words(fields: dict[str, Any], words: str) -> None:
    assert NfsBackend(NAS, "/images", **fields).words(REPLICA) == words


def test_the_probe_and_the_back_end_know_the_same_versions() -> None:
    assert check.VERSIONS == VERSIONS


# -- what the engine says (texts as measured on 20.10 and 26.1)

PLACE = "/var/lib/docker/volumes/v/_data"


def refusal(reason: str, version: str = "4.2", *, before: str = "", flags: str = "") -> str:
    data = f"addr=10.77.0.1,nfsvers={version},actimeo=0"
    return (
        f"{before}error while mounting volume '{PLACE}': failed to mount local volume: "
        f"mount :/srv/images:{PLACE}{flags}, data: {data}: {reason}"
    )


def unresolved(reason: str) -> str:
    before = f"error while mounting volume '{PLACE}': "
    return f"{before}error resolving passed in network volume address: {reason}"


TEXTS = {
    "absent": (refusal("no such file or directory"), report.EXPORT, "does not export /srv/images"),
    "absent 3": (refusal("permission denied", "3"), report.EXPORT, "does not export /srv/images"),
    "denied": (refusal("permission denied"), report.DENIED, "does not let the node mount"),
    "not permitted": (refusal("operation not permitted"), report.DENIED, "does not let the node mount"),
    "closed": (refusal("connection refused"), report.REFUSED, "10.77.0.1 refuses connections"),
    "no host": (refusal("no route to host"), report.UNREACHABLE, "no route to host"),
    "no network": (refusal("network is unreachable"), report.UNREACHABLE, "no route to its network"),
    "dropped": (refusal("connection timed out"), report.TIMEOUT, "did not answer in time"),
    "version": (refusal("protocol not supported"), report.VERSION, "does not serve NFS 4.2"),
    "options": (refusal("invalid argument"), report.OPTIONS, "the mount options nfsvers=4.2,actimeo=0"),
    "file": (refusal("not a directory"), report.NOT_DIRECTORY, "it is no directory"),
    "kernel": (refusal("no such device"), report.KERNEL, "has no NFS client"),
    "stale": (refusal("stale file handle"), report.STALE, "no longer exports"),
    "new": (refusal("something {new}"), report.MOUNT, "something {new}"),
    "name": (
        unresolved("lookup nas.invalid: no such host"),
        report.RESOLVE,
        "the name nas.invalid does not resolve",
    ),
    "name server": (
        unresolved("lookup nas.invalid on 127.0.0.1:53: read udp 127.0.0.1:53: read: connection refused"),
        report.RESOLVE,
        "the name nas.invalid does not resolve",
    ),
    "flags": (
        refusal("no such file or directory", flags=", flags: 0x10"),
        report.EXPORT,
        "10.77.0.1 does not export /srv/images",
    ),
    "in a swarm": (
        refusal("no such file or directory", before="starting container failed: "),
        report.EXPORT,
        "does not export",
    ),
    "copy-up": (
        refusal("no such file or directory", before="failed to populate volume: "),
        report.EXPORT,
        "does not export",
    ),
    "copy-up read-only": (
        f"failed to populate volume: failed to chmod on {PLACE}: chmod {PLACE}: read-only file system",
        report.READ_ONLY,
        "read-only",
    ),
    "copy-up squashed": (
        f"failed to populate volume: failed to chmod on {PLACE}: chmod {PLACE}: operation not permitted",
        report.ROOT_SQUASH,
        "root_squash",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_refusal_of_the_engine_has_its_own_words_and_remedy(name: str) -> None:
    text, code, words = TEXTS[name]
    explained = explain_mount_error(text)
    assert explained is not None
    assert explained.code == code
    assert words in explained.message
    assert explained.hint
    assert PLACE not in explained.message


def test_a_refused_mount_of_version_3_may_be_the_nodes_own_doing() -> None:
    for version, named in (("3", True), ("4.2", False)):
        explained = explain_mount_error(refusal("connection refused", version))
        assert explained is not None
        assert ("the node itself has no rpcbind" in explained.hint) is named


@pytest.mark.parametrize("text", ["", "No such image: sha256:1", "bind source path does not exist: /srv"])
def test_other_errors_are_left_to_others(text: str) -> None:
    assert explain_mount_error(text) is None


@given(st.text())
def test_any_end_of_a_refusal_is_explained(reason: str) -> None:
    assert explain_mount_error(refusal(reason)) is not None


def test_every_code_has_a_remedy() -> None:
    codes = [
        value for value in vars(report).values() if isinstance(value, str) and value.startswith("PRE-NFS-")
    ]
    texts = {code: hints.hint(code, host="nas", export="/images") for code in codes}
    assert len(set(texts.values())) == len(codes)
