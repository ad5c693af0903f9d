"""Every code that the check of a store can give stands in the page of that store, with what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CODE = re.compile(r'"(PRE-(?:S3|AZURE|GCS|SWIFT|NFS|STORE|STORAGE)[A-Z0-9-]*)"')
PAGES = {
    "PRE-S3": "how-to/store-in-s3.md",
    "PRE-AZURE": "how-to/store-in-azure.md",
    "PRE-GCS": "how-to/store-in-gcs.md",
    "PRE-SWIFT": "how-to/store-in-swift.md",
    "PRE-NFS": "how-to/store-on-nfs.md",
    "PRE-STORE": "explanation/trust-the-store.md",
    "PRE-STORAGE": "how-to/store-in-a-directory.md",
}
COMPOSED = [
    *(f"PRE-GCS-{verb}" for verb in ("LIST", "CREATE", "GET", "DELETE")),
    *(
        f"PRE-S3-DENIED-{permission}"
        for permission in (
            *("LISTBUCKET", "GETBUCKETLOCATION", "LISTBUCKETMULTIPARTUPLOADS", "PUTOBJECT", "GETOBJECT"),
            *("DELETEOBJECT", "LISTMULTIPARTUPLOADPARTS", "ABORTMULTIPARTUPLOAD", "PUTOBJECTACL"),
        )
    ),
]


def page(name: str) -> str:
    return (PROJECT / "docs" / name).read_text("utf-8")


def told(name: str) -> set[str]:
    """Codes in the first column of a page's table; `PRE-A-B`, `-C` is short for `PRE-A-C` too."""
    found = set()
    for row in re.findall(r"^\| (`PRE-[^|]+) \| [^|]+ \| [^|]+ \|$", page(name), re.MULTILINE):
        names = re.findall(r"`([A-Z0-9-]+)`", row)
        found |= {n if n.startswith("PRE-") else names[0].rpartition("-")[0] + n for n in names}
    return found


def given() -> set[str]:
    """Codes in the program."""
    texts = [file.read_text("utf-8") for file in (PROJECT / "msrctl").rglob("*.py")]
    return {code for text in texts for code in CODE.findall(text)} | set(COMPOSED)


@pytest.mark.parametrize("prefix", PAGES)
def test_every_code_stands_in_its_page_and_no_other(prefix: str) -> None:
    codes = {code for code in given() if re.match(rf"{prefix}(-|$)", code)}
    assert codes
    assert told(PAGES[prefix]) == codes


def test_the_policy_in_the_page_is_the_one_in_the_examples() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", page(PAGES["PRE-S3"]), re.DOTALL)
    assert json.loads(shown) == json.loads((PROJECT / "examples/storage/s3-policy.json").read_text("utf-8"))


def test_every_page_of_a_store_leads_to_its_reference_and_example() -> None:
    for driver in ("s3", "azure", "gcs", "swift"):
        text = page(f"how-to/store-in-{driver}.md")
        assert f"../reference/storage/{driver}.md" in text
        assert "../../examples/storage)" in text
