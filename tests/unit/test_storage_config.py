"""A storage configuration: everything that is wrong is named at once, and no secret is ever shown."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_support import Calls, recording_workflows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_support import a_cluster

from msrctl.errors import UsageFault
from msrctl.model.cluster import Cluster
from msrctl.model.requests import StorageRequest
from msrctl.model.schema import load
from msrctl.storage import regions
from msrctl.storage.config_file import parse_storage_config
from msrctl.storage.document import DRIVERS
from msrctl.storage.sample import sample
from msrctl.storage.yaml_safe import MAX_BYTES, MAX_DEPTH, YamlRefused
from msrctl.storage.yaml_safe import load as load_yaml
from msrctl.workflows.storage_file import for_registry

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SECRET = "hunter2-and-more"
ALONE = "is of no use alone (give both, or neither for an instance's role)"
S3 = {"region": "eu-west-1", "bucket": "images"}
AZURE = {"accountname": "contoso", "accountkey": "a2V5", "container": "images"}
SWIFT = {"authurl": "https://k:5000/v3", "username": "u", "password": "p", "container": "c", "tenant": "t"}
GCS = {"bucket": "images"}
SERVICE_ACCOUNT = {
    "type": "service_account",
    "client_email": "registry@example.iam",
    "private_key": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n",
    "token_uri": "https://oauth2.example.com/token",
}


def dumped(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def parse(
    section: dict[str, Any] | str, kind: str = "s3", version: str = "2.8", **more: Any
) -> StorageRequest:
    text = section if isinstance(section, str) else dumped({"storage": {kind: section}})
    more.setdefault("environ", {})
    return parse_storage_config(text, registry_version=version, **more)


def outcome(data: str | bytes, version: str) -> StorageRequest | tuple[str, ...]:
    """What it asks for, or what is wrong with it."""
    try:
        return parse_storage_config(data, environ={}, registry_version=version)
    except UsageFault as fault:
        return fault.details


def problems(
    section: dict[str, Any] | str, kind: str = "s3", version: str = "2.8", **more: Any
) -> tuple[str, ...]:
    with pytest.raises(UsageFault) as caught:
        parse(section, kind, version, **more)
    assert caught.value.exit_code == 2
    assert caught.value.code == "STORAGE-CONFIG"
    return caught.value.details


# --- the original's storage page


@pytest.mark.parametrize(
    ("label", "value", "name", "kept"),
    [
        ("Root directory", "team/images", "rootdirectory", "team/images"),
        ("AWS Region name", "us-gov-west-1", "region", "us-gov-west-1"),
        ("S3 bucket name", "other", "bucket", "other"),
        ("Region endpoint", "https://s3.example.com:9000", "regionendpoint", "https://s3.example.com:9000"),
        ("Signature version 4 auth", True, "v4auth", True),
        ("Use HTTPS", True, "secure", True),
        ("Skip TLS verification", True, "skipverify", True),
        ("skip_tls_verification", "true", "skipverify", True),
        ("USE-HTTPS", "false", "secure", False),
        ("region_endpoint", "http://s3.example.com", "regionendpoint", "http://s3.example.com"),
    ],
)
def test_each_field_of_the_originals_page_is_the_drivers_parameter(
    label: str, value: object, name: str, kept: object
) -> None:
    document = {"AWS Region name": "eu-west-1", "S3 bucket name": "images", label: value}
    found = parse(dumped(document))
    assert found.kind == "s3"
    assert found.parameters[name] == kept


def test_keys_and_ca_of_the_originals_page_are_set_apart() -> None:
    page = {
        "AWS Region name": "eu-west-1",
        "S3 bucket name": "images",
        "AWS access key": "AKIA",
        "AWS secret key": SECRET,
        "Region endpoint": "https://s3.example.com",
        "Root CA certificate": PEM,
    }
    found = parse(dumped(page))
    assert {key: value.reveal_text() for key, value in found.secrets.items()} == {
        "accesskey": "AKIA",
        "secretkey": SECRET,
    }
    assert found.root_ca == PEM
    assert set(found.parameters) == {"region", "bucket", "regionendpoint"}


def test_a_field_given_under_two_names_is_a_problem() -> None:
    assert problems({**S3, "S3 bucket name": "other"}) == (
        "storage.s3.S3 bucket name: the same as bucket, which is given too",
    )


# --- forms of a file


@pytest.mark.parametrize(
    "document",
    [
        {"storage": {"s3": S3}},
        {"s3": S3},
        {"s3aws": S3},
        {"version": 0.1, "log": {"level": "info"}, "storage": {"s3": S3}, "http": {"addr": ":5000"}},
        {"storage": {"s3": S3, "delete": {"enabled": True}, "cache": {"blobdescriptor": "inmemory"}}},
    ],
)
def test_the_section_is_found_in_whatever_it_stands(document: dict[str, Any]) -> None:
    found = parse(dumped(document))
    assert (found.kind, found.parameters) == ("s3", S3)


def test_what_a_whole_configuration_has_besides_is_named_as_not_used() -> None:
    document = {"version": 0.1, "http": {}, "log": {}, "storage": {"s3": S3, "delete": {"enabled": True}}}
    assert parse(dumped(document)).warnings == (
        "only the storage section is used, not http, log",
        "msrctl sets delete itself: what stands there is not used",
    )


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("", "(document): empty"),
        ("# nothing\n", "(document): empty"),
        ("[1, 2]", "(document): must be a section of keys and values"),
        ("just words", "(document): must be a section of keys and values"),
        ("storage:", "storage: empty"),
        ("storage: {}", "storage: empty"),
        ("storage: 7", "storage: must be a section of keys and values"),
        ("storage: {s3: }", "storage.s3: empty"),
        ("storage: {s3: [a]}", "storage.s3: must be a section of keys and values"),
        ("storage: {delete: {enabled: true}}", "storage: names no driver: one of s3, azure, swift, gcs"),
        ("version: 0.1", "(document): no storage section, and none of the drivers s3, azure, swift, gcs"),
        ("storage: filesystem", "storage.filesystem: directories are not set by a file"),
        ("storage: {filesystem: {rootdirectory: /a}}", "storage.filesystem: directories are not set by a"),
        ("storage: {inmemory: }", "storage.inmemory: keeps images in memory only"),
        ("storage: {oss: {bucket: b}}", "storage.oss: msrctl has no back end for OSS"),
        ("storage: {s4: {region: a}}", "storage.s4: unknown; the registry would take it for a driver"),
    ],
)
def test_a_document_without_a_driver_is_refused(document: str, problem: str) -> None:
    assert any(line.startswith(problem) for line in problems(document)), problems(document)


@pytest.mark.parametrize("other", [None, {}, {"rootdirectory": "/a"}])
def test_two_drivers_are_refused_also_when_one_is_empty(other: object) -> None:
    found = problems(dumped({"storage": {"s3": S3, "filesystem": other}}))
    assert found[0] == (
        "storage: s3 and filesystem are two drivers; the registry takes exactly one, and counts an empty one "
        "too"
    )


# --- what the registry would ignore


@pytest.mark.parametrize(
    ("kind", "base", "key", "words"),
    [
        ("s3", S3, "access_key", "did you mean accesskey?"),
        ("s3", S3, "bucketname", "did you mean bucket?"),
        ("s3", S3, "secret_key", "did you mean secretkey?"),
        ("s3", S3, "pathstyle", "forcepathstyle: true"),
        ("s3", S3, "multipartcopy", "write multipartcopychunksize"),
        ("s3", S3, "endpoint", "it is regionendpoint"),
        ("s3", S3, "insecureskipverify", "on s3 it is skipverify"),
        ("s3", S3, "prefix", "on s3 it is rootdirectory"),
        ("s3", S3, "completely-else", "unknown; the registry would ignore it"),
        ("swift", SWIFT, "rootdirectory", "on swift it is prefix"),
        ("swift", SWIFT, "skipverify", "on swift it is insecureskipverify"),
        ("azure", AZURE, "connectionstring", "never uses it"),
        ("azure", AZURE, "account_name", "did you mean accountname?"),
        ("gcs", GCS, "prefix", "on gcs it is rootdirectory"),
    ],
)
def test_a_key_that_the_registry_would_ignore_is_refused_with_the_right_one(
    kind: str, base: dict[str, Any], key: str, words: str
) -> None:
    (found,) = problems({**base, key: SECRET}, kind)
    assert found.startswith(f"storage.{kind}.{key}: ")
    assert words in found
    assert SECRET not in found


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"keyid": "alias/x"}, "storage.s3.keyid: the registry ignores it without encrypt: true"),
        ({"forcepathstyle": True}, "storage.s3.forcepathstyle: only registry 3 knows it; 2.8 ignores it"),
        ({"useragent": "x"}, "storage.s3.useragent: only registry 3 knows it; 2.8 overwrites it"),
        ({"accelerate": True}, "storage.s3.accelerate: only registry 3 knows it; 2.8 ignores it"),
        ({"storageclass": "ONEZONE_IA"}, "storage.s3.storageclass: registry 2.8 does not know ONEZONE_IA"),
        ({"storageclass": "CHEAP"}, "storage.s3.storageclass: must be one of STANDARD, "),
        ({"objectacl": "mine"}, "storage.s3.objectacl: must be one of private, "),
        ({"accesskey": "a"}, "storage.s3.secretkey: missing; accesskey is of no use alone"),
        ({"secretkey": "a"}, "storage.s3.accesskey: missing; secretkey is of no use alone"),
        ({"chunksize": 1}, "storage.s3.chunksize: must be at least 5,242,880"),
        ({"chunksize": "10M"}, "storage.s3.chunksize: must be "),
        ({"multipartcopythresholdsize": 6 << 30}, "storage.s3.multipartcopythresholdsize: must be at most"),
        ({"secure": "perhaps"}, "storage.s3.secure: must be true or false"),
        ({"v4auth": False}, "storage.s3.v4auth: Amazon takes version 4 only"),
        ({"rootdirectory": None}, "storage.s3.rootdirectory: empty; the registry would take it for the text"),
        ({"rootdirectory": ""}, "storage.s3.rootdirectory: empty"),
        ({"rootdirectory": " a"}, "storage.s3.rootdirectory: begins or ends with a blank"),
        ({"bucket": "a\tb"}, "storage.s3.bucket: must be a bucket's name"),
        (
            {"secretkey": "a\nb", "accesskey": "a"},
            "storage.s3.secretkey: a control character or a line break",
        ),
        ({"accesskey": 12345, "secretkey": "x"}, "storage.s3.accesskey: must be text: put it in quotes"),
        ({"regionendpoint": "https://a/path"}, "storage.s3.regionendpoint: must be https://host[:port]"),
        ({"region": "eu west"}, "storage.s3.region: must be letters, digits and dashes"),
        ({"rootca": "no certificate"}, "storage.s3.rootca: no certificate in PEM form"),
    ],
)
def test_a_value_that_would_not_do_what_it_says_is_refused(section: dict[str, Any], problem: str) -> None:
    assert any(line.startswith(problem) for line in problems({**S3, **section})), problems({**S3, **section})


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = """\
storage:
  s3:
    regionn: eu-west-1
    chunksize: 1
    secretkey: x
  redirect: {disabled: true}
