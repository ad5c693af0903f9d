"""A task on stores is heard as long as they answer, and goes silent with them."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from plan_support import a_cluster

from msrctl.errors import Unreachable
from msrctl.model.cluster import Storage
from msrctl.transfer.files import FileStore
from msrctl.transfer.pulse import Pulse, Watched
from msrctl.workflows import stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NFS = Storage("nfs", {"host": "nas", "export": "/images", "version": "4.2"}, store_id="s1")


def heard(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_it_is_heard_while_a_store_answers_and_not_when_it_hangs(capsys: pytest.CaptureFixture[str]) -> None:
    pulse = Pulse()
    with pulse.printed(0.02):
        for _ in range(10):
            pulse.beat()
            time.sleep(0.02)
        time.sleep(0.1)
        alive = heard(capsys)
        time.sleep(0.1)
        silent = heard(capsys)
    assert len(alive) >= 3
    assert {line["type"] for line in alive} == {"alive"}
    assert silent == []


def test_a_line_that_tells_more_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    pulse = Pulse()
    with pulse.printed(0.05):
        for _ in range(20):
            pulse.beat()
            pulse.say({"type": "progress"})
            time.sleep(0.01)
    assert {line["type"] for line in heard(capsys)} == {"progress"}


def test_every_answer_of_a_store_counts_and_nothing_else_changes(tmp_path: Path) -> None:
    pulse = Pulse()
    plain = FileStore(tmp_path, "directory /srv/images")
    store = Watched(plain, pulse)
    assert (store.words, store.concurrency) == (plain.words, plain.concurrency)
    counts = [0]

    def grown() -> bool:
        counts.append(pulse.count)
        return counts[-1] > counts[-2]

    store.write("docker/registry/v2/blobs/a", (b"12", b"34"), 4)
    assert grown()
    assert store.read("docker/registry/v2/blobs/a") == b"1234"
    assert grown()
    assert store.size("docker/registry/v2/blobs/a") == 4
    assert grown()
    assert b"".join(store.stream("docker/registry/v2/blobs/a")) == b"1234"
    assert grown()
    assert all(answer["ok"] for answer in store.probe())
    assert grown()
    assert list(store.list("docker")) == list(plain.list("docker"))
    assert grown()
    store.delete(["docker/registry/v2/blobs/a"])
    assert grown()
    assert store.size("docker/registry/v2/blobs/a") is None
    with pytest.raises(KeyError):
        store.read("not there")


def test_a_write_that_waits_for_its_bytes_is_silent_too(tmp_path: Path) -> None:
    pulse, go = Pulse(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"1"
        go.wait(10)
        yield b"2"

    writer = threading.Thread(target=Watched(FileStore(tmp_path), pulse).write, args=("a", chunks(), 2))
    writer.start()
    while pulse.count < 1:
        time.sleep(0.01)
    time.sleep(0.05)
    assert pulse.count == 1
    go.set()
    writer.join(10)
    assert pulse.count == 3


def test_a_task_that_went_silent_is_told_as_the_stores_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def stalled(*_: Any, **options: Any) -> None:
        given.update(options)
        raise Unreachable("a one-shot has done nothing for 20 s", code="ONESHOT-STALLED")

    monkeypatch.setattr(stores, "run_oneshot", stalled)
    monkeypatch.setattr(stores, "passing_configs", lambda *_: stores.contextlib.nullcontext([]))
    cluster = a_cluster()
    with pytest.raises(Unreachable) as error:
        stores.on_stores(
            None,  # type: ignore[arg-type]
            cluster.replicas[0],
            cluster,
            "compare",
            new=stores.Side(Storage("bind", {"path": "/srv/new"})),
            old=stores.Side(NFS),
            stall=20.0,
        )
    assert given["stall"] == 20.0
    assert error.value.code == "STORE-STALLED"
    assert "directory /srv/new and nfs://nas/images" in str(error.value)
    assert "20 s" in str(error.value)
    assert "--max-wait" in (error.value.hint or "")
