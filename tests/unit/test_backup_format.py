"""A backup file proves itself, and whatever else it may be is refused with a code of its own."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from backup_support import content, read, sha
from hypothesis import given, settings
from hypothesis import strategies as st

from msrctl.backup import check, crypt, layout, ustar
from msrctl.backup.faults import HINTS
from msrctl.backup.writer import Writer
from msrctl.errors import MsrctlError
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = content(with_layers=True).write()


def refused(data: bytes, code: str) -> MsrctlError:
    """Reads what must be refused with this code."""
    with pytest.raises(MsrctlError) as caught:
        read(data)
    assert caught.value.code == code, caught.value
    assert caught.value.state
    assert caught.value.hint
    return caught.value


def members(data: bytes = WHOLE) -> list[tuple[str, bytes]]:
    """Name and all blocks of each member."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [
            (m.name, data[m.offset : m.offset_data + m.size + -m.size % ustar.BLOCK])
            for m in tar.getmembers()
        ]


def joined(parts: list[tuple[str, bytes]]) -> bytes:
    return b"".join(block for _, block in parts) + ustar.END


def tar_with(change: Callable[[tarfile.TarInfo], None], name: str = "x", data: bytes = b"x") -> bytes:
    """A tar that the library wrote, with one member that is changed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        change(info)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_what_was_written_is_read_again() -> None:
    found = read(WHOLE)
    assert found.inventory.repositories["team/app"].tags.keys() == {"1", "2"}
    assert found.content().tags == 3
    assert found.content().layers == len(found.layers) == 4
    assert found.secrets["ca.key"] == Secret("ca.key")


def test_the_same_content_is_the_same_file() -> None:
    assert content(with_layers=True).write() == WHOLE


def test_an_ordinary_tar_lists_it() -> None:
    names = [name for name, _ in members()]
    assert names[0] == layout.HEAD
    assert names[-2:] == [layout.CHECKSUMS, layout.MARKER]


def test_a_layer_larger_than_a_part_is_cut_and_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(WHOLE).layers
    monkeypatch.setattr(layout, "PART", 300)
    data = content(with_layers=True).write()
    assert any(name.endswith("/00001") for name, _ in members(data))
    assert read(data).layers == expected


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_was_cut_anywhere_is_truncated(cut: int) -> None:
    refused(WHOLE[:cut], "BACKUP-EMPTY" if cut == 0 else "BACKUP-TRUNCATED")


def test_a_bit_that_flips_in_a_header_is_noticed_wherever_it_is() -> None:
    for bit in range(512 * 8):
        data = bytearray(WHOLE)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MsrctlError):
            check.read(io.BytesIO(data))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_a_bit_that_flips_anywhere_is_noticed(bit: int) -> None:
    data = bytearray(WHOLE)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MsrctlError) as caught:
        read(bytes(data))
    assert caught.value.code in HINTS


def test_a_flipped_bit_in_a_layer_is_damage() -> None:
    data = bytearray(WHOLE)
    data[WHOLE.index(b"layer two")] ^= 4
    refused(bytes(data), "BACKUP-DAMAGED")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_members_in_another_order_are_refused(data: st.DataObject) -> None:
    parts = members()
    first = data.draw(st.integers(0, len(parts) - 2))
    second = data.draw(st.integers(first + 1, len(parts) - 1))
    parts[first], parts[second] = parts[second], parts[first]
    with pytest.raises(MsrctlError) as caught:
        read(joined(parts))
    assert caught.value.code in ("BACKUP-ORDER", "BACKUP-DAMAGED"), caught.value


def test_a_member_that_was_taken_out_is_noticed() -> None:
    for number in range(len(members())):
        parts = members()
        name, _ = parts.pop(number)
        with pytest.raises(MsrctlError) as caught:
            read(joined(parts))
        assert caught.value.code in ("BACKUP-ORDER", "BACKUP-DAMAGED", "BACKUP-TRUNCATED"), name


def test_what_follows_the_end_is_refused() -> None:
    refused(WHOLE + b"x", "BACKUP-TRAILING")
    refused(WHOLE + WHOLE, "BACKUP-TRAILING")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("a symbolic link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}),
        ("a hard link", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd", "size": 0}),
        ("a device", {"type": tarfile.CHRTYPE, "size": 0}),
        ("a device", {"type": tarfile.BLKTYPE, "size": 0}),
        ("no regular file", {"type": tarfile.FIFOTYPE, "size": 0}),
    ],
)
def test_links_and_devices_are_hostile_wherever_they_stand(kind: str, change: dict[str, Any]) -> None:
    def apply(info: tarfile.TarInfo) -> None:
        for name, value in change.items():
            setattr(info, name, value)

    alone = tar_with(apply, data=b"")
    refused(alone, "BACKUP-HOSTILE")
    inside = members()[0][1] + tar_with(apply, layout.CLUSTER, b"")
    assert kind in refused(inside, "BACKUP-HOSTILE").message


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/passwd", "msrctl-backup/../../x"])
def test_paths_outside_are_hostile_wherever_they_stand(name: str) -> None:
    refused(members()[0][1] + tar_with(lambda _: None, name), "BACKUP-HOSTILE")
    if not name.startswith(layout.TOP):
        refused(tar_with(lambda _: None, name), "BACKUP-HOSTILE")


def test_a_member_that_claims_terabytes_is_refused_before_it_is_read() -> None:
    bomb = ustar.header(layout.CLUSTER, ustar.LARGEST, mtime=0)
    refused(members()[0][1] + bomb, "BACKUP-HOSTILE")


def test_extensions_of_the_format_are_hostile() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(layout.CLUSTER)
        info.pax_headers = {"path": "../../x"}
        tar.addfile(info)
    refused(members()[0][1] + out.getvalue(), "BACKUP-HOSTILE")


def test_a_newer_format_names_the_version_that_can_read_it() -> None:
    made = content()
    made.head = {"format": 2, "version": "9.9.9"}
    assert "9.9.9" in refused(made.write(), "BACKUP-NEWER").message


def test_a_backup_of_the_original_is_told_as_such() -> None:
    data = tar_with(lambda _: None, "dtr-backup-v2.9.16/rethink/properties/0")
    assert "dtr-backup-v2.9.16" in refused(data, "BACKUP-OTHER-PRODUCT").message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "BACKUP-EMPTY"),
        (b"hello, I am a text\n" * 100, "BACKUP-FOREIGN"),
        (gzip.compress(WHOLE), "BACKUP-COMPRESSED"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "BACKUP-COMPRESSED"),
        (tar_with(lambda _: None, "repositories/x"), "BACKUP-FOREIGN"),
        (bytes(10240), "BACKUP-FOREIGN"),
    ],
)
def test_other_files_are_told_as_what_they_are(data: bytes, code: str) -> None:
    refused(data, code)


def test_right_checksums_do_not_make_up_for_wrong_content() -> None:
    made = content()
    made.manifests[sha(b"other")] = b"not other"
    refused(made.write(), "BACKUP-CONTENT")
    made = content()
    made.manifests.pop(made.inventory.repositories["base"].tags["latest"])
    assert "base:latest" in refused(made.write(), "BACKUP-CONTENT").message


def test_a_layer_that_is_not_its_digest_is_refused() -> None:
    made = content(with_layers=True)
    made.layers[sha(b"shared")] = b"sharks"
    refused(made.write(), "BACKUP-CONTENT")


def test_a_cluster_document_that_cannot_be_used_is_refused() -> None:
    out = io.BytesIO()
    writer = Writer(out, mtime=0)
    writer.json(layout.HEAD, {"product": "msrctl", "format": 1, "version": "1", "created": "x"})
    writer.json(layout.CLUSTER, {"format": 1})
    refused(out.getvalue(), "BACKUP-DAMAGED")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000))
def test_no_bytes_at_all_lead_to_anything_but_a_named_error(data: bytes) -> None:
    for text in (data, members()[0][1] + data, WHOLE[:2048] + data):
        with pytest.raises(MsrctlError) as caught:
            read(text)
        assert caught.value.code in HINTS


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_in_any_place_is_a_named_error_or_right(value: Any) -> None:
    for name in (layout.HEAD, layout.CLUSTER, layout.SECRETS, f"{layout.REPOSITORIES}/00000"):
        data = json.dumps(value).encode()
        before = [block for n, block in members() if layout.ORDER.index(_section(n)) < _place(name)]
        text = b"".join(before) + ustar.header(name, len(data), mtime=0) + data + ustar.padding(len(data))
        with pytest.raises(MsrctlError) as caught:
            read(text)
        assert caught.value.code in HINTS


def _section(name: str) -> str:
    found = layout.section_of(name)
    assert found
    return found[0]


def _place(name: str) -> int:
    return layout.ORDER.index(_section(name))


def encrypted(data: bytes, **how: Any) -> bytes:
    out = _Out()
    with crypt.encrypting(out, **how) as sink:
        sink.write(data)
    return out.getvalue()


class _Out(io.BytesIO):
    pass


def test_a_recipient_can_read_what_was_encrypted_and_nobody_else() -> None:
    import pyrage

    key, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    to = crypt.recipients([str(key.to_public())])
    sealed = encrypted(WHOLE, to=to)
    assert b"msrctl-backup" not in sealed
    with crypt.decrypting(io.BytesIO(sealed), keys=crypt.identities(Secret(str(key)))) as source:
        assert source.read(len(WHOLE) + 1) == WHOLE
    with (
        pytest.raises(MsrctlError) as caught,
        crypt.decrypting(io.BytesIO(sealed), keys=[other]) as source,
    ):
        source.read(1)
    assert caught.value.code == "BACKUP-KEY"


@pytest.mark.parametrize("cut", [30, 200, 1000])
def test_an_encrypted_file_that_was_cut_or_changed_is_damaged(cut: int) -> None:
    import pyrage

    key = pyrage.x25519.Identity.generate()
    sealed = encrypted(WHOLE, to=[key.to_public()])
    changed = bytearray(sealed)
    changed[cut] ^= 1
    for data in (sealed[:cut], sealed[:-1], bytes(changed)):
        with (
            pytest.raises(MsrctlError) as caught,
            crypt.decrypting(io.BytesIO(data), keys=[key]) as source,
        ):
            check.read(source)
        assert caught.value.code in ("BACKUP-DAMAGED", "BACKUP-KEY")


def test_what_is_no_key_is_refused_without_showing_it() -> None:
    for text in ("age1nonsense", "AGE-SECRET-KEY-1QQQQ", "ssh-rsa nonsense"):
        with pytest.raises(MsrctlError) as caught:
            crypt.recipients([text])
        assert caught.value.code == "BACKUP-RECIPIENT"
        assert text not in caught.value.message
    with pytest.raises(MsrctlError) as caught:
        crypt.identities(Secret("nothing"))
    assert caught.value.code == "BACKUP-IDENTITY"


def test_a_backup_with_a_passphrase_is_two_age_files_that_age_itself_opens() -> None:
    """As docs/adr/0007-backups.md says how to do it without msrctl."""
    import pyrage

    sink = io.BytesIO()
    with crypt.encrypting(sink, passphrase=Secret("a passphrase")) as inner:
        inner.write(WHOLE)
    line, _, rest = sink.getvalue().partition(b"\n")
    size = int(line.removeprefix(b"msrctl-passphrase 1 "))
    key = pyrage.passphrase.decrypt(rest[:size], "a passphrase").decode()
    assert pyrage.decrypt(rest[size:], [pyrage.x25519.Identity.from_str(key)]) == WHOLE