maintenance: {}
"""
    assert set(problems(text)) == {
        "maintenance: the registry ignores it here; it belongs under storage",
        "storage.redirect.disabled: unknown; did you mean disable?",
        f"storage.s3.accesskey: missing; secretkey {ALONE}",
        "storage.s3.bucket: missing",
        "storage.s3.chunksize: must be at least 5,242,880",
        "storage.s3.region: missing",
        "storage.s3.regionn: unknown; the registry would ignore it; did you mean region?",
    }


def test_quoted_numbers_and_switches_are_taken_where_the_registry_does_so() -> None:
    found = parse({**S3, "chunksize": "10485760", "encrypt": "T", "secure": "0"})
    assert (found.parameters["chunksize"], found.parameters["encrypt"]) == (10485760, True)
    assert found.parameters["secure"] is False
    assert problems({**SWIFT, "chunksize": "20971520"}, "swift") == (
        "storage.swift.chunksize: must be a whole number, without quotes",
    )
    assert problems({**SWIFT, "insecureskipverify": "true"}, "swift") == (
        "storage.swift.insecureskipverify: must be true or false, without quotes",
    )


# --- regions, redirect


@pytest.mark.parametrize("region", regions.DOCUMENTED)
def test_every_documented_region_is_taken_without_a_word(region: str) -> None:
    assert parse({**S3, "region": region}).warnings == ()


def test_a_newer_region_is_a_warning_and_reaches_2_8_by_its_endpoint() -> None:
    found = parse({**S3, "region": "af-south-1"})
    assert "newer than the regions that the original documents" in found.warnings[0]
    assert found.parameters["regionendpoint"] == "https://s3.af-south-1.amazonaws.com"
    assert "regionendpoint" not in parse({**S3, "region": "af-south-1"}, version="3").parameters
    assert "regionendpoint" not in parse({**S3, "region": "eu-west-3"}).parameters


def test_a_region_of_a_store_of_ones_own_may_have_any_name() -> None:
    section = {**S3, "region": "default", "regionendpoint": "https://ceph.example.com"}
    assert parse(section).warnings == ()
    assert problems({**S3, "region": "default"}) == (
        "storage.s3.region: not a region of Amazon; a store of your own needs a regionendpoint",
    )


def redirect(value: Any) -> str:
    return dumped({"storage": {"s3": S3, "redirect": value}})


def test_redirect_is_what_was_said_and_else_undecided() -> None:
    assert parse(S3).redirect is None
    assert parse(redirect({"disable": True})).redirect is False
    assert parse(redirect({"disable": False})).redirect is True


@pytest.mark.parametrize(
    "value", [{"disable": "true"}, {"disable": 1}, {"disable": None}, {"disabled": True}, [1]]
)
def test_a_redirect_at_which_the_registry_panics_is_refused(value: Any) -> None:
    assert problems(redirect(value))[0].startswith("storage.redirect")


# --- versions of the registry


def test_swift_is_refused_for_registry_3() -> None:
    assert problems(SWIFT, "swift", "3")[0].startswith(
        "storage.swift: registry 3 has no swift driver any more"
    )


def test_azure_needs_a_credentials_type_for_registry_3_only() -> None:
    assert parse(AZURE, "azure").parameters == {"accountname": "contoso", "container": "images"}
    assert problems(AZURE, "azure", "3") == (
        "storage.azure.credentials.type: missing; registry 3 needs it: shared_key if you have an accountkey",
    )
    three = {**AZURE, "credentials": {"type": "shared_key"}}
    assert parse(three, "azure", "3").parameters["credentials.type"] == "shared_key"
    assert problems(three, "azure")[0].startswith("storage.azure.credentials: only registry 3 knows it")


def test_azures_application_needs_all_its_parts_and_its_secret_is_one() -> None:
    section = {**AZURE, "credentials": {"type": "client_secret", "secret": SECRET}}
    assert problems(section, "azure", "3") == (
        "storage.azure.credentials.clientid: missing; credentials.type is client_secret",
        "storage.azure.credentials.tenantid: missing; credentials.type is client_secret",
    )
    section["credentials"] |= {"clientid": "c", "tenantid": "t"}
    found = parse(section, "azure", "3")
    assert found.secrets["credentials.secret"].reveal_text() == SECRET
    assert "credentials.secret" not in found.parameters
    assert SECRET not in repr(found)


def test_the_tag_section_is_a_second_driver_to_2_8() -> None:
    document = dumped({"storage": {"s3": S3, "tag": {"concurrencylimit": 8}}})
    assert any("2.8 would take it for a second driver" in line for line in problems(document))
    assert parse(document, version="3").warnings == ("msrctl sets tag itself: what stands there is not used",)


def test_swift_without_a_project_in_version_3_is_refused() -> None:
    bare = {key: value for key, value in SWIFT.items() if key != "tenant"}
    assert problems(bare, "swift")[0].startswith("storage.swift.tenant: missing; with version 3")
    assert parse({**bare, "authurl": "https://s/auth/v1.0"}, "swift").kind == "swift"
    assert parse({**bare, "domain": "Default"}, "swift").warnings == (
        "storage.swift.tenant: not given: the user needs a default project",
    )


# --- variables and files


def test_variables_are_put_in_once_and_only_into_values() -> None:
    environ = {"KEY": "AKIA", "SECRET": "${KEY}", "HOST": "s3.example.com"}
    section = {
        **S3,
        "accesskey": "${KEY}",
        "secretkey": "${SECRET}",
        "regionendpoint": "https://${HOST}:9000",
    }
    found = parse(section, environ=environ)
    assert found.secrets["accesskey"].reveal_text() == "AKIA"
    assert found.secrets["secretkey"].reveal_text() == "${KEY}"
    assert found.parameters["regionendpoint"] == "https://s3.example.com:9000"
    assert any(
        "may only stand in values" in line for line in problems({**S3, "${KEY}": "x"}, environ=environ)
    )


def test_a_variable_that_is_not_set_or_no_name_is_named_and_its_value_never_shown() -> None:
    section = {**S3, "accesskey": "${NOWHERE}", "secretkey": "${A:-x}", "rootdirectory": "${OPEN"}
    assert problems(section, environ={"OPEN": SECRET}) == (
        "storage.s3.accesskey: the variable NOWHERE is not set",
        "storage.s3.secretkey: only ${NAME} is expanded, without defaults or nesting",
        "storage.s3.rootdirectory: only ${NAME} is expanded, without defaults or nesting",
    )


def test_a_password_from_a_variable_stays_text_whatever_it_looks_like() -> None:
    for password in ("true", "12345", "null", "{a: b}", "# not a comment"):
        found = parse({**SWIFT, "password": "${P}"}, "swift", environ={"P": password})
        assert found.secrets["password"].reveal_text() == password


def test_numbers_and_switches_may_come_from_variables() -> None:
    environ = {"CHUNK": "20971520", "SKIP": "true"}
    section = {**SWIFT, "chunksize": "${CHUNK}", "insecureskipverify": "${SKIP}"}
    found = parse(section, "swift", environ=environ)
    assert found.parameters["chunksize"] == 20971520
    assert found.parameters["insecureskipverify"] is True


def test_lenient_leaves_what_depends_on_a_missing_variable_unchecked(tmp_path: Path) -> None:
    section = {**AZURE, "accountkey": "${KEY}", "realm": "${REALM}", "rootca_file": "${DIR}/ca.pem"}
    found = parse(section, "azure", lenient=True)
    assert [line.partition(":")[0] for line in found.warnings] == [
        "storage.azure.accountkey",
        "storage.azure.realm",
        "storage.azure.rootca_file",
    ]
    with pytest.raises(UsageFault):
        parse({**section, "contianer": "x"}, "azure", lenient=True)


def test_secrets_and_the_ca_may_be_in_files_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    (tmp_path / "ca.pem").write_text(PEM)
    file = tmp_path / "store.yml"
    section = {**S3, "accesskey": "AKIA", "secretkey_file": "key", "rootca_file": str(tmp_path / "ca.pem")}
    section["regionendpoint"] = "https://s3.example.com"
    file.write_text(dumped({"s3": section}))
    found = parse_storage_config(file, environ={})
    assert found.secrets["secretkey"].reveal_text() == SECRET
    assert found.root_ca is not None
    assert "secretkey_file" not in found.parameters


def test_only_secrets_and_certificates_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("images")
    (found,) = problems(
        {"region": "eu-west-1", "bucket": "images", "rootdirectory_file": "b"}, directory=tmp_path
    )
    assert found.startswith("storage.s3.rootdirectory_file: unknown")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("missing", None, "no such file"),
        ("binary", b"\xff\xfe\x00", "is not text"),
        ("huge", b"x" * (65 << 10), "is larger than 64 KiB"),
        (".", None, "is a directory"),
    ],
)
def test_a_file_that_cannot_be_taken_is_named(
    name: str, data: bytes | None, words: str, tmp_path: Path
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    found = problems({**S3, "accesskey": "a", "secretkey_file": name}, directory=tmp_path)
    assert found[0].startswith("storage.s3.secretkey_file: ")
    assert words in found[0]


def test_a_secret_given_twice_is_a_problem(tmp_path: Path) -> None:
    found = problems({**S3, "accesskey": "a", "secretkey": "b", "secretkey_file": "c"}, directory=tmp_path)
    assert "storage.s3.secretkey_file: secretkey is given too; one of them is enough" in found


# --- GCS


@pytest.mark.parametrize("way", ["keyfile", "credentials"])
def test_the_key_of_a_service_account_becomes_one_secret(way: str, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps(SERVICE_ACCOUNT))
    value = "key.json" if way == "keyfile" else SERVICE_ACCOUNT
    found = parse({**GCS, way: value}, "gcs", directory=tmp_path)
    assert json.loads(found.secrets["keyfile"].reveal()) == SERVICE_ACCOUNT
    assert found.parameters == GCS
    assert SECRET not in repr(found)


def test_a_key_that_is_none_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps({"type": "user", "secret": SECRET}))
    assert problems({**GCS, "keyfile": "key.json"}, "gcs", directory=tmp_path) == (
        "storage.gcs.keyfile: not the key of a service account (type: service_account)",
    )
    assert problems({**GCS, "keyfile": "key.json", "credentials": {}}, "gcs", directory=tmp_path)
    (tmp_path / "key.json").write_text(SECRET)
    assert problems({**GCS, "keyfile": "key.json"}, "gcs", directory=tmp_path) == (
        "storage.gcs.keyfile: not JSON",
    )


def test_a_path_with_a_nul_is_refused_not_a_traceback(tmp_path: Path) -> None:
    assert problems('s3: {region: eu-west-1, bucket: images, accesskey: a, secretkey_file: "a\\0b"}')


# --- secrets


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["s3", "azure", "swift", "gcs"]),
    st.dictionaries(
        st.sampled_from(["rootca", "chunksize", "secure", "nothing", "redirect"]), st.just(SECRET)
    ),
    st.booleans(),
)
def test_no_message_and_no_repr_shows_a_secret(kind: str, more: dict[str, Any], listed: bool) -> None:
    properties = load(f"storage-{kind}")["properties"]
    section = {key: SECRET for key, body in properties.items() if body.get("x-secret")}
    if listed:
        section = {key: [SECRET] for key in section}
    text = dumped({"storage": {kind: section | more}})
    try:
        shown = repr(parse(text))
    except UsageFault as fault:
        shown = f"{fault!r} {fault.message} {fault.details} {fault.hint} {fault.state}"
    assert SECRET not in shown


# --- hostile YAML


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines)


HOSTILE = {
    "alias bomb": (bomb(), "an alias"),
    "alias": ("a: &x 1\nb: *x", "an alias"),
    "merge": ("a: {b: 1}\n<<: {c: 2}", "a merge key"),
    "python object": ("a: !!python/object/apply:os.system ['id']", "a tag"),
    "tag": ("a: !secret x", "a tag"),
    "binary": ("a: !!binary aGVsbG8=", "a tag"),
    "megabytes": ("a: " + "x" * (3 << 20), "larger than 512 KiB"),
    "megabytes of keys": ("".join(f"k{n}: 1\n" for n in range(40_000)), "more than 5,000 values"),
    "nesting": ("[" * 20_000, "nested deeper than"),
    "mappings": ("{a: " * 5_000, "nested deeper than"),
    "block nesting": ("- " * 20_000, "nested deeper than"),
    "nul": ("a: b\0c", "a NUL character"),
    "control": ("a: \x01", "a character that YAML does not allow"),
    "two documents": ("a: 1\n---\nb: 2", "a second document begins"),
    "duplicate": ("s3: {}\ns3: {}", "the key 's3' stands here a second time"),
    "unclosed": ("s3: {region: [", "line 1"),
    "tab": ("s3:\n\tregion: x", "line 2"),
    "key of a list": ("? [a, b]\n: 1", "a key must be a word"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_within_a_second(name: str) -> None:
    text, words = HOSTILE[name]
    began = time.process_time()  # of this process: a machine that is busy with others is not meant
    found = problems(text)
    assert time.process_time() - began < 1
    assert len(found) == 1
    assert found[0].startswith("(document): ")
    assert words in found[0]
    assert len(found[0]) < 300


@pytest.mark.parametrize(
    ("data", "words"), [(b"\xff\xfe", "not UTF-8 text"), (b"a" * (MAX_BYTES + 1), "larger than 512 KiB")]
)
def test_bytes_that_are_no_text_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(UsageFault) as caught:
        parse_storage_config(data)
    assert words in caught.value.details[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("017", "017"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1:30", "1:30"),
        ("9" * 5000, "9" * 5000),
        ("5", 5),
    ],
)
def test_numbers_that_readers_of_yaml_disagree_about_stay_text(text: str, value: object) -> None:
    assert load_yaml(f"a: {text}") == {"a": value}


@settings(max_examples=300, deadline=1000)
@given(st.one_of(st.text(), st.binary(), st.text(alphabet="{}[]:,-&*!|>%@`'\"#? \n\tas3<\\")))
def test_whatever_is_read_it_is_data_or_a_refusal(data: str | bytes) -> None:
    assert outcome(data, "2.8")


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*DRIVERS, "storage", "redirect", "region", "x"]), inner, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_stands_in_it_the_answer_is_a_request_or_problems(document: Any) -> None:
    found = outcome(json.dumps(document), "3")
    assert isinstance(found, StorageRequest) or all(": " in line for line in found)
    assert found


@given(st.integers(1, MAX_DEPTH + 5))
def test_depth_is_counted(depth: int) -> None:
    text = "[" * depth + "]" * depth
    if depth > MAX_DEPTH:
        with pytest.raises(YamlRefused):
            load_yaml(text)
    else:
        assert isinstance(load_yaml(text), list)


# --- schemas


@pytest.mark.parametrize("kind", [*DRIVERS, "filesystem"])
def test_every_key_of_a_schema_has_a_description_and_an_example(kind: str) -> None:
    for name, body in load(f"storage-{kind}")["properties"].items():
        assert body["description"].endswith("."), name
        if body["type"] != "object":
            assert body["examples"], name


# --- sample


VERSIONS = [
    (kind, version) for kind in DRIVERS for version in ("2.8", "3") if (kind, version) != ("swift", "3")
]


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_a_sample_validates_as_it_is_and_with_its_variables_set(
    kind: str, version: str, tmp_path: Path
) -> None:
    text = sample(kind, version)
    assert parse(text, version=version, lenient=True).kind == kind
    (tmp_path / "key.json").write_text(json.dumps(SERVICE_ACCOUNT))
    environ = dict.fromkeys(re.findall(r"\$\{([A-Z_0-9]+)\}", text), "a2V5")
    environ |= {"GCS_KEYFILE": str(tmp_path / "key.json")}
    found = parse(text, version=version, environ=environ)
    assert found.warnings == ()
    assert found.kind == kind


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_each_option_of_a_sample_is_valid_when_its_sign_is_taken_away(kind: str, version: str) -> None:
    lines = sample(kind, version).replace("...", PEM.splitlines()[1]).splitlines()
    on = [re.sub(r"^( *)#(?! )", r"\1", line) for line in lines]
    names = set(load(f"storage-{kind}")["properties"])
    text = "\n".join(on)
    # Together two of them contradict each other, which is no fault of the sample.
    text = text.replace("encrypt: false", "encrypt: true")
    environ = dict.fromkeys(re.findall(r"\$\{([A-Z_0-9]+)\}", text), "a2V5")
    environ.pop("GCS_KEYFILE", None)
    found = parse(text, version=version, environ=environ, lenient=True)
    shown = set(re.findall(r"^ {4}#?([a-z_0-9]+):", "\n".join(lines), re.MULTILINE))
    known = {
        name
        for name in names
        if version in load(f"storage-{kind}")["properties"][name].get("x-versions", [version])
    }
    assert known - shown == ({"credentials"} if kind == "gcs" else set())
    assert found.redirect is False


def test_a_sample_names_no_value_that_its_registry_does_not_know() -> None:
    assert "ONEZONE_IA" not in sample("s3", "2.8")
    assert "ONEZONE_IA" in sample("s3", "3")
    assert "forcepathstyle" not in sample("s3", "2.8")


def test_swift_has_no_sample_for_registry_3_and_filesystem_is_a_note() -> None:
    with pytest.raises(UsageFault, match="registry 3 has no driver swift"):
        sample("swift", "3")
    assert all(line.startswith("#") for line in sample("filesystem").splitlines())


# --- commands


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return recording_workflows(monkeypatch)


def written(tmp_path: Path, section: dict[str, Any], name: str = "store.yml", kind: str = "s3") -> str:
    file = tmp_path / name
    file.write_text(dumped({"storage": {kind: section}}))
    return str(file)


@pytest.mark.parametrize("name", ["store.yml", "store.yaml", "store.txt", "STORE.YML"])
def test_validate_takes_the_endings_of_the_original(name: str, tmp_path: Path) -> None:
    done = run("storage", "validate", written(tmp_path, {**S3, "accesskey": "a", "secretkey": SECRET}, name))
    assert done.exit_code == 0, done.stderr
    assert "Nothing is wrong with it, for registry 2.8." in done.stdout
    assert "s3://images (region eu-west-1)" in done.stdout
    assert SECRET not in done.output


def test_validate_refuses_other_files(tmp_path: Path) -> None:
    done = run("storage", "validate", written(tmp_path, S3, "store.json"))
    assert done.exit_code == 2
    assert "must be a file that ends in .yml, .yaml, .txt" in done.stderr
    done = run("storage", "validate", str(tmp_path / "none.yml"))
    assert done.exit_code == 2
    assert "no such file" in done.stderr
    (tmp_path / "directory.yml").mkdir()
    assert run("storage", "validate", str(tmp_path / "directory.yml")).exit_code == 2


def test_validate_reads_stdin_and_lists_everything(tmp_path: Path) -> None:
    done = run("storage", "validate", "-", stdin="s3: {regionn: x, chunksize: 1}\n")
    assert done.exit_code == 2
    assert "4 problems (STORAGE-CONFIG)" in done.stderr
    for path in ("s3.regionn: unknown", "s3.region: missing", "s3.bucket: missing", "s3.chunksize: must be"):
        assert f"    {path}" in done.stderr
    assert done.stdout == ""


def test_validate_in_json_has_problems_and_warnings(tmp_path: Path) -> None:
    done = run("storage", "validate", "--output", "json", "-", stdin="s3: {region: eu-west-1}\n")
    document = json.loads(done.stdout)
    assert (document["ok"], document["exit_code"]) == (False, 2)
    assert document["error"]["code"] == "STORAGE-CONFIG"
    assert document["error"]["details"] == ["s3.bucket: missing"]
    newer = run("storage", "validate", "--output", "json", written(tmp_path, {**S3, "region": "af-south-1"}))
    document = json.loads(newer.stdout)
    assert document["ok"]
    assert "newer than the regions" in document["warnings"][0]
    assert document["data"]["parameters"]["region"] == "af-south-1"
    text = run("storage", "validate", written(tmp_path, {**S3, "region": "af-south-1"}))
    assert "newer than the regions" in text.stderr


@pytest.mark.parametrize(
    ("given_version", "ok"), [("2.8", False), ("3", True), ("3.1.1", True), ("2.8.3", False)]
)
def test_validate_knows_the_versions_apart(given_version: str, ok: bool, tmp_path: Path) -> None:
    file = written(tmp_path, {**S3, "usedualstack": True})
    done = run("storage", "validate", file, "--registry-version", given_version)
    assert (done.exit_code == 0) is ok, done.stderr


def test_validate_refuses_a_version_that_does_not_exist(tmp_path: Path) -> None:
    done = run("storage", "validate", written(tmp_path, S3), "--registry-version", "2.7")
    assert done.exit_code == 2
    assert "'2.7' is neither 2.8 nor 3" in done.stderr


def test_sample_prints_the_file_and_nothing_else(tmp_path: Path) -> None:
    done = run("storage", "sample", "azure", "--registry-version", "3")
    assert done.exit_code == 0
    assert done.stdout == sample("azure", "3")
    assert json.loads(run("storage", "sample", "s3", "--output", "json").stdout)["data"]["text"] == sample(
        "s3"
    )
    assert run("storage", "sample", "oss").exit_code == 2


# --- install and reconfigure


@pytest.mark.parametrize("command", ["install", "reconfigure"])
def test_a_storage_configuration_becomes_part_of_the_request(
    command: str, tmp_path: Path, calls: Calls
) -> None:
    file = written(tmp_path, {**S3, "accesskey": "a", "secretkey": "${K}", "region": "af-south-1"})
    done = run(command, "--storage-config", file, env={"K": SECRET})
    assert done.exit_code == 0, done.stderr
    found = calls.request.settings.storage_config
    assert (found.kind, found.parameters["bucket"]) == ("s3", "images")
    assert found.secrets["secretkey"].reveal_text() == SECRET
    assert "newer than the regions" in done.stderr
    assert SECRET not in done.output
    assert SECRET not in repr(calls.request)
    assert calls.request.settings.given() == ("storage_config",)


@pytest.mark.parametrize("command", ["install", "reconfigure"])
def test_a_wrong_storage_configuration_is_told_with_everything_else_that_is_wrong(
    command: str, tmp_path: Path, calls: Calls
) -> None:
    file = written(tmp_path, {"region": "eu-west-1", "secretkey": "${UNSET}"})
    done = run(command, "--storage-config", file, "--replica-http-port", "0")
    assert done.exit_code == 2
    assert calls.requests == []
    for words in (
        "--replica-http-port: '0' is not a port",
        f"--storage-config {file}: storage.s3.bucket: missing",
        f"--storage-config {file}: storage.s3.accesskey: missing",
        f"--storage-config {file}: storage.s3.secretkey: the variable UNSET is not set",
    ):
        assert words in done.stderr


def test_a_storage_configuration_is_read_from_stdin(calls: Calls) -> None:
    done = run("install", "--storage-config", "-", stdin=dumped({"s3": S3}))
    assert done.exit_code == 0, done.stderr
    assert calls.request.settings.storage_config.parameters == S3
    done = run("install", "--storage-config", "-", "--admin-password-file", "-", stdin="s3: {}")
    assert done.exit_code == 2
    assert "would both read stdin" in done.stderr


def test_the_registrys_image_says_what_a_configuration_may_hold(tmp_path: Path, calls: Calls) -> None:
    file = written(tmp_path, {**S3, "usedualstack": True})
    assert run("install", "--storage-config", file).exit_code == 2
    done = run("install", "--storage-config", file, "--registry-image", "hub.example.com:443/registry:3.1.1")
    assert done.exit_code == 0, done.stderr


def in_use(version: str | None) -> Cluster:
    """A document whose registry is of a version; None: msrctl's own."""
    made = a_cluster()
    image = "sha256:" + "b" * 64 if version else None
    return replace(
        made, replicas=(replace(made.replicas[0], registry_image=image, registry_version=version),)
    )


