"""Which store is meant, whatever name leads to it, and what a store that fails is told as."""

from __future__ import annotations

import argparse
import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plan_support import Recorder, a_cluster

from msrctl.errors import MsrctlError, UsageFault, VerifyFailed, WrongState
from msrctl.model.cluster import Storage
from msrctl.model.requests import CommonRequest, ReconfigureRequest, SettingsRequest
from msrctl.plan.switch import Policy, Switch
from msrctl.transfer import tasks
from msrctl.transfer.files import FileStore
from msrctl.workflows import differences, owners, storage, switch
from msrctl.workflows.stores import StoreAnswer

OTHER = Storage("bind", {"path": "/srv/images"})
MARKER = {"store": "s1", "cluster": "c1", "url": "https://r", "since": ""}


def request(**more: Any) -> ReconfigureRequest:
    volume = more.pop("volume", None)
    return ReconfigureRequest(common=CommonRequest(), settings=SettingsRequest(storage_volume=volume), **more)


@pytest.mark.parametrize("flag", ["migrate_storage", "storage_migrated"])
def test_the_same_switch_again_has_nothing_to_do(flag: str) -> None:
    before = a_cluster()
    assert storage.kept(before, request(volume="", **{flag: True})).storage is before.storage


def test_flags_about_another_store_want_one_named() -> None:
    with pytest.raises(UsageFault, match="none is named"):
        storage.kept(a_cluster(), request(migrate_storage=True))


def test_the_store_in_use_is_never_erased() -> None:
    with pytest.raises(WrongState) as caught:
        storage.kept(a_cluster(), request(volume="", reinitialize_storage=True))
    assert caught.value.code == "STORE-IN-USE"


@pytest.mark.parametrize("same", [True, False])
def test_two_names_are_one_store_if_what_is_written_to_the_one_is_in_the_other(
    same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.symlink_to(old) if same else new.mkdir()
    monkeypatch.setattr(tasks, "open_side", lambda side: FileStore(tmp_path / side))
    (answer,) = tasks.ACTIONS["same"](argparse.Namespace())
    assert answer["same"] is same
    assert list(old.iterdir()) == list(new.iterdir()) == []


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def on_stores(*_: Any, **__: Any) -> StoreAnswer:
        if isinstance(answer, Exception):
            raise answer
        return StoreAnswer(answer, (answer,))

    monkeypatch.setattr(owners, "on_stores", on_stores)


@pytest.mark.parametrize("owner", [None, MARKER])
@pytest.mark.parametrize("same", [True, False])
def test_a_marker_makes_no_copy_the_store_in_use(
    same: bool, owner: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = a_cluster(storage=Storage(store_id="s1"))
    answering(monkeypatch, {"ok": True, "same": same})
    assert owners.is_in_use(None, before, OTHER, owner, erasing=True) is same  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("erasing", "owner", "expected"), [(True, MARKER, True), (True, None, False), (False, MARKER, False)]
)
def test_what_may_be_the_store_in_use_is_not_erased_while_that_cannot_be_reached(
    erasing: bool, owner: dict[str, str] | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = a_cluster(storage=Storage(store_id="s1"))
    answering(monkeypatch, MsrctlError("mount failed"))
    assert owners.is_in_use(None, before, OTHER, owner, erasing=erasing) is expected  # type: ignore[arg-type]


def test_a_write_that_fails_names_the_store_and_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path, "directory /srv/images")

    def chunks() -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield b""

    with pytest.raises(OSError, match="No space left") as caught:
        store.write("a/b", chunks(), 1)
    assert caught.value.filename == str(tmp_path / "a/b")
    caught.value.filename = "/new/a/b"
    monkeypatch.setattr(tasks, "open_side", lambda _: store)

    def fails(_: argparse.Namespace) -> Any:
        raise caught.value
        yield {}

    monkeypatch.setitem(tasks.ACTIONS, "fails", fails)
    (answer,) = tasks.run(argparse.Namespace(action="fails", owner=""))
    assert answer["error"] == "directory /srv/images: a/b: No space left on device"


def test_a_read_that_fails_names_the_file() -> None:
    # Nothing is mapped at the beginning of a process's memory: reading there is an input/output error.
    with pytest.raises(OSError, match=r"Input/output error") as caught:
        list(FileStore(Path("/proc/self")).stream("mem"))
    assert caught.value.filename == "/proc/self/mem"


def test_what_is_damaged_in_the_old_store_is_another_thing_than_a_store_that_fails() -> None:
    corrupt = {"ok": False, "code": "STORE-CORRUPT", "error": "1 blob", "corrupt": ["sha256:1"]}
    found = differences.not_copied(StoreAnswer(corrupt, ()))
    assert isinstance(found, VerifyFailed)
    assert found.details == ("sha256:1",)
    assert found.state
    full = {"ok": False, "code": "STORE-IO", "error": "directory /x: a: No space left on device"}
    failed = differences.not_copied(StoreAnswer(full, ()))
    assert not isinstance(failed, VerifyFailed)
    assert "damaged" not in (failed.hint or "")


class Person(Recorder):
    """Somebody at a terminal."""

    interactive = True

    def __init__(self, answer: bool) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []

    def confirm(self, question: str) -> bool:
        self.asked.append(question)
        return self.answer


@pytest.mark.parametrize(("tags", "asked"), [(3, ["Erase 3 tags in directory /srv/images?"]), (0, [])])
@pytest.mark.parametrize("answer", [True, False])
def test_a_person_is_asked_before_tags_are_erased_and_may_say_no(
    answer: bool, tags: int, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"tags": tags, "repositories": 1, "blobs": 1, "bytes": 1}
    actions: list[str] = []

    def on_stores(*args: Any, **_: Any) -> StoreAnswer:
        actions.append(args[3])
        return StoreAnswer({"ok": True, "new": held}, ())

    monkeypatch.setattr(switch, "on_stores", on_stores)
    person = Person(answer)
    before = a_cluster()
    plan = Switch(before, replace(before, storage=OTHER), Policy.EMPTY, {})
    switching = switch.Switching(None, person, plan, asks=True)  # type: ignore[arg-type]
    if tags and not answer:
        with pytest.raises(WrongState) as caught:
            switching.check(OTHER, ours=False)
        assert caught.value.code == "NOT-CONFIRMED"
    else:
        switching.check(OTHER, ours=False)
    assert (person.asked, actions) == (asked, ["peek"])
