"""A status in Prometheus' text format, for a textfile collector: numbers by name, no secret among them.

Written by hand: the format is two comment lines and three characters to escape
(https://prometheus.io/docs/instrumenting/exposition_formats/). The project's library would bring servers,
multi-process files and a second way to keep numbers into the image, for one function of it; it reads what is
written here in a check by hand. Bytes of the store are not here: to count them every file is looked at, which
`msrctl storage usage` does.
"""

# Imports inside functions keep `msrctl --help` fast.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from msrctl import __version__
from msrctl.model.results import StatusResult

TASK_RUNS = "running"
ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass
class Gauge:
    """One number, or one for each set of labels.

    Arguments:
        name: of the metric.
        words: what it is, on one line.
        samples: labels with their value.
    """

    name: str
    words: str
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)

    def add(self, labels: dict[str, str], value: float) -> None:
        """One more sample."""
        self.samples.append((labels, float(value)))

    def lines(self) -> Iterator[str]:
        """As scrapers read it."""
        yield f"# HELP {self.name} {self.words}"
        yield f"# TYPE {self.name} gauge"
        for labels, value in self.samples:
            inner = ",".join(f'{key}="{text.translate(ESCAPED)}"' for key, text in labels.items())
            number = int(value) if value.is_integer() else value
            yield f"{self.name}{{{inner}}} {number}" if inner else f"{self.name} {number}"


def text(result: StatusResult) -> str:
    """All gauges of a status, ending without a line break."""
    return "\n".join(line for gauge in _gauges(result) for line in gauge.lines())


def _gauges(result: StatusResult) -> Iterator[Gauge]:
    yield _one("msrctl_installed", "Whether a registry is installed in this swarm.", result.installed)
    yield _one("msrctl_healthy", "Whether all is well: msrctl status ends with 0.", result.healthy)
    yield _one("msrctl_interrupted", "Whether a change was interrupted.", bool(result.interrupted))
    yield _one("msrctl_lock_held", "Whether a msrctl is at work.", result.lock is not None)
    yield _one("msrctl_lock_age_seconds", "Time since the lock was taken; 0: nobody has it.", result.lock_age)
    yield _one(
        "msrctl_info",
        "What runs; the value is always 1.",
        1,
        {
            "msrctl": __version__,
            "cluster": result.cluster_id,
            "version": result.version,
            "url": result.url,
            "storage": result.storage,
        },
    )
    if not result.installed:
        return
    yield _one(
        "msrctl_generation", "Number of the cluster document, which every change raises.", result.generation
    )
    yield _one("msrctl_read_only", "Whether pushes are refused.", result.read_only)
    if result.certificate_expires:
        expires = datetime.fromisoformat(result.certificate_expires).timestamp()
        yield _one(
            "msrctl_certificate_expiry_timestamp_seconds", "When the certificate ends, Unix time.", expires
        )
    yield from _replicas(result)


def _replicas(result: StatusResult) -> Iterator[Gauge]:
    healthy = Gauge("msrctl_replica_healthy", "Whether a replica is as it should be.")
    info = Gauge("msrctl_replica_info", "What a replica runs; always 1.")
    drift = Gauge("msrctl_drift", "Things that are not as msrctl made them; no replica: of no single one.")
    component = Gauge("msrctl_component_healthy", "Whether a component answers as it should.")
    running = Gauge("msrctl_component_running", "Whether its task runs, by the swarm.")
    drift.add({"replica": "", "node": ""}, len(result.drift))
    for replica in result.replicas:
        place = {"replica": replica.replica_id, "node": replica.node}
        healthy.add(place, replica.healthy)
        info.add({**place, "version": replica.version}, 1)
        drift.add(place, len(replica.drift))
        for part in replica.components:
            labels = {**place, "component": part.component}
            component.add(labels, part.healthy)
            running.add(labels, part.task_state == TASK_RUNS)
    yield from (healthy, info, drift, component, running)


def _one(name: str, words: str, value: float | None, labels: dict[str, str] | None = None) -> Gauge:
    return Gauge(name, words, [(labels or {}, float(value or 0))])