def test_without_an_image_the_registry_in_use_says_what_a_configuration_may_hold(
    tmp_path: Path, calls: Calls
) -> None:
    done = run("reconfigure", "--storage-config", written(tmp_path, {**S3, "usedualstack": True}))
    assert done.exit_code == 0, done.stderr
    found = for_registry(calls.request, in_use("3.1.1")).settings.storage_config
    assert found is not None
    assert found.parameters["usedualstack"] is True
    with pytest.raises(UsageFault) as caught:
        for_registry(calls.request, in_use(None))
    assert (caught.value.code, caught.value.exit_code) == ("STORAGE-CONFIG", 2)
    assert any("usedualstack" in line for line in caught.value.details)


def test_what_each_registry_takes_in_its_own_way_is_taken_in_that_of_the_one_in_use(
    tmp_path: Path, calls: Calls
) -> None:
    done = run("reconfigure", "--storage-config", "-", stdin=dumped({"s3": {**S3, "region": "af-south-1"}}))
    assert done.exit_code == 0, done.stderr
    held = {
        version: for_registry(calls.request, in_use(version)).settings.storage_config
        for version in ("2.8.3", "3.1.1")
    }
    assert "regionendpoint" in held["2.8.3"].parameters  # type: ignore[union-attr]
    assert "regionendpoint" not in held["3.1.1"].parameters  # type: ignore[union-attr]


