"""Base, build, list, save and load against a stand-in for the engine's image interface."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from docker.errors import ImageNotFound

from msrctl import images
from msrctl.images import ImageError, ImageMissing, base
from msrctl.images.archive import ship

REFERENCE = "msrctl/msr:1.2.3"
LATEST = "msrctl/msr:latest"
# `msrctl.images.build` by attribute is the function of that name.
build_module = importlib.import_module("msrctl.images.build")


@dataclass
class FakeAnswer:
    """A response of the engine that is read line by line."""

    status_code: int
    lines: list[dict[str, Any] | Exception]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def iter_lines(self) -> Iterator[bytes]:
        for line in self.lines:
            if isinstance(line, Exception):
                raise line
            yield json.dumps(line).encode()


@dataclass
class FakeApi:
    """Images by reference; what is asked of it is noted in `calls`."""

    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    timeout: int | None = 60
    pull_lines: list[dict[str, Any] | Exception] = field(default_factory=list)
    build_lines: list[dict[str, Any]] = field(default_factory=list)
    load_lines: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[bytes | Exception] = field(default_factory=list)
    loaded: bytes = b""
    architecture: str = "amd64"
    dies: bool = False
    pull_status: int = 200
    base_url: str = "http+docker://localhost"
    api_version: str = "1.41"

    def add(self, reference: str, labels: dict[str, str] | None = None) -> None:
        number = len(self.images) + 1
        self.images[reference] = {"Id": f"sha256:{number}", "Size": 100, "Config": {"Labels": labels}}

    def version(self) -> dict[str, str]:
        return {"Arch": self.architecture}

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference not in self.images:
            raise ImageNotFound("no such image")
        return self.images[reference]

    def post(self, url: str, *, params: dict[str, str], timeout: int, **_options: object) -> FakeAnswer:
        assert url == "http+docker://localhost/v1.41/images/create"
        reference = f"{params['fromImage']}:{params['tag']}"
        self.calls.append(f"pull {reference} limit {timeout}")
        if not self.pull_lines:
            self.add(reference)
        return FakeAnswer(self.pull_status, self.pull_lines)

    def import_image(self, _src: str, *, repository: str, tag: str, **_options: object) -> None:
        self.calls.append(f"import {repository}:{tag}")
        self.add(f"{repository}:{tag}")

    def build(self, **options: Any) -> Iterable[dict[str, Any]]:
        self.calls.append(f"build {options['tag']} nocache {options['nocache']}")
        if not self.dies:
            self.add(options["tag"], {"io.msrctl.build-hash": options["buildargs"]["BUILD_HASH"]})
        return self.build_lines

    def tag(self, image: str, repository: str, tag: str) -> bool:
        self.images[f"{repository}:{tag}"] = self.images[image]
        return True

    def get_image(self, _reference: str) -> Iterator[bytes]:
        self.calls.append(f"get limit {self.timeout}")
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def load_image(self, data: Iterable[bytes]) -> list[dict[str, Any]]:
        self.loaded = b"".join(data)
        return self.load_lines


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    monkeypatch.setattr("docker.auth.get_config_header", lambda _api, _registry: None)
    return FakeApi()


@pytest.fixture
def no_mmdebstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.shutil, "which", lambda _name: None)


# --- base


def test_a_base_that_is_there_is_taken_without_asking_anybody(api: FakeApi) -> None:
    api.add(images.BASE)
    assert images.ensure_base(api).origin == "present"
    assert api.calls == []


def test_a_base_that_is_not_there_is_pulled_with_a_time_limit(api: FakeApi) -> None:
    said: list[str] = []
    assert images.ensure_base(api, said.append).origin == "pulled"
    assert api.calls == [f"pull {images.BASE} limit {base.PULL_SECONDS}"]
    assert api.timeout == 60
    assert f"{base.PULL_SECONDS} s" in said[0]


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (200, {"error": "Get registry:\n no such host"}, "Get registry: no such host"),
        (404, {"message": "manifest unknown"}, "manifest unknown"),
        (200, requests.ConnectionError("Read timed out."), "no answer within 15 s"),
    ],
)
def test_a_base_that_cannot_be_pulled_is_made_and_the_reason_said(
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    answer: dict[str, Any] | Exception,
    reason: str,
) -> None:
    api.pull_status, api.pull_lines = status, [answer]
    commands: list[list[str]] = []

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(base.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(base.subprocess, "run", run)
    said: list[str] = []
    assert images.ensure_base(api, said.append).origin == "made"
    assert f"cannot pull it ({reason})" in said[1]
    assert commands[-1][0] == "mmdebstrap"
    assert api.calls[-1] == f"import {images.BASE}"


@pytest.mark.usefixtures("no_mmdebstrap")
def test_without_mmdebstrap_the_error_says_how_to_get_it(api: FakeApi) -> None:
    api.pull_lines = [{"error": "no such host"}]
    with pytest.raises(ImageError) as caught:
        images.ensure_base(api)
    assert "apt-get install mmdebstrap" in str(caught.value.hint)
    assert api.images == {}


def test_a_base_of_the_users_choice_is_never_made(api: FakeApi) -> None:
    api.pull_lines = [{"error": "no such host"}]
    with pytest.raises(ImageError, match="mine:1 is not on the engine"):
        images.ensure_base(api, reference="mine:1")


def test_a_failing_mmdebstrap_shows_the_end_of_its_log(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 25, stdout="", stderr="E: first\nE: the key is missing\n")
    monkeypatch.setattr(base.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(base, "mirrors", lambda: ())
    monkeypatch.setattr(base.subprocess, "run", lambda *_args, **_options: failed)
    with pytest.raises(ImageError) as caught:
        base.make(api, images.BASE)
    assert caught.value.details[-1] == "E: the key is missing"
    assert api.images == {}


def test_the_base_comes_from_the_mirrors_of_this_machine() -> None:
    targets = (
        "https://mirror.example/debian Debian\n"
        "https://mirror.example/security Debian-Security\n"
        "https://mirror.example/backports Debian Backports\n"
        "https://tools.example/apt Some Vendor\n"
    )
    assert base.mirror_lines(targets) == (
        "deb https://mirror.example/debian trixie main",
        "deb https://mirror.example/debian trixie-updates main",
        "deb https://mirror.example/security trixie-security main",
    )


@pytest.mark.parametrize(
    "targets",
    [
        "",
        "file:/srv/debian Debian\n",
        "https://jo:secret@mirror.example/debian Debian\n",
        "http://u Ubuntu\n",
    ],
)
def test_a_mirror_that_the_image_cannot_use_or_must_not_know_is_left_out(targets: str) -> None:
    assert base.mirror_lines(targets) == ()


# --- build


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Wheels out of nowhere; the list tells for what they were wanted."""
    made: list[str] = []

    def own_wheel(directory: Path, _distribution: object) -> Path:
        made.append("own")
        wheel = directory / "msrctl-1.2.3-py3-none-any.whl"
        wheel.touch()
        return wheel

    def dependency_wheels(_needed: object, machine: str, _progress: object) -> Path:
        made.append(machine)
        return tmp_path

    monkeypatch.setattr(build_module, "own_wheel", own_wheel)
    monkeypatch.setattr(build_module, "dependency_wheels", dependency_wheels)
    return made


