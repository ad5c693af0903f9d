"""The cluster document and the secrets, kept in the swarm: configs named by generation and content hash."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msrctl
from msrctl.engine.protocol import JSON, Conflict, Engine
from msrctl.errors import MsrctlError, WrongState
from msrctl.model import names

if TYPE_CHECKING:
    from collections.abc import Collection

# Swarm's limits (reference: moby/swarmkit api/validation): a config has less than 1,000 kB, a secret 500 kB.
DOCUMENT_LIMIT = 1_000_000
SECRET_LIMIT = 500_000


@dataclass(frozen=True)
class StoredDocument:
    """One generation of the cluster document.

    Arguments:
        ident: id of the config.
        name: its name; journals refer to documents by it.
        generation: counts up from 1.
        cluster: the cluster's id.
        created: when it was written, by the engine's clock, ISO 8601.
        document: the document.
    """

    ident: str
    name: str
    generation: int
    cluster: str
    created: str
    document: JSON


class StateStore:
    """Reads and writes cluster documents and secrets in the swarm of an engine. Write only under the lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> StoredDocument | None:
        """The newest document; None if nothing is installed.

        Raises:
            WrongState: documents of two clusters are there (TWO-CLUSTERS), or the newest one is not what its
                name says (STATE-DAMAGED).
        """
        found = self._configs()
        return _stored(found[0]) if found else None

    def previous(self) -> StoredDocument | None:
        """The document before the newest one, if it is still kept."""
        found = self._configs()
        return _stored(found[1]) if len(found) > 1 else None

    def get(self, name: str) -> StoredDocument | None:
        """The document in the config of this name, if it is still kept."""
        found = self._engine.find("configs", name)
        return _stored(found) if found else None

    def write(self, document: JSON, generation: int, *, cluster: str) -> StoredDocument:
        """Writes a new generation; the ones before stay until `prune`.

        Writing the same document for the same generation again is no error: it is what happened.

        Arguments:
            document: JSON data, without secrets.
            generation: one more than that of the newest document.
            cluster: the cluster's id.

        Raises:
            WrongState: somebody else wrote this generation, or a later one (code STATE-CHANGED).
        """
        data = _canonical(document)
        if len(data) >= DOCUMENT_LIMIT:
            raise MsrctlError(
                f"the cluster document has {len(data):,} bytes; the limit is {DOCUMENT_LIMIT:,}"
            )
        name = document_name(document, generation)
        self._refuse_if_changed(generation, name)
        labels = names.labels(cluster, msrctl.__version__, component="document")
        spec = {
            "Name": name,
            "Labels": {**labels, names.LABEL_GENERATION: str(generation)},
            "Data": base64.b64encode(data).decode(),
        }
        try:
            ident = self._engine.create("configs", spec)
        except Conflict:
            ident = ""
        try:
            # Another content has another name, so the engine cannot refuse it: look who came first.
            self._refuse_if_changed(generation, name)
        except WrongState:
            self._engine.remove("configs", ident or name)
            raise
        written = self.get(name)
        if written is None:
            raise _changed(generation)
        return written

    def prune(self, keep: int = 2) -> list[str]:
        """Removes all documents but the newest `keep`; returns the names of those removed."""
        removed = []
        for found in self._configs()[keep:]:
            self._engine.remove("configs", found["ID"])
            removed.append(str(found["Spec"]["Name"]))
        return removed

    def sweep_secrets(self, cluster: str, keep: Collection[str] = ()) -> list[str]:
        """Removes the cluster's secrets that no service uses and nobody wants to keep.

        Arguments:
            cluster: the cluster's id.
            keep: names that the cluster document (or the one before) refers to.

        Returns:
            The names of those removed.
        """
        wanted = {names.LABEL_CLUSTER: cluster, names.LABEL_COMPONENT: "secret"}
        removed = []
        for found in self._engine.list("secrets", wanted):
            name = str(found["Spec"]["Name"])
            if name not in keep and self._removed_unless_used(found["ID"]):
                removed.append(name)
        return removed

    def _removed_unless_used(self, ident: str) -> bool:
        try:
            return self._engine.remove("secrets", ident)
        except Conflict:
            return False

    def _configs(self) -> list[JSON]:
        """Configs with documents, the newest generation first; the first writer's first within one."""
        found = self._engine.list("configs", {names.LABEL_COMPONENT: "document"})
        clusters = sorted({str(config["Spec"]["Labels"].get(names.LABEL_CLUSTER)) for config in found})
        if len(clusters) > 1:
            raise WrongState(
                f"documents of {len(clusters)} clusters are in this swarm: {', '.join(clusters)}",
                code="TWO-CLUSTERS",
                hint="msrctl works with one cluster in a swarm. Remove the configs of the one not wanted: "
                "docker config ls --filter label=io.msrctl.component=document",
            )
        return sorted(found, key=lambda config: (-_generation(config), config["Version"]["Index"]))

    def _refuse_if_changed(self, generation: int, name: str) -> None:
        """Raises unless the newest generation is older than this one, or is this one under this name."""
        newest = next(iter(self._configs()), None)
        if newest is None or _generation(newest) < generation:
            return
        if _generation(newest) > generation or newest["Spec"]["Name"] != name:
            raise _changed(generation)


def document_name(document: JSON, generation: int) -> str:
    """Name of the config that holds a document: a journal must know it before the document is written."""
    return f"msrctl-state-{generation}-{names.digest_of(_canonical(document))}"


def _generation(config: JSON) -> int:
    return int(config["Spec"]["Labels"].get(names.LABEL_GENERATION, "0"))


def _canonical(document: JSON) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _stored(config: JSON) -> StoredDocument:
    name = str(config["Spec"]["Name"])
    data = base64.b64decode(config["Spec"].get("Data", ""))
    if name.rpartition("-")[2] != names.digest_of(data):
        raise WrongState(
            f"config {name} does not hold what its name says",
            code="STATE-DAMAGED",
            hint="It was not written by msrctl. Remove it if an older one is there (docker config ls).",
        )
    return StoredDocument(
        ident=config["ID"],
        name=name,
        generation=_generation(config),
        cluster=str(config["Spec"]["Labels"].get(names.LABEL_CLUSTER)),
        created=config["CreatedAt"],
        document=json.loads(data),
    )


def _changed(generation: int) -> WrongState:
    return WrongState(
        f"somebody else has written generation {generation} of the cluster document",
        code="STATE-CHANGED",
        hint="Run the command again: it will start from what is there now.",
    )