def test_what_no_registry_takes_is_told_before_any_engine_is_asked(tmp_path: Path, calls: Calls) -> None:
    file = written(tmp_path, {**S3, "prefix": "x"})
    assert run("reconfigure", "--storage-config", file).exit_code == 2
    assert calls.requests == []


@pytest.mark.parametrize("other", [("--nfs-storage-url", "nfs://n/a"), ("--dtr-storage-volume", "vol")])
@pytest.mark.parametrize("command", ["install", "reconfigure"])
def test_there_is_one_store_at_a_time(
    command: str, other: tuple[str, str], tmp_path: Path, calls: Calls
) -> None:
    done = run(command, "--storage-config", written(tmp_path, S3), *other)
    assert done.exit_code == 2
    assert f"--storage-config and {other[0]} exclude each other" in done.stderr
    assert calls.requests == []


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--storage-migrated --reinitialize-storage", "give one of them"),
        ("--migrate-storage --storage-migrated", "--migrate-storage copies the data"),
        ("--migrate-storage --reinitialize-storage", "--migrate-storage keeps the tags"),
        ("--verify digest --reinitialize-storage", "has nothing to verify"),
        ("--verify sha1", "'sha1' is not one of 'size', 'digest'"),
    ],
)
def test_what_happens_to_the_tags_is_one_thing(flags: str, reason: str, tmp_path: Path, calls: Calls) -> None:
    done = run("reconfigure", "--storage-config", written(tmp_path, S3), *flags.split())
    assert done.exit_code == 2
    assert reason in done.stderr
    assert calls.requests == []


