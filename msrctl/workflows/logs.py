"""`msrctl logs`: what the services of the cluster wrote, from every node, by time."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, timedelta
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from msrctl.engine import clock
from msrctl.engine.logstream import ENGINE_STREAM
from msrctl.engine.protocol import NotFound
from msrctl.errors import MsrctlError, Unreachable, WrongState
from msrctl.model import names
from msrctl.model.results import LogLine, LogsResult
from msrctl.workflows.session import open_engine, require_deployment, require_replica

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msrctl.engine.docker import DockerEngine
    from msrctl.engine.logstream import Record
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster
    from msrctl.model.requests import LogsRequest
    from msrctl.workflows.reporter import Reporter

AT_ONCE = 8
"""Logs that are read at the same time: one that does not come must not keep the others away."""
AGAIN_SECONDS = 1.0
OVERLAP_SECONDS = 5.0
"""Lines of several tasks may come a little out of order, so what is asked for again reaches back so far."""


@dataclass(frozen=True)
class Source:
    """The log of one component of one replica.

    Arguments:
        trouble: why it cannot be had, as far as that is known without asking; "": ask.
    """

    replica_id: str
    component: str
    node: str
    trouble: str = ""

    @property
    def service(self) -> str:
        """The service whose log it is."""
        return names.service(self.component, self.replica_id)

    def line(self, record: Record) -> LogLine:
        """A line of it."""
        return LogLine(record.time, self.replica_id, self.component, self.node, record.stream, record.text)


def logs(request: LogsRequest, report: Reporter) -> LogsResult:
    """Lines of all services that were asked for.

    Raises:
        WrongState: nothing is installed; there is no such replica; the logs are elsewhere (LOGS-ELSEWHERE).
        Unreachable: not one log could be read (LOGS-UNREADABLE).
    """
    with contextlib.closing(open_engine(request.common)) as engine:
        sources = _sources(engine, request)
        with report.step("logs", f"reading {len(sources)} log(s)"):
            lines, troubles = gather(engine, sources, tail=request.tail, since=_since(engine, request))
    if troubles and len(troubles) == len(sources) and not lines:
        raise Unreachable(
            "no log could be read",
            code="LOGS-UNREADABLE",
            details=tuple(troubles),
            hint="docker node ls shows which nodes answer; on a node itself docker logs still has them.",
        )
    return LogsResult(tuple(lines), tuple(troubles))


def follow(request: LogsRequest, report: Reporter) -> Iterator[LogLine]:
    """The same, then lines as they come, without end; a connection that is cut is made again.

    Raises:
        WrongState: likewise.
    """
    engine = open_engine(request.common)
    sources = _sources(engine, request)
    began = _stamp(engine)
    lines, troubles = gather(engine, sources, tail=request.tail, since=_since(engine, request))
    for trouble in troubles:
        report.warn(trouble)
    yield from lines
    came: SimpleQueue[LogLine | str] = SimpleQueue()
    over = Event()
    for source in sources:
        seen = [line for line in lines if (line.replica_id, line.component) == _key(source)]
        arguments = (engine.clone(), source, began, seen, came, over)
        Thread(target=_follow_one, args=arguments, name=f"log-{source.service}", daemon=True).start()
    told = set(troubles)
    try:
        while True:
            one = came.get()
            if isinstance(one, LogLine):
                yield one
            elif one not in told:
                told.add(one)
                report.warn(one)
    finally:
        over.set()


def gather(
    engine: Engine, sources: Sequence[Source], *, tail: int | None, since: str
) -> tuple[list[LogLine], list[str]]:
    """Lines of several logs by time, and why others cannot be had.

    Arguments:
        engine: any manager; clones of it read.
        sources: which logs.
        tail: the last so many lines of each; None: all.
        since: not what is older, RFC 3339 in UTC; "": all.
    """

    def read(source: Source) -> tuple[list[LogLine], str]:
        if source.trouble:
            return [], source.trouble
        try:
            with contextlib.closing(engine.clone()) as own:
                records = list(own.records(source.service, tail=tail, since=since))
        except NotFound:
            return [], f"{source.service} has no log: there is no such service"
        except MsrctlError as error:
            return [], _failed(source, error)
        own_words = [_reason(record.text) for record in records if record.stream == ENGINE_STREAM]
        lines = [source.line(record) for record in records if record.stream != ENGINE_STREAM]
        # The engine's `tail` is for each task, and a service has had several.
        lines = lines if tail is None else lines[max(0, len(lines) - tail) :]
        return lines, _unreadable(source, "; ".join(own_words)) if own_words else ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(read, sources))
    lines = sorted((line for some, _ in found for line in some), key=lambda line: line.time)
    return lines, [trouble for _, trouble in found if trouble]


def sources_of(engine: Engine, cluster: Cluster) -> list[Source]:
    """All logs that there are of a cluster; those of nodes that are away have their trouble with them.

    Raises:
        WrongState: they are not in the engines (LOGS-ELSEWHERE).
    """
    settings = cluster.settings
    if settings.log_protocol != "internal":
        raise WrongState(
            f"the logs are not in the engines: the services send them to "
            f"{settings.log_protocol}://{settings.log_host} (syslog)",
            code="LOGS-ELSEWHERE",
            state="Nothing was changed.",
            hint="Look there, for the tags dtr-nginx-<replica> and dtr-registry-<replica>. "
            "msrctl reconfigure --log-protocol internal keeps what comes from then on in the engines.",
        )
    states = {node["ID"]: node["Status"]["State"] for node in engine.nodes()}
    found = []
    for replica in cluster.replicas:
        state = states.get(replica.node_id, "not in the swarm")
        for component in names.COMPONENTS:
            source = Source(replica.id, component, replica.node_name)
            trouble = "" if state == "ready" else f"node {replica.node_name} is {state}"
            trouble = _unreadable(source, trouble) if trouble else ""
            found.append(Source(replica.id, component, replica.node_name, trouble))
    return found


def _sources(engine: DockerEngine, request: LogsRequest) -> list[Source]:
    cluster = require_deployment(engine).cluster
    if request.replica_id:
        require_replica(cluster, request.replica_id)
    return [
        source
        for source in sources_of(engine, cluster)
        if request.replica_id in {None, source.replica_id} and request.component in {None, source.component}
    ]


def _since(engine: Engine, request: LogsRequest) -> str:
    if isinstance(request.since, str):
        return request.since
    return _stamp(engine, before=request.since) if request.since is not None else ""


def _stamp(engine: Engine, *, before: float = 0.0) -> str:
    """The engine's time some seconds ago, as logs have it."""
    moment = clock.now(engine).astimezone(UTC) - timedelta(seconds=before)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _unreadable(source: Source, why: str) -> str:
    return f"the log of {source.service} on {source.node} cannot be read: {why}"


