"""The cluster document and the secrets in the swarm; on the fake engine."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from fakes.engine import FakeEngine
from msrctl.engine.state import StateStore
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names
from msrctl.secret import Secret
from msrctl.workflows.execute import secret_body

if TYPE_CHECKING:
    from msrctl.engine.protocol import JSON

CLUSTER = "c0ffee000000"
DOCUMENT: JSON = {"schema": 1, "replicas": [{"id": "5f0c2a9be417"}]}
OTHER: JSON = {"schema": 1, "replicas": []}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def store(engine: FakeEngine) -> StateStore:
    return StateStore(engine)


def test_nothing_is_there_before_an_install(store: StateStore) -> None:
    assert store.read() is None
    assert store.previous() is None


def test_what_was_written_is_read_by_another(engine: FakeEngine, store: StateStore) -> None:
    written = store.write(DOCUMENT, 1, cluster=CLUSTER)
    found = StateStore(engine.clone()).read()
    assert found == written
    assert found.document == DOCUMENT
    assert (found.generation, found.cluster) == (1, CLUSTER)
    assert found.name == f"msrctl-state-1-{names.digest_of(DOCUMENT)}"
    assert engine.list("configs", {names.LABEL_COMPONENT: "document", names.LABEL_CLUSTER: CLUSTER})


def test_the_highest_generation_counts_and_older_ones_are_kept_until_pruned(store: StateStore) -> None:
    for generation in range(1, 12):
        store.write({"n": generation}, generation, cluster=CLUSTER)
    newest, previous = store.read(), store.previous()
    assert newest is not None
    assert previous is not None
    assert (newest.document, previous.document) == ({"n": 11}, {"n": 10})
    assert store.get(previous.name) == previous
    assert len(store.prune()) == 9
    assert store.read() == newest
    assert store.previous() == previous
    assert len(store.prune(keep=0)) == 2
    assert store.read() is None


def test_the_same_document_twice_for_one_generation_is_no_error(store: StateStore) -> None:
    assert store.write(DOCUMENT, 1, cluster=CLUSTER) == store.write(DOCUMENT, 1, cluster=CLUSTER)


@pytest.mark.parametrize("generation", [1, 2])
def test_a_generation_that_somebody_else_wrote_is_refused(store: StateStore, generation: int) -> None:
    kept = store.write(DOCUMENT, 2, cluster=CLUSTER)
    with pytest.raises(WrongState) as caught:
        store.write(OTHER, generation, cluster=CLUSTER)
    assert caught.value.code == "STATE-CHANGED"
    assert store.read() == kept
    assert store.previous() is None


def test_of_two_writers_at_the_same_moment_the_first_wins(engine: FakeEngine, store: StateStore) -> None:
    both: list[str] = []

    def meanwhile(verb: str, kind: str, name: str) -> None:
        if verb == "create" and not both:
            both.append(name)
            StateStore(engine.clone()).write(DOCUMENT, 1, cluster=CLUSTER)

    engine.swarm.before = meanwhile
    with pytest.raises(WrongState) as caught:
        store.write(OTHER, 1, cluster=CLUSTER)
    assert caught.value.code == "STATE-CHANGED"
    found = store.read()
    assert found is not None
    assert found.document == DOCUMENT
    assert store.previous() is None


def test_two_clusters_in_one_swarm_are_told(store: StateStore) -> None:
    store.write(DOCUMENT, 1, cluster=CLUSTER)
    with pytest.raises(WrongState) as caught:
        store.write(OTHER, 2, cluster="deadbeef0000")
    assert caught.value.code == "TWO-CLUSTERS"
    assert store.read() is not None  # it was taken back


def test_a_document_that_is_not_what_its_name_says_is_not_trusted(
    engine: FakeEngine, store: StateStore
) -> None:
    labels = {**names.labels(CLUSTER, "1", component="document"), names.LABEL_GENERATION: "1"}
    data = base64.b64encode(b'{"forged": true}').decode()
    engine.create("configs", {"Name": "msrctl-state-1-000000000000", "Labels": labels, "Data": data})
    with pytest.raises(WrongState) as caught:
        store.read()
    assert caught.value.code == "STATE-DAMAGED"


def test_a_document_that_swarm_would_refuse_is_refused_in_words(store: StateStore) -> None:
    with pytest.raises(MsrctlError, match="1,000,000"):
        store.write({"x": "y" * 1_000_000}, 1, cluster=CLUSTER)


class TestSecrets:
    LABELS = names.labels(CLUSTER, "0.1.0", component="secret")

    def test_those_in_use_or_wanted_are_kept_by_a_sweep(self, engine: FakeEngine, store: StateStore) -> None:
        used, wanted, unused, foreign = (f"s{n}" for n in range(4))
        for name in (used, wanted, unused):
            engine.create("secrets", secret_body(name, Secret("v"), self.LABELS))
        others = names.labels("other", "1", component="secret")
        engine.create("secrets", secret_body(foreign, Secret("v"), others))
        container = {"Image": "x", "Secrets": [{"SecretName": used, "File": {"Name": "f"}}]}
        engine.create("services", {"Name": "svc", "TaskTemplate": {"ContainerSpec": container}})
        assert store.sweep_secrets(CLUSTER, keep=[wanted]) == [unused]
        assert {s["Spec"]["Name"] for s in engine.list("secrets")} == {used, wanted, foreign}
