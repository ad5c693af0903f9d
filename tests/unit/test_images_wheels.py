"""The wheels of the image: packed again from an installation, fetched once, and nothing else in them."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import io
import json
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from msrctl.images import ImageError, wheels

METADATA = """Metadata-Version: 2.4
Name: msrctl
Version: 1.2.3
Requires-Dist: requests>=2.31
Requires-Dist: click>=8.1.7
Provides-Extra: stores
Requires-Dist: obstore>=0.12; extra == 'stores'
Requires-Dist: tzdata>=2024; (sys_platform == 'win32') and extra == 'stores'
Provides-Extra: test
Requires-Dist: pytest>=8.1; extra == 'test'
"""


def install(site: Path, origin: Mapping[str, object] | None = None) -> importlib.metadata.Distribution:
    """What pip leaves of an installed wheel: the package, its metadata, a script and compiled files."""
    files = {
        "msrctl/__init__.py": "__version__ = '1.2.3'\n",
        "msrctl/schemas/cluster.json": "{}\n",
        "msrctl/__pycache__/__init__.cpython-311.pyc": "compiled",
        "msrctl-1.2.3.dist-info/METADATA": METADATA,
        "msrctl-1.2.3.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "msrctl-1.2.3.dist-info/entry_points.txt": "[console_scripts]\nmsrctl = msrctl.__main__:main\n",
        "msrctl-1.2.3.dist-info/licenses/LICENSE": "Apache\n",
        "msrctl-1.2.3.dist-info/INSTALLER": "pip\n",
        "msrctl-1.2.3.dist-info/REQUESTED": "",
        "msrctl-1.2.3.dist-info/direct_url.json": json.dumps(origin or {"url": "file:///home/jo/private"}),
        "../../../bin/msrctl": "#!/home/jo/venv/bin/python\n",
    }
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    record = "".join(f"{name},,\n" for name in (*files, "msrctl-1.2.3.dist-info/RECORD"))
    (site / "msrctl-1.2.3.dist-info/RECORD").write_text(record, encoding="utf-8")
    return importlib.metadata.Distribution.at(site / "msrctl-1.2.3.dist-info")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "venv/lib/python3.11/site-packages"


def test_a_repacked_wheel_holds_the_package_and_nothing_of_the_machine(site: Path, tmp_path: Path) -> None:
    wheel = wheels.own_wheel(tmp_path, install(site))
    assert wheel.name == "msrctl-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == {
            "msrctl/__init__.py",
            "msrctl/schemas/cluster.json",
            "msrctl-1.2.3.dist-info/METADATA",
            "msrctl-1.2.3.dist-info/WHEEL",
            "msrctl-1.2.3.dist-info/entry_points.txt",
            "msrctl-1.2.3.dist-info/licenses/LICENSE",
            "msrctl-1.2.3.dist-info/RECORD",
        }
        assert not any(b"/home/jo" in archive.read(name) for name in archive.namelist())


def test_a_repacked_wheel_records_every_file_with_its_hash(site: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheels.own_wheel(tmp_path, install(site))) as archive:
        record = archive.read("msrctl-1.2.3.dist-info/RECORD").decode()
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(record))}
        assert set(rows) == set(archive.namelist())
        assert rows.pop("msrctl-1.2.3.dist-info/RECORD") == ["", ""]
        for name, (digest, size) in rows.items():
            data = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={expected}", str(len(data)))


def test_the_same_installation_gives_the_same_bytes(site: Path, tmp_path: Path) -> None:
    distribution = install(site)
    again = tmp_path / "again"
    again.mkdir()
    first = wheels.own_wheel(tmp_path, distribution).read_bytes()
    (site / "msrctl/__init__.py").touch()
    assert wheels.own_wheel(again, distribution).read_bytes() == first


def test_an_editable_installation_is_built_from_its_sources(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "my source"
    origin = {"url": f"file://{tmp_path}/my%20source", "dir_info": {"editable": True}}
    calls: list[list[str]] = []

    def pip(arguments: list[str], _doing: str) -> None:
        calls.append(arguments)
        (tmp_path / "msrctl-1.2.3-py3-none-any.whl").touch()

    monkeypatch.setattr(wheels, "run_pip", pip)
    assert wheels.own_wheel(tmp_path, install(site, origin)).name == "msrctl-1.2.3-py3-none-any.whl"
    assert calls == [["wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]]


def test_the_files_of_an_editable_installation_are_its_sources(site: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("msrctl/a.py", "msrctl/__pycache__/a.pyc", "schemas/s.json", "tests/t.py", "pyproject.toml"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    origin = {"url": f"file://{source}", "dir_info": {"editable": True}}
    found = wheels.own_files(install(site, origin))
    assert list(found) == ["msrctl/a.py", "pyproject.toml", "schemas/s.json"]


def test_the_image_needs_the_libraries_of_stores_and_of_no_other_extra(site: Path) -> None:
    assert wheels.requirements(install(site)) == (
        "click>=8.1.7",
        "obstore>=0.12",
        "requests>=2.31",
        "tzdata>=2024; (sys_platform == 'win32')",
    )


def test_an_installation_takes_the_libraries_of_stores_into_the_image() -> None:
    needed = {line.partition(">")[0] for line in wheels.requirements(wheels.installation())}
    assert {
        "azure-storage-blob",
        "botocore",
        "google-cloud-storage",
        "obstore",
    } <= needed
    assert "pytest" not in needed


def test_wheels_are_downloaded_once_for_a_list_and_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(wheels, "run_pip", lambda arguments, _doing: calls.append(arguments))
    needed = ("click>=8.1.7", "requests>=2.31")
    first = wheels.dependency_wheels(needed, "x86_64", cache=tmp_path)
    assert wheels.dependency_wheels(needed, "x86_64", cache=tmp_path) == first
    assert len(calls) == 1
    assert wheels.dependency_wheels(needed, "aarch64", cache=tmp_path) != first
    assert wheels.dependency_wheels(needed[:1], "x86_64", cache=tmp_path) != first
    assert (first / "requirements.txt").read_text() == "click>=8.1.7\nrequests>=2.31\n"
    assert not list((tmp_path / "wheels").glob(".*"))


def test_wheels_are_for_the_images_python_and_never_built_from_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(wheels, "run_pip", lambda arguments, _doing: calls.append(arguments))
    wheels.dependency_wheels(("click",), "aarch64", cache=tmp_path)
    command = calls[0]
    assert "--only-binary=:all:" in command
    assert command[command.index("--python-version") + 1] == "3.13"
    assert {"manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_41_aarch64"} <= set(command)
    assert not any("index" in word or "://" in word for word in command)


def test_an_interrupted_download_leaves_nothing_to_be_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_arguments: list[str], _doing: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wheels, "run_pip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        wheels.dependency_wheels(("click",), "x86_64", cache=tmp_path)
    assert not list((tmp_path / "wheels").iterdir())


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert wheels.cache_directory() == Path("/somewhere/msrctl")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/jo")
    assert wheels.cache_directory() == Path("/home/jo/.cache/msrctl")


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("/usr/bin/python3: No module named pip\n", "has no pip", "msrctl images load"),
        ("ERROR: no matching distribution\n", "exit code 1", "pip config list"),
    ],
)
def test_a_failing_pip_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, said: str, message: str, hint: str
) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr=said)
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_kwargs: failed)
    with pytest.raises(ImageError, match=message) as caught:
        wheels.run_pip(["wheel"], "building msrctl's wheel")
    assert hint in str(caught.value.hint)


def test_running_without_an_installation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(ImageError, match="not installed as a package"):
        wheels.installation()
