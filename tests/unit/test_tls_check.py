"""Obligations of the checks of an operator's certificates: all problems, each with option and remedy."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_factory import NOW, Made, client_context, make, server_context, shake_hands

from msrctl.secret import Secret
from msrctl.tls.authority import create_authority, new_key, sign, signing_request
from msrctl.tls.check import TlsReport, check_ca_bundle, check_pair, pem_certificates
from msrctl.tls.hosts import covers

HOST = "registry.example.com"
ROOT = make("Example root", ca=True)
INTERMEDIATE = make("Example issuing", ca=True, issuer=ROOT)
LEAF = make(HOST, names=(HOST, "10.0.0.5"), issuer=INTERMEDIATE)
DIRECT = make(HOST, names=(HOST,), issuer=ROOT)
OTHER_ROOT = make("Other root", ca=True)


def check(
    cert: str,
    key: Secret,
    *,
    ca: str | None = ROOT.pem,
    host: str | None = HOST,
    later: timedelta = timedelta(0),
) -> TlsReport:
    return check_pair(cert, key, ca_pem=ca, host=host, now=NOW + later)


def only_error(report: TlsReport) -> str:
    assert len(report.errors) == 1, report.errors
    return report.errors[0]


def test_a_full_chain_passes_without_a_word_and_is_described() -> None:
    report = check(LEAF.pem + INTERMEDIATE.pem, LEAF.key)
    assert (report.errors, report.warnings) == ((), ())
    assert report.names == (HOST, "10.0.0.5")
    assert report.issuer == "Example issuing"
    assert report.not_after == LEAF.certificate.not_valid_after_utc
    assert len(report.fingerprint) == 64


def test_what_our_own_authority_makes_passes() -> None:
    authority = create_authority("ours")
    key = new_key()
    certificate = sign(authority.certificate, authority.key, signing_request(key, [HOST]))
    report = check_pair(certificate, key, ca_pem=authority.certificate, host=HOST)
    assert (report.errors, report.warnings) == ((), ())


def test_all_problems_are_reported_at_once() -> None:
    bad = make("x", names=("x.example.com",), issuer=OTHER_ROOT, end=timedelta(hours=-1))
    report = check(bad.pem, DIRECT.key, ca=DIRECT.pem)
    text = "\n".join(report.errors)
    for part in (
        "--dtr-key does not belong",
        "expired on",
        "does not stand for",
        "does not lead up",
        "not an authority",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("cert", "part"),
    [
        ("", "holds no PEM certificate"),
        ("/etc/ssl/cert.pem", '--dtr-cert "$(cat FILE.pem)"'),
        (LEAF.pem.replace("\nMI", "\n!!"), "damaged or cut short"),
        (LEAF.pem[:200], "holds no PEM certificate"),
        (LEAF.pem.replace("BEGIN CERT", "BEGIN TRUSTED CERT"), "openssl x509"),
    ],
)
def test_an_unreadable_certificate_is_named_with_its_option(cert: str, part: str) -> None:
    error = only_error(check(cert, LEAF.key))
    assert "--dtr-cert" in error
    assert part in error


@pytest.mark.parametrize(
    ("key", "part"),
    [
        (Secret(""), "holds no PEM private key"),
        (Secret("key.pem"), '--dtr-key "$(cat FILE.pem)"'),
        (Secret(LEAF.pem), "holds a certificate"),
        (Secret(LEAF.key.reveal().replace(b"\nMI", b"\n!!")), "damaged or cut short"),
        (LEAF.encrypted_key(), "encrypted with a passphrase"),
        (Secret(b"\xff\xfe"), "holds no PEM private key"),
    ],
)
def test_an_unusable_key_is_named_with_its_option_and_not_quoted(key: Secret, part: str) -> None:
    error = only_error(check(LEAF.pem + INTERMEDIATE.pem, key))
    assert error.startswith("--dtr-key")
    assert part in error


def test_a_key_of_another_certificate_is_refused() -> None:
    assert "--dtr-key does not belong to --dtr-cert" in only_error(check(DIRECT.pem, LEAF.key))


def test_a_private_key_among_the_certificates_is_refused() -> None:
    assert "contains a private key" in only_error(check(DIRECT.pem + DIRECT.key.reveal_text(), DIRECT.key))


def test_a_chain_without_its_intermediate_is_incomplete() -> None:
    error = only_error(check(LEAF.pem, LEAF.key))
    assert "append the missing intermediate to --dtr-cert" in error
    assert "Example issuing" in error


def test_an_intermediate_that_stands_only_in_the_authorities_is_a_warning() -> None:
    report = check(LEAF.pem, LEAF.key, ca=ROOT.pem + INTERMEDIATE.pem)
    assert report.errors == ()
    assert "append it to --dtr-cert" in report.warnings[0]


def test_a_chain_up_to_another_root_is_refused() -> None:
    assert "--dtr-ca" in only_error(check(DIRECT.pem, DIRECT.key, ca=OTHER_ROOT.pem))
    error = only_error(check(DIRECT.pem + ROOT.pem, DIRECT.key, ca=OTHER_ROOT.pem))
    assert "leads up to Example root, which is not in --dtr-ca" in error


def test_a_root_of_the_same_name_but_another_key_is_not_taken_for_the_issuer() -> None:
    assert "does not lead up" in only_error(
        check(DIRECT.pem, DIRECT.key, ca=make("Example root", ca=True).pem)
    )


def test_the_servers_certificate_has_to_come_first() -> None:
    report = check(INTERMEDIATE.pem + LEAF.pem, LEAF.key)
    assert "in place 2: it has to come first" in only_error(report)
    assert report.names == (HOST, "10.0.0.5")


@pytest.mark.parametrize(
    ("later", "error", "warning"),
    [
        (timedelta(0), "", ""),
        (timedelta(days=334), "", ""),
        (timedelta(days=336), "", "expires in 29 days"),
        (timedelta(days=366), "expired on", ""),
        (timedelta(days=-2), "is not valid before", ""),
    ],
)
def test_dates_are_checked(later: timedelta, error: str, warning: str) -> None:
    root = make(
        "Example root", ca=True, private=ROOT.private, start=timedelta(days=-9), end=timedelta(days=999)
    )
    report = check(DIRECT.pem, DIRECT.key, ca=root.pem, later=later)
    assert error in " ".join(report.errors)
    assert bool(error) == bool(report.errors)
    assert warning in " ".join(report.warnings)
    assert bool(warning) == bool(report.warnings)


def test_an_old_root_beside_the_new_one_is_a_warning_and_alone_an_error() -> None:
    old = make("Old root", ca=True, end=timedelta(hours=-1))
    beside = check_ca_bundle(old.pem + ROOT.pem, "--custom-ca-cert-bundle", now=NOW)
    assert beside.errors == ()
    assert "Old root expired" in beside.warnings[0]
    assert "Old root expired" in check_ca_bundle(old.pem, "--ucp-ca", now=NOW).errors[0]


def test_an_expired_root_is_no_way_up() -> None:
    old = make("Old root", ca=True, end=timedelta(hours=-1))
    leaf = make(HOST, names=(HOST,), issuer=old)
    assert "does not lead up" in only_error(check(leaf.pem, leaf.key, ca=old.pem + ROOT.pem))


def test_a_host_that_is_not_covered_is_named_with_the_names_that_are() -> None:
    error = only_error(check(DIRECT.pem, DIRECT.key, host="images.example.com"))
    assert "does not stand for images.example.com but for registry.example.com" in error


def test_a_name_in_the_subject_only_is_a_warning_because_clients_refuse_it() -> None:
    old_style = make(HOST, issuer=ROOT)
    report = check(old_style.pem, old_style.key)
    assert report.errors == ()
    assert "which clients refuse" in report.warnings[0]
    assert "no subject alternative name" in only_error(check(old_style.pem, old_style.key, host="other"))


def test_an_authority_that_is_none_is_refused() -> None:
    plain = make("Example root", private=ROOT.private)
    errors = check(DIRECT.pem, DIRECT.key, ca=plain.pem).errors
    assert any("--dtr-ca: Example root is not an authority" in error for error in errors)


@pytest.mark.parametrize("ca", [True, False, None])
def test_a_self_signed_certificate_may_be_its_own_authority(ca: bool | None) -> None:
    alone = make(HOST, names=(HOST,), ca=ca)
    assert check(alone.pem, alone.key, ca=alone.pem).errors == ()


def test_a_private_authority_that_is_not_given_is_a_warning_and_a_public_one_is_not() -> None:
    assert "private one" in check(DIRECT.pem + ROOT.pem, DIRECT.key, ca=None).warnings[0]
    assert check(DIRECT.pem, DIRECT.key, ca=None).warnings == ()


def test_a_client_certificate_is_refused_for_a_server() -> None:
    client = make(HOST, names=(HOST,), issuer=ROOT, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    assert "not for servers" in only_error(check(client.pem, client.key))


def test_a_short_rsa_key_is_refused_before_nginx_does() -> None:
    weak = make(HOST, names=(HOST,), issuer=ROOT, private=rsa.generate_private_key(65537, 1024))
    assert "1024 bits" in only_error(check(weak.pem, weak.key))


def test_windows_line_ends_and_comments_are_read() -> None:
    text = f"# our certificate\r\n{LEAF.pem}\nsubject=x\n{INTERMEDIATE.pem}".replace("\n", "\r\n")
    assert pem_certificates(text) == (LEAF.pem, INTERMEDIATE.pem)
    assert check(text, LEAF.key).errors == ()


def test_a_bundle_gives_its_certificates_and_names_what_is_wrong_by_its_option() -> None:
    good = check_ca_bundle(ROOT.pem + OTHER_ROOT.pem, "--client-cert-auth-ca", now=NOW)
    assert good.certificates == (ROOT.pem, OTHER_ROOT.pem)
    assert good.subjects == ("Example root", "Other root")
    bad = check_ca_bundle(DIRECT.pem, "--client-cert-auth-ca", now=NOW)
    assert bad.errors[0].startswith("--client-cert-auth-ca: registry.example.com is not an authority")
    assert "--ucp-ca holds no PEM" in check_ca_bundle("nothing", "--ucp-ca", now=NOW).errors[0]


LABELS = st.sampled_from(["a", "b", "www", "x-1", "xn--bcher-kva", "*", "a*", "com"])
PATTERNS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
HOSTS = st.lists(LABELS.filter(lambda label: "*" not in label), min_size=1, max_size=4).map(".".join)
ADDRESSES = st.sampled_from(["10.0.0.5", "10.0.0.6", "::1", "2001:db8::5", "2001:db8:0::5"])
SERVER_KEY = make("server")


@settings(max_examples=150, deadline=None)
@given(names=st.lists(PATTERNS | ADDRESSES, min_size=1, max_size=3), host=HOSTS | ADDRESSES)
def test_host_names_match_exactly_as_openssl_matches_them(names: list[str], host: str) -> None:
    leaf = make("x", names=tuple(names), issuer=ROOT, private=SERVER_KEY.private)
    assert covers(names, host) == accepted_by_openssl(leaf, host)


@pytest.mark.parametrize(
    ("pattern", "host", "wanted"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "A.Example.COM.", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.com", "example.com", False),
        ("*", "localhost", False),
        ("bücher.example.com".encode("idna").decode(), "bücher.example.com", True),
        ("*.0.0.5", "10.0.0.5", False),
        ("::1", "[::1]", True),
        ("a.example.com", "", False),
    ],
)
def test_wildcards_stand_for_one_whole_label(pattern: str, host: str, *, wanted: bool) -> None:
    assert covers([pattern], host) is wanted


def accepted_by_openssl(leaf: Made, host: str) -> bool:
    context = client_context(ROOT.pem)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        shake_hands(context, server_context(leaf.pem, leaf.key), host)
    except ssl.SSLCertVerificationError as error:
        if "mismatch" not in str(error):
            raise
        return False
    return True