def test_a_build_makes_the_image_and_says_what_it_did(api: FakeApi, inputs: list[str]) -> None:
    api.add(images.BASE)
    said: list[str] = []
    api.build_lines = [
        {"stream": "Step 1/2 : FROM base\n"},
        {"stream": "noise\n"},
        {"aux": {"ID": "sha256:2"}},
    ]
    result = images.build(api, "1.2.3", said.append)
    assert (result.reference, result.image_id, result.built, result.base) == (
        REFERENCE,
        "sha256:2",
        True,
        "present",
    )
    assert said == [f"building {REFERENCE}", "Step 1/2 : FROM base"]
    assert sorted(inputs) == ["own", "x86_64"]
    with pytest.raises(FrozenInstanceError):
        result.built = False  # type: ignore[misc]


def test_what_was_built_or_found_built_runs_without_a_version(api: FakeApi, inputs: list[str]) -> None:
    api.add(images.BASE)
    result = images.build(api, "1.2.3")
    assert api.images[LATEST]["Id"] == result.image_id
    api.images[LATEST] = api.images[images.BASE]
    assert not images.build(api, "1.2.3").built
    assert api.images[LATEST]["Id"] == result.image_id
    assert sorted(inputs) == ["own", "x86_64"]


@pytest.mark.usefixtures("inputs")
def test_a_build_that_failed_leaves_the_unversioned_name_where_it_was(api: FakeApi) -> None:
    api.add(images.BASE)
    api.add(LATEST, {"io.msrctl.build-hash": "of yesterday"})
    api.build_lines = [{"error": "no"}]
    with pytest.raises(ImageError):
        images.build(api, "1.2.3")
    assert api.images[LATEST]["Config"]["Labels"] == {"io.msrctl.build-hash": "of yesterday"}


