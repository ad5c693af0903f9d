"""What goes into a support bundle: each part by itself, so that one that cannot be had spoils no other."""

from __future__ import annotations

import base64
import json
import platform
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from msrctl import __version__
from msrctl.engine import lock as locking
from msrctl.engine.journal import Journal
from msrctl.engine.observe import labels_of, name_of
from msrctl.engine.state import StateStore
from msrctl.errors import MsrctlError, words
from msrctl.model import names
from msrctl.model.cluster import Cluster
from msrctl.model.requests import StatusRequest
from msrctl.model.results import BundlePart
from msrctl.plan.desired import desired
from msrctl.workflows import logs
from msrctl.workflows.redact import Redactor
from msrctl.workflows.status import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from msrctl.engine.docker import DockerEngine
    from msrctl.engine.protocol import JSON, Kind
    from msrctl.model.requests import SupportBundleRequest

KINDS: tuple[Kind, ...] = ("services", "configs", "secrets", "networks", "volumes")


class Parts:
    """Gathers the parts, redacted; `files` and `parts` grow as they come.

    Arguments:
        engine: any manager.
        request: what was asked for.
        step: told what is being gathered.
    """

    def __init__(
        self, engine: DockerEngine, request: SupportBundleRequest, step: Callable[[str], None]
    ) -> None:
        self._engine, self._request, self._step = engine, request, step
        self._known = [request.common.endpoint.ucp_password]
        self._redactor = Redactor(self._known)
        self._cluster: Cluster | None = None
        self.files: dict[str, bytes] = {}
        self.parts: list[BundlePart] = []

    @property
    def cluster_id(self) -> str:
        """Id of the cluster, once it is known."""
        return self._cluster.id if self._cluster else ""

    def gather(self) -> None:
        """Gathers everything."""
        self._part("secrets.json", self._secret_names)
        self._part("cluster.json", self._document)
        self._part("versions.json", self._versions)
        self._part("engine.json", self._engine.info)
        self._part("nodes.json", self._engine.nodes)
        self._part("status.json", self._status)
        for kind in KINDS:
            if kind != "secrets":
                self._part(f"{kind}.json", partial(self._objects, kind))
        self._part("tasks.json", self._tasks)
        self._part("lock.json", self._lock)
        self._part("journal.json", self._journal)
        self._part("rendered", self._rendered)
        self._logs()

    def _part(self, name: str, get: Callable[[], Any]) -> None:
        self._step(name)
        try:
            found = get()
        except Exception as error:  # noqa: BLE001 - whatever keeps a part away, the others are wanted
            why = self._redactor.text(words(error))
            self.parts.append(BundlePart(name, complete=False, note=why))
            return
        for path, content in found.items() if name == "rendered" else [(name, found)]:
            self._add(path, content)
        self.parts.append(BundlePart(name, complete=True))

    def _add(self, path: str, content: Any) -> None:
        if isinstance(content, str):
            text = self._redactor.text(content)
        else:
            text = json.dumps(self._redactor.data(content), indent=2, sort_keys=True, ensure_ascii=False)
        self.files[path] = text.encode(errors="replace")

    # -- parts

    def _secret_names(self) -> list[JSON]:
        """The secrets' names and labels: the engine gives their contents to nobody."""
        found = self._objects("secrets")
        self._redactor = Redactor(self._known, {name_of(one) for one in found})
        return found

    def _document(self) -> JSON:
        stored = StateStore(self._engine).read()
        if stored is None:
            raise MsrctlError("nothing is installed in this swarm")
        self._cluster = Cluster.from_json(stored.document)
        secrets = {*self._cluster.secrets(), *(name_of(one) for one in self._engine.list("secrets"))}
        self._redactor = Redactor(self._known, secrets)
        return stored.document

    def _versions(self) -> JSON:
        return {
            "msrctl": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "endpoint": self._engine.endpoint,
            "engine": self._engine.version(),
            "cluster": self._cluster and self._cluster.version,
            "replicas": {
                r.id: {"version": r.version, "image": r.image, "registry_image": r.registry_image}
                for r in (self._cluster.replicas if self._cluster else ())
            },
        }

    def _status(self) -> JSON:
        found = look(self._engine, StatusRequest(self._request.common))
        replicas = [{**asdict(r), "healthy": r.healthy} for r in found.replicas]
        return {**asdict(found), "replicas": replicas, "healthy": found.healthy}

    def _objects(self, kind: Kind) -> list[JSON]:
        """Objects of msrctl's as the engine has them; of configs only what they are, not what is in them."""
        own = [one for one in self._engine.list(kind) if _is_own(one)]
        for one in own:
            one.get("Spec", {}).pop("Data", None)
        return own

    def _tasks(self) -> JSON:
        own = [name_of(one) for one in self._engine.list("services") if _is_own(one)]
        return {service: self._engine.tasks(service) for service in sorted(own)}

    def _lock(self) -> JSON | None:
        held = locking.status(self._engine)
        return asdict(held) if held else None

    def _journal(self) -> JSON | None:
        found = Journal.open(self._engine)
        if found is None:
            return None
        begun = [entry._asdict() for entry in found.begun()]
        return {"since": found.since, "header": asdict(found.header), "begun": begun}

    def _rendered(self) -> JSON:
        """Configurations as msrctl makes them: what the swarm has may have been changed by hand.

        In place of secrets they have the engine's templates. Whether the swarm has the same is in the name.
        """
        cluster = self._require_cluster()
        stored = {name_of(one) for one in self._engine.list("configs")}
        return {
            f"rendered/{name}{'' if name in stored else '.missing-in-the-swarm'}": _text_of(spec)
            for name, spec in desired(cluster).configs.items()
        }

    def _logs(self) -> None:
        self._step("logs")
        try:
            sources = logs.sources_of(self._engine, self._require_cluster())
        except MsrctlError as error:
            self.parts.append(BundlePart("logs", complete=False, note=self._redactor.text(str(error))))
            return
        for source in sources:
            name = f"logs/{source.replica_id}-{source.component}.log"
            lines, troubles = logs.gather(self._engine, [source], tail=self._request.tail, since="")
            # The text as a whole first: a key has many lines.
            text = self._redactor.text("\n".join(line.text for line in lines))
            stamps = [f"{line.time} {line.stream:6} " for line in lines]
            self.files[name] = "".join(_stamped(stamps, text.split("\n"))).encode(errors="replace")
            note = self._redactor.text("; ".join(troubles))
            self.parts.append(BundlePart(name, complete=not troubles, note=note))

    def _require_cluster(self) -> Cluster:
        if self._cluster is None:
            raise MsrctlError("without the cluster document it is not known what there should be")
        return self._cluster


def _stamped(stamps: list[str], lines: list[str]) -> Iterator[str]:
    """Lines with their times; where redacting joined lines, the times would be those of others."""
    same = len(stamps) == len(lines)
    for number, line in enumerate(lines):
        if line or same:
            yield f"{stamps[number] if same else ''}{line}\n"


def _is_own(found: JSON) -> bool:
    labels = labels_of(found)
    return names.LABEL_CLUSTER in labels or names.LABEL_COMPONENT in labels


def _text_of(spec: JSON) -> str:
    return base64.b64decode(spec["Data"]).decode()
