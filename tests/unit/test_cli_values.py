"""Values as people type them: what is taken, in which form, and what is refused."""

from __future__ import annotations

import pytest
from cli_support import CERTIFICATE, KEY
from hypothesis import given
from hypothesis import strategies as st

from msrctl.cli import pem, values

PARTS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(sorted(PARTS))), min_size=1, max_size=5))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert values.duration(text) == pytest.approx(sum(count * PARTS[unit] for count, unit in parts))


@given(st.text(max_size=12))
def test_a_duration_is_a_number_or_refused_and_never_something_else(text: str) -> None:
    try:
        seconds = values.duration(text)
    except ValueError:
        return
    assert 0 <= seconds <= 366 * 86400


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("0", 0), (".5s", 0.5)]
)
def test_go_durations_are_understood(text: str, seconds: float) -> None:
    assert values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "-5s", "1d", "5 s", "s", "1h30", "٣s", "1e3s", "10000h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|year"):
        values.duration(text)


def test_a_number_without_unit_is_answered_with_the_unit() -> None:
    with pytest.raises(ValueError, match="write 10s or 10m"):
        values.duration("10")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://registry.example.com", "https://registry.example.com"),
        ("registry.example.com", "https://registry.example.com"),
        ("Registry.Example.com:8443", "https://registry.example.com:8443"),
        ("https://registry.example.com/", "https://registry.example.com"),
        ("https://registry.example.com:443", "https://registry.example.com:443"),
        ("10.0.0.5", "https://10.0.0.5"),
        ("https://[fe80::0001]:444", "https://[fe80::1]:444"),
    ],
)
def test_an_external_url_is_brought_into_one_form(text: str, url: str) -> None:
    assert values.external_url(text) == url
    assert values.external_url(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://registry.example.com",
        "https://registry.example.com/path",
        "https://user:pw@registry.example.com",
        "https://registry.example.com?x=1",
        "https://registry.example.com#x",
        "https://registry_1.example.com",
        "https://registry.example.com:0",
        "https://registry.example.com:99999",
        "https://registry.example.com:",
        "https://",
        "https://-a.example.com",
        "https://10.0.0.300",
        "https://fe80::1",
        "https://a..b",
        "https://a b",
    ],
)
def test_other_external_urls_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.external_url(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("nfs://nas.example.com/images", "nfs://nas.example.com/images"),
        ("nfs://NAS/a//b/", "nfs://nas/a/b"),
        ("nfs://10.0.0.9/", "nfs://10.0.0.9/"),
        ("nfs://[fd00::9]/a", "nfs://[fd00::9]/a"),
    ],
)
def test_an_nfs_url_is_brought_into_one_form(text: str, url: str) -> None:
    assert values.nfs_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "nas:/images",
        "nfs://nas",
        "nfs:///images",
        "nfs://nas:2049/images",
        "nfs://u@nas/a",
        "nfs://nas/../etc",
    ],
)
def test_other_nfs_urls_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.nfs_url(text)


@pytest.mark.parametrize("text", ["dtr-registry-5f0c2a9be417", "ab", "A.b_c-d", "/srv/images", "/a"])
def test_a_storage_volume_is_a_name_or_an_absolute_path(text: str) -> None:
    assert values.storage_volume(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "//",
        "/srv/../etc",
        "/srv/",
        "/srv//images",
        "/srv/./images",
        "srv/images",
        "a",
        "-ab",
        ".a",
        "a:b",
        "~",
    ],
)
def test_other_storage_volumes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.storage_volume(text)


@pytest.mark.parametrize("text", ["10.1.0.0/24", "10.0.0.0/8", "192.168.16.0/20"])
def test_a_subnet_of_a_sensible_size_is_taken(text: str) -> None:
    assert values.subnet(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "10.1.0.0/25",
        "10.1.0.0",
        "10.1.0.1/24",
        "0.0.0.0/8",
        "127.0.0.0/8",
        "224.0.0.0/8",
        "fd00::/64",
        "x",
        "10.0.0.0/7",
    ],
)
def test_other_subnets_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.subnet(text)


