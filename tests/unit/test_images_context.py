"""The build context and its hash: everything that counts, and nothing that should not be known."""

from __future__ import annotations

import io
import os
import tarfile
from importlib.resources import files
from pathlib import Path

import pytest

from msrctl.images import context


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    directory = tmp_path / "wheels"
    directory.mkdir()
    for name in ("requirements.txt", "pip-26.0-py3-none-any.whl", "click-8.5-py3-none-any.whl"):
        (directory / name).write_text(name, encoding="utf-8")
    return directory


def write(wheels: Path) -> bytes:
    own = wheels.parent / "msrctl-1.2.3-py3-none-any.whl"
    own.write_text("own", encoding="utf-8")
    target = io.BytesIO()
    context.write_context(target, own, wheels)
    return target.getvalue()


def test_the_context_holds_the_dockerfile_and_the_wheels_and_no_more(wheels: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(write(wheels))) as tar:
        assert tar.getnames() == [
            "Dockerfile",
            "msrctl-1.2.3-py3-none-any.whl",
            "wheels/click-8.5-py3-none-any.whl",
            "wheels/pip-26.0-py3-none-any.whl",
            "wheels/requirements.txt",
        ]


def test_the_context_does_not_tell_who_made_it_or_when(wheels: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(write(wheels))) as tar:
        assert {(entry.uid, entry.uname, entry.gid, entry.gname, entry.mtime) for entry in tar} == {
            (0, "", 0, "", 0)
        }


def test_the_same_inputs_give_the_same_context(wheels: Path) -> None:
    before = write(wheels)
    os.utime(wheels / "requirements.txt", (1, 1))
    assert write(wheels) == before


def test_the_hash_changes_with_whatever_the_image_is_made_from(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("one")
    own = {"msrctl/a.py": source}

    def now(needed: tuple[str, ...] = ("click",), version: str = "1.2.3", base: str = "debian") -> str:
        return context.build_hash(own, needed, version=version, base=base)

    first = now()
    os.utime(source, (1, 1))
    assert now() == first
    assert len({first, now(needed=("click", "rich")), now(version="1.2.4"), now(base="other")}) == 4
    source.write_text("two")
    assert now() != first


def test_the_hash_changes_with_the_dockerfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = context.build_hash({}, (), version="1.2.3")
    monkeypatch.setattr(context, "dockerfile", lambda: b"FROM scratch\n")
    assert context.build_hash({}, (), version="1.2.3") != first


def test_the_dockerfile_has_what_the_services_count_on() -> None:
    text = context.dockerfile().decode()
    for fact in ("docker-registry", "nginx", "busybox", "--uid 10001", "/storage", 'ENTRYPOINT ["msrctl"]'):
        assert fact in text
    assert "HEALTHCHECK" in text
    assert "VOLUME" not in text


def test_no_address_of_a_registry_or_mirror_is_written_down() -> None:
    assert "://" not in context.dockerfile().decode()
    for path in Path(str(files("msrctl.images"))).glob("*.py"):
        text = path.read_text(encoding="utf-8").lower()
        for word in ("pypi", "deb.debian.org", "docker.io", "index-url", "trusted-host"):
            assert word not in text, (path.name, word)
