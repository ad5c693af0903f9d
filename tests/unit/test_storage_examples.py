"""The storage configurations in examples/storage are what they say: complete, and good for the registry."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from cli_support import CERTIFICATE, run

from msrctl.storage.document import DRIVERS
from msrctl.transfer import s3_probe

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = PROJECT / "examples/storage"
FILES = sorted(EXAMPLES.glob("*.yml"))
SERVICE_ACCOUNT = {
    "type": "service_account",
    "client_email": "registry@example.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def test_every_driver_has_an_example() -> None:
    told = {re.search(r"^storage:\n  (\w+):", file.read_text(), re.MULTILINE) for file in FILES}
    assert {match[1] for match in told if match} == set(DRIVERS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_validates_without_a_warning(file: Path, tmp_path: Path) -> None:
    # As an operator has it: the files that it names beside it, the variables set.
    shutil.copy(file, tmp_path)
    (tmp_path / "store-ca.pem").write_text(CERTIFICATE)
    (tmp_path / "key.json").write_text(json.dumps(SERVICE_ACCOUNT))
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", file.read_text()), "c2VjcmV0")
    variables["GCS_KEYFILE"] = str(tmp_path / "key.json")
    done = run("--output", "json", "storage", "validate", str(tmp_path / file.name), env=variables)
    assert done.exit_code == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)["data"]
    assert data["warnings"] == []
    assert data["secrets"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_says_how_it_is_used_and_holds_no_credentials(file: Path) -> None:
    text = file.read_text()
    assert f"msrctl storage validate {file.name}" in text
    assert f"--storage-config {file.name}" in text
    for key in ("accesskey", "secretkey", "accountkey", "password", "keyfile"):
        for value in re.findall(rf"^ *{key}: (.*)$", text, re.MULTILINE):
            assert re.fullmatch(r"\$\{\w+\}", value)


def test_the_policy_allows_what_the_check_tries_and_no_more() -> None:
    policy = json.loads((EXAMPLES / "s3-policy.json").read_text())
    allowed = {action.removeprefix("s3:") for rule in policy["Statement"] for action in rule["Action"]}
    tried = set(
        re.findall(r'"((?:List|Get|Put|Delete|Abort)[A-Za-z]+)"', Path(s3_probe.__file__).read_text())
    )
    assert allowed == tried - {"PutObjectAcl"}


def test_the_policy_is_for_the_bucket_of_the_example() -> None:
    text = (EXAMPLES / "s3-amazon.yml").read_text()
    bucket, root = (re.search(rf"{key}: (\S+)", text) for key in ("bucket", "rootdirectory"))
    assert bucket
    assert root
    policy = json.loads((EXAMPLES / "s3-policy.json").read_text())
    assert {rule["Resource"] for rule in policy["Statement"]} == {
        f"arn:aws:s3:::{bucket[1]}",
        f"arn:aws:s3:::{bucket[1]}/{root[1]}/*",
    }