def test_a_proxy_with_a_password_is_refused_and_the_reason_is_given_without_it() -> None:
    with pytest.raises(ValueError, match="environment of a service") as error:
        values.proxy_url("http://user:hunter2@proxy:3128")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("acme.com, acme.org", "acme.com,acme.org"),
        (".corp,10.0.0.0/8,*", ".corp,10.0.0.0/8,*"),
        ("[::1]", "[::1]"),
    ],
)
def test_a_no_proxy_list_is_taken_in_the_original_form(text: str, wanted: str) -> None:
    assert values.no_proxy(text) == wanted


@pytest.mark.parametrize("text", ["a b", "a,,b", "a,", "http://x y"])
def test_other_no_proxy_lists_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a host"):
        values.no_proxy(text)


CONTROLS = st.characters(categories=["Cc"])


@given(st.builds("{}{}{}".format, st.text(), CONTROLS, st.text()))
def test_no_value_of_one_line_takes_a_control_character(text: str) -> None:
    for function in (
        values.single_line, values.word, values.external_url, values.nfs_url, values.storage_volume,
        values.no_proxy, values.proxy_url, values.host_and_port, values.user_name,
        values.password, values.image_reference, values.engine_address,
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            function(text)


@pytest.mark.parametrize("text", ["ssh://root@node2", "tcp://10.0.0.2:2376", "unix:///run/docker.sock"])
def test_addresses_of_engines_are_taken(text: str) -> None:
    assert values.engine_address(text) == text


@pytest.mark.parametrize("text", ["node2", "root@node2", "http://node2", "ssh://", "tcp", "", "ssh://a\nb"])
def test_other_addresses_of_engines_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.engine_address(text)


@pytest.mark.parametrize("text", ["1", "80", "65535"])
def test_ports_are_taken(text: str) -> None:
    assert values.port(text) == int(text)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "8o", "", " 80", "٨٠", "1e3", "999999999999"])
def test_other_ports_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a port"):
        values.port(text)


def test_a_replica_id_is_twelve_hex_digits_in_any_case() -> None:
    assert values.replica_id("5F0C2A9BE417") == "5f0c2a9be417"
    for text in ("5f0c2a9be41", "5f0c2a9be4177", "5f0c2a9be41g", "", "5f0c2a9be417\n"):
        with pytest.raises(ValueError, match="12 hex digits"):
            values.replica_id(text)


def test_a_password_has_between_eight_characters_and_what_bcrypt_reads() -> None:
    assert values.password("12345678") == "12345678"
    for text in ("1234567", "x" * 73, "ä" * 40):
        with pytest.raises(ValueError, match="must have"):
            values.password(text)


def test_pem_is_taken_as_text_as_a_path_and_with_an_at_sign(tmp_path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text(CERTIFICATE.replace("\n", "\r\n"))
    assert pem.certificates(CERTIFICATE) == CERTIFICATE
    assert pem.certificates(str(path)) == CERTIFICATE
    assert pem.certificates(f"@{path}") == CERTIFICATE


@pytest.mark.parametrize(
    "text", ["nothing.pem", "@", "MIIBsecretsecret", CERTIFICATE.replace("MIIB", "M!IB"), KEY, "x\ny"]
)
def test_what_is_not_a_certificate_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        pem.certificates(text)
    assert "secret" not in str(error.value)


def test_a_key_with_a_passphrase_is_refused() -> None:
    with pytest.raises(ValueError, match="passphrase"):
        pem.private_key(KEY.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))


def test_a_key_must_be_one_key() -> None:
    assert pem.private_key(KEY) == KEY
    for text in (KEY + KEY, CERTIFICATE):
        with pytest.raises(ValueError, match="private key"):
            pem.private_key(text)


def test_a_binary_file_is_no_pem(tmp_path) -> None:
    path = tmp_path / "cert.der"
    path.write_bytes(b"\x30\x82\xff\xfe")
    with pytest.raises(ValueError, match="DER"):
        pem.certificates(str(path))