@pytest.mark.parametrize("flag", ["--migrate-storage", "--adopt-storage", "--verify=digest"])
def test_flags_about_another_store_need_one(flag: str, calls: Calls) -> None:
    done = run("reconfigure", flag)
    assert done.exit_code == 2
    assert "is about another store: it needs one of --storage-config, --nfs-storage-url, " in done.stderr
    assert run("reconfigure", flag, "--nfs-storage-url", "").exit_code == 0


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        ("--migrate-storage", "migrate_storage"),
        ("--adopt-storage", "adopt_storage"),
        ("--verify digest", "verify_digests"),
        ("--storage-migrated", "storage_migrated"),
        ("--reinitialize-storage", "reinitialize_storage"),
    ],
)
def test_each_flag_of_a_switch_is_handed_on(flags: str, field: str, tmp_path: Path, calls: Calls) -> None:
    done = run("reconfigure", "--storage-config", written(tmp_path, S3), *flags.split())
    assert done.exit_code == 0, done.stderr
    switch = (
        "migrate_storage",
        "adopt_storage",
        "verify_digests",
        "storage_migrated",
        "reinitialize_storage",
    )
    assert [name for name in switch if getattr(calls.request, name)] == [field]


def test_going_on_takes_no_store_and_leaves_the_variable_alone(tmp_path: Path, calls: Calls) -> None:
    for flags in (("--storage-config", "x.yml"), ("--migrate-storage",), ("--verify", "digest")):
        done = run("reconfigure", "--resume", *flags)
        assert done.exit_code == 2
        assert f"excludes {flags[0]}" in done.stderr
    done = run("reconfigure", "--resume", env={"MSRCTL_STORAGE_CONFIG": str(tmp_path / "gone.yml")})
    assert done.exit_code == 0, done.stderr
    assert calls.request.settings.storage_config is None