def test_a_second_build_from_the_same_inputs_touches_nothing(api: FakeApi, inputs: list[str]) -> None:
    api.add(images.BASE)
    first = images.build(api, "1.2.3")
    inputs.clear()
    api.calls.clear()
    second = images.build(api, "1.2.3")
    assert (second.built, second.base, second.image_id) == (False, None, first.image_id)
    assert (api.calls, inputs) == ([], [])


@pytest.mark.usefixtures("inputs")
def test_force_builds_without_a_look_at_what_is_there(api: FakeApi) -> None:
    api.add(images.BASE)
    images.build(api, "1.2.3")
    assert images.build(api, "1.2.3", force=True).built
    assert api.calls == [f"build {REFERENCE} nocache False", f"build {REFERENCE} nocache True"]


@pytest.mark.usefixtures("inputs")
def test_an_image_of_other_inputs_is_built_again(api: FakeApi) -> None:
    api.add(images.BASE)
    api.add(REFERENCE, {"io.msrctl.build-hash": "of yesterday"})
    assert images.build(api, "1.2.3").built


@pytest.mark.usefixtures("inputs")
def test_an_image_without_labels_is_built_again(api: FakeApi) -> None:
    api.add(images.BASE)
    api.add(REFERENCE, None)
    assert images.build(api, "1.2.3").built


def test_a_processor_that_no_wheels_are_known_for_is_refused_first(api: FakeApi, inputs: list[str]) -> None:
    api.architecture = "s390x"
    with pytest.raises(ImageError, match="s390x"):
        images.build(api, "1.2.3")
    assert (api.calls, inputs) == ([], [])


@pytest.mark.usefixtures("inputs")
def test_a_failed_build_shows_the_last_lines_of_its_log(api: FakeApi) -> None:
    api.add(images.BASE)
    api.build_lines = [{"stream": f"line {number}\n"} for number in range(50)]
    api.build_lines.append({"error": "the command returned\n a non-zero code: 100"})
    with pytest.raises(ImageError, match="the command returned a non-zero code: 100") as caught:
        images.build(api, "1.2.3")
    assert caught.value.details == tuple(f"line {number}" for number in range(30, 50))


@pytest.mark.usefixtures("inputs")
def test_an_engine_that_dies_in_the_build_is_not_taken_for_a_success(api: FakeApi) -> None:
    api.add(images.BASE)
    api.add(REFERENCE, {"io.msrctl.build-hash": "of yesterday"})
    api.dies = True
    with pytest.raises(ImageError, match="ended early"):
        images.build(api, "1.2.3")


# --- list


def test_the_list_is_one_reference_per_line(api: FakeApi) -> None:
    assert str(images.list_images(None, "1.2.3")) == REFERENCE
    api.add(REFERENCE)
    assert images.list_images(api, "1.2.3").images == (images.ImageEntry(REFERENCE, "sha256:1", 100),)


def test_a_local_version_makes_a_valid_tag() -> None:
    assert images.image_reference("1.2.3+dev.4") == "msrctl/msr:1.2.3-dev.4"


def test_a_missing_image_is_an_error_with_both_ways_to_get_it(api: FakeApi) -> None:
    with pytest.raises(ImageMissing, match=r"no image msrctl/msr:1\.2\.3") as caught:
        images.image_id(api, REFERENCE)
    assert caught.value.exit_code == 3
    assert "images build" in str(caught.value.hint)
    assert "images load" in str(caught.value.hint)


# --- save and load


def test_save_writes_the_whole_file_or_none(api: FakeApi, tmp_path: Path) -> None:
    api.add(REFERENCE)
    api.chunks = [b"one", b"two"]
    target = tmp_path / "msr.tar"
    assert images.save(api, REFERENCE, target) == images.SaveResult(REFERENCE, "sha256:1", str(target), 6)
    assert target.read_bytes() == b"onetwo"
    api.chunks = [b"other", OSError(28, "No space left on device")]
    with pytest.raises(ImageError, match="No space left on device"):
        images.save(api, REFERENCE, target)
    assert target.read_bytes() == b"onetwo"
    assert [path.name for path in tmp_path.iterdir()] == ["msr.tar"]


def test_losing_the_engine_while_saving_is_no_fault_of_the_file(api: FakeApi, tmp_path: Path) -> None:
    api.add(REFERENCE)
    api.chunks = [b"one", requests.ConnectionError("connection broken")]
    with pytest.raises(requests.ConnectionError):
        images.save(api, REFERENCE, tmp_path / "msr.tar")
    assert not list(tmp_path.iterdir())


