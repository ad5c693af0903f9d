"""Journal, cluster document and secrets keep what they are given, up to the sizes that they promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from msrctl.engine.journal import LABELS_LIMIT, Journal, JournalHeader
from msrctl.engine.state import DOCUMENT_LIMIT, SECRET_LIMIT, StateStore
from msrctl.errors import WrongState
from msrctl.model import names
from msrctl.secret import Secret
from msrctl.workflows.execute import secret_body

if TYPE_CHECKING:
    from subjects import Subject

    from msrctl.engine.protocol import JSON

CLUSTER = "c0ffee000000"
HEADER = JournalHeader("install", "msrctl install", "root@node-1", CLUSTER, steps=("a", "b"))


def test_a_journal_is_found_by_another_connection_and_guards_itself(subject: Subject) -> None:
    journal = Journal.create(subject.engine, HEADER)
    undo: JSON = {"op": "restore", "kind": "services", "name": "s", "spec": {"Labels": {"ü": "\n"}}}
    journal.begin(0, [undo])
    journal.done(0)
    journal.begin(1)
    other = subject.engine.clone()
    found = Journal.open(other)
    assert found is not None
    assert found.header == HEADER
    assert [tuple(entry) for entry in found.begun()] == [(1, "begun", []), (0, "done", [undo])]
    with pytest.raises(WrongState):
        Journal.create(other, HEADER)
    found.close()
    assert Journal.open(subject.engine) is None
    other.close()


def test_a_journal_takes_as_much_undo_as_it_promises(subject: Subject) -> None:
    journal = Journal.create(subject.engine, HEADER)
    record: JSON = {"op": "restore", "spec": "x" * 20_000}
    steps = LABELS_LIMIT // 20_200
    for step in range(steps):
        journal.begin(step, [{**record, "name": str(step)}])
    entries = journal.begun()
    assert len(entries) == steps
    assert all(entry.undo[0]["spec"] == record["spec"] for entry in entries)


def test_a_document_and_a_secret_may_have_the_size_that_is_promised(subject: Subject) -> None:
    store = StateStore(subject.engine)
    document = {"x": "y" * (DOCUMENT_LIMIT - 20)}
    written = store.write(document, 1, cluster=CLUSTER)
    assert store.read() == written
    assert written.document == document
    labels = names.labels(CLUSTER, "0.1.0", component="secret")
    secret = Secret(b"k" * (SECRET_LIMIT - 1))
    subject.engine.create("secrets", secret_body("msrctl-tls", secret, labels))
    assert store.sweep_secrets(CLUSTER) == ["msrctl-tls"]


def test_documents_are_kept_by_generation_and_pruned(subject: Subject) -> None:
    store = StateStore(subject.engine)
    for generation in (1, 2, 3):
        store.write({"n": generation}, generation, cluster=CLUSTER)
    assert store.prune() == [f"msrctl-state-1-{names.digest_of({'n': 1})}"]
    newest, previous = store.read(), store.previous()
    assert newest is not None
    assert previous is not None
    assert (newest.generation, previous.generation) == (3, 2)
    with pytest.raises(WrongState):
        store.write({"n": "other"}, 3, cluster=CLUSTER)
    assert store.read() == newest