def _reason(said: str) -> str:
    """What the engine says about a log, without what stands before it (swarmkit, manager/logbroker)."""
    return said.rpartition("could not be retrieved for the following reasons: ")[2]


def _failed(source: Source, error: MsrctlError) -> str:
    # The manager answers the other requests: it is the node's part that did not come.
    silent = isinstance(error, Unreachable) and error.code == "NO-ENGINE"
    return _unreadable(source, "the node did not send it in time" if silent else str(error))


def _key(source: Source) -> tuple[str, str]:
    return source.replica_id, source.component


def _follow_one(
    engine: Engine,
    source: Source,
    began: str,
    seen: list[LogLine],
    came: SimpleQueue[LogLine | str],
    over: Event,
) -> None:
    """Runs in a thread until `over`: lines of one log that were not told yet, and troubles."""
    known = dict.fromkeys(seen)
    first, newest = (seen[0].time, seen[-1].time) if seen else (began, began)
    while not over.wait(AGAIN_SECONDS):
        try:
            for record in engine.records(source.service, since=_earlier(newest), follow=True):
                line = source.line(record)
                if record.stream == ENGINE_STREAM:
                    came.put(_unreadable(source, _reason(record.text)))
                elif line.time >= first and line not in known:
                    known[line] = None
                    newest = max(newest, line.time)
                    came.put(line)
        except MsrctlError as error:
            came.put(_failed(source, error))
        oldest = _earlier(newest)
        known = {line: None for line in known if line.time >= oldest}
    engine.close()


def _earlier(stamp: str) -> str:
    """A log's time a little earlier."""
    return (clock.moment(stamp) - timedelta(seconds=OVERLAP_SECONDS)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