def test_save_waits_as_long_as_the_engine_needs(api: FakeApi) -> None:
    api.add(REFERENCE)
    images.save(api, REFERENCE, io.BytesIO())
    assert (api.calls, api.timeout) == (["get limit None"], 60)


def test_save_to_a_stream_writes_the_same_bytes(api: FakeApi) -> None:
    api.add(REFERENCE)
    api.chunks = [b"one", b"two"]
    stream = io.BytesIO()
    assert images.save(api, REFERENCE, stream).path is None
    assert stream.getvalue() == b"onetwo"


def test_saving_what_is_not_there_makes_no_file(api: FakeApi, tmp_path: Path) -> None:
    with pytest.raises(ImageMissing):
        images.save(api, REFERENCE, tmp_path / "msr.tar")
    assert not list(tmp_path.iterdir())


def test_saving_into_a_missing_directory_is_an_error_with_a_hint(api: FakeApi, tmp_path: Path) -> None:
    api.add(REFERENCE)
    with pytest.raises(ImageError, match="No such file or directory") as caught:
        images.save(api, REFERENCE, tmp_path / "missing" / "msr.tar")
    assert "directory exists" in str(caught.value.hint)


def test_load_reports_the_images_of_the_file(api: FakeApi, tmp_path: Path) -> None:
    api.add(REFERENCE)
    api.load_lines = [{"status": "Loading layer"}, {"stream": f"Loaded image: {REFERENCE}\n"}]
    source = tmp_path / "msr.tar"
    source.write_bytes(b"saved")
    assert images.load(api, source).images == (images.ImageEntry(REFERENCE, "sha256:1", 100),)
    assert api.loaded == b"saved"
    assert images.load(api, io.BytesIO(b"streamed")).images[0].reference == REFERENCE
    assert api.loaded == b"streamed"


def test_a_loaded_image_of_ours_runs_without_a_version(api: FakeApi) -> None:
    api.add(REFERENCE)
    api.load_lines = [{"stream": f"Loaded image: {REFERENCE}\n"}]
    loaded = images.load(api, io.BytesIO(b"saved"))
    assert [entry.reference for entry in loaded.images] == [REFERENCE]
    assert api.images[LATEST]["Id"] == loaded.images[0].image_id


def test_an_image_is_sent_from_engine_to_engine(api: FakeApi) -> None:
    target = FakeApi(load_lines=[{"stream": f"Loaded image: {REFERENCE}\n"}])
    target.add(REFERENCE)
    api.chunks = [b"sav", b"ed"]
    assert ship(api, target, REFERENCE).images[0].reference == REFERENCE  # type: ignore[arg-type]
    assert target.loaded == b"saved"
    assert api.calls == ["get limit None"]


@pytest.mark.parametrize(
    ("chunks", "lines", "reason"),
    [
        ([b"sav", requests.ConnectionError("reset by peer")], [], "reset by peer"),
        ([b"saved"], [{"error": "no space left on device"}], "no space left on device"),
    ],
)
def test_an_image_that_does_not_arrive_is_an_error_with_another_way(
    api: FakeApi, chunks: list[bytes | Exception], lines: list[dict[str, Any]], reason: str
) -> None:
    api.chunks = chunks
    with pytest.raises(ImageError, match=reason) as error:
        ship(api, FakeApi(load_lines=lines), REFERENCE)  # type: ignore[arg-type]
    assert "carry it there" in str(error.value.hint)


@pytest.mark.parametrize("reference", ["registry:2.8.3", "sha256:1", "mine/msrctl/msr:1.2.3"])
def test_loading_an_image_of_others_gives_ours_no_other_name(api: FakeApi, reference: str) -> None:
    api.add(reference)
    api.load_lines = [{"stream": f"Loaded image: {reference}\n"}]
    images.load(api, io.BytesIO(b"saved"))
    assert set(api.images) == {reference}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [([{"error": "unexpected EOF"}], "unexpected EOF"), ([], "there is no image in it")],
)
def test_a_file_that_is_no_image_is_refused(api: FakeApi, lines: list[dict[str, Any]], reason: str) -> None:
    api.load_lines = lines
    with pytest.raises(ImageError, match=reason):
        images.load(api, io.BytesIO(b"junk"))


def test_a_file_that_is_not_there_is_named(api: FakeApi, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"missing\.tar cannot be read: No such file"):
        images.load(api, tmp_path / "missing.tar")
