"""Everything that can be checked before anything is changed; all that fails is told at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msrctl.engine.oneshot import run_oneshot
from msrctl.errors import MsrctlError, PreflightFailed
from msrctl.model import names
from msrctl.storage.backend import STORE
from msrctl.storage.nfs_probe.explain import explain_mount_error
from msrctl.storage.nfs_probe.report import NfsReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Replica
    from msrctl.storage.backend import Backend
    from msrctl.storage.nfs import NfsBackend
    from msrctl.workflows.swarm import Node

NOTHING = "Nothing was changed."


@dataclass(frozen=True)
class Check:
    """One check: what it was about, whether it passed, what was seen, and what to do if it failed."""

    title: str
    ok: bool
    detail: str = ""
    code: str = "PREFLIGHT"
    hint: str = ""


@dataclass(frozen=True)
class Image:
    """An image on the endpoint's engine."""

    id: str
    reference: str
    version: str


def image_of(replica: Replica) -> Image:
    """The image that a replica runs."""
    return Image(replica.image, replica.image_reference, replica.version)


def find_image(engine: Engine, reference: str, *, default_version: str) -> Image:
    """The image by name or id.

    Raises:
        PreflightFailed: PRE-IMAGE.
    """
    found = engine.image(reference)
    if found is None:
        raise PreflightFailed(
            f"image {reference} is not on the engine at {engine.endpoint}",
            code="PRE-IMAGE",
            state=NOTHING,
            hint="Make it there with msrctl images build, or bring it with msrctl images load FILE.",
        )
    labels = (found.get("Config") or {}).get("Labels") or {}
    return Image(found["Id"], reference, labels.get(names.LABEL_VERSION, default_version))


def check_node(
    engine: Engine,
    *,
    node: Node,
    image: Image,
    ports: Sequence[int] = (),
    store: Backend | None = None,
    replica: str = "",
    timeout: float = 60.0,
) -> list[Check]:
    """Ports and store as the node itself sees them, by a one-shot there.

    Arguments:
        engine: a manager.
        node: where.
        image: what to run.
        ports: host ports that must be free.
        store: a store to try, mounted as the replica will mount it.
        replica: the replica's id.
        timeout: seconds for the whole one-shot.
    """
    args = ["node", "check", *(part for port in ports for part in ("--port", str(port)))]
    mounts: list[dict[str, Any]] = []
    if store:
        args += ["--storage", STORE]
        if mount := store.trial_mount():
            mounts.append(mount)
    try:
        result = run_oneshot(
            engine,
            image_id=image.id,
            node_id=node.id,
            args=args,
            mounts=mounts,
            networks=["host"],
            labels={},
            timeout=timeout,
            wait_gone=False,
        )
    except MsrctlError as error:
        raise explain(error, node, image, store, replica) from error
    if result.task_error and not result.lines:
        raise explain(MsrctlError(result.task_error), node, image, store, replica)
    checks = [_port_check(line, node) for line in result.lines if line["check"] == "port"]
    words = store.words(replica) if store else ""
    checks += [store_check(line, node, words) for line in result.lines if line["check"] == "storage"]
    return checks


def check_nfs(
    engine: Engine, *, node: Node, image: Image, store: NfsBackend
) -> tuple[list[Check], NfsBackend]:
    """An NFS export as a node sees it, without a mount; and the store with the version to mount.

    Arguments:
        engine: a manager.
        node: where.
        image: what to run.
        store: the export.
    """
    args = ["node", "nfs-probe", store.host, store.export, "--port", str(store.port)]
    args += [part for version in store.versions for part in ("--version", version)]
    result = run_oneshot(
        engine,
        image_id=image.id,
        node_id=node.id,
        args=args,
        networks=["host"],
        labels={},
        timeout=60.0,
        user="0:0",  # a reserved port, as the kernel's client uses one
        wait_gone=False,
    )
    if not result.lines:
        raise explain(MsrctlError(f"the NFS probe gave no answer: {result.why}"), node, image, None, "")
    report = NfsReport.from_json(result.lines[-1])
    checks = [Check(f"{c.title} ({node.name})", c.ok, c.detail, c.code, c.hint) for c in report.checks]
    return checks, store.with_version(report.version) if report.version else store


def _port_check(line: dict[str, Any], node: Node) -> Check:
    port = line["port"]
    if line["ok"]:
        return Check(f"port {port} on {node.name}", ok=True, detail="free")
    return Check(
        f"port {port} on {node.name}",
        ok=False,
        detail=f"cannot be used: {line['reason'].lower()}",
        code="PRE-PORT",
        hint=f"Stop what uses it (ss -ltnp 'sport = :{port}' on {node.name}), or take another port with "
        "--replica-http-port or --replica-https-port.",
    )


def store_check(line: dict[str, Any], node: Node, words: str) -> Check:
    """One answer of a store's probe as a check.

    Arguments:
        line: title, ok, detail, and for a failure code and hint.
        node: where it was asked.
        words: the store, for people.
    """
    return Check(
        f"{words} on {node.name}" + ("" if line["ok"] else ":"),
        ok=line["ok"],
        detail=line["detail"],
        code=line.get("code", ""),
        hint=line.get("hint", ""),
    )


def failed_store(result: dict[str, Any], node: Node, words: str) -> Check:
    """A store that could not even be probed."""
    return Check(
        f"{words} on {node.name}:",
        ok=False,
        detail=str(result.get("error", "cannot be used")),
        code=str(result.get("code", "PRE-STORAGE")),
        hint="Look at the store and at what the options say about it.",
    )


def explain(error: MsrctlError, node: Node, image: Image, store: Backend | None, replica: str) -> MsrctlError:
    """What a one-shot that did not even start means, as the error to tell.

    Arguments:
        error: what came of it.
        node: where it should have run.
        image: what it should have run.
        store: the store that was mounted, if any.
        replica: the replica's id.
    """
    text = str(error)
    if "No such image" in text:
        return PreflightFailed(
            f"image {image.reference} is not on node {node.name}",
            code="PRE-IMAGE",
            state=NOTHING,
            hint=f"msrctl images save FILE here, and msrctl images load FILE on {node.name}.",
        )
    explained = explain_mount_error(text)
    if explained:
        return PreflightFailed(
            f"{explained.message} (node {node.name})", code=explained.code, state=NOTHING, hint=explained.hint
        )
    if store and ("bind source path does not exist" in text or "invalid mount config" in text):
        return PreflightFailed(
            f"{store.words(replica)} does not exist on node {node.name}",
            code="PRE-STORAGE",
            state=NOTHING,
            hint="Make the directory on that node, or name another one with --dtr-storage-volume.",
        )
    return error


def require(checks: Iterable[Check]) -> tuple[Check, ...]:
    """All checks, if all passed.

    Raises:
        PreflightFailed: with every check that failed, each with its remedy.
    """
    checks = tuple(checks)
    failed = [c for c in checks if not c.ok]
    if not failed:
        return checks
    first = failed[0]
    if len(failed) == 1:
        raise PreflightFailed(
            f"{first.title} {first.detail}", code=first.code, state=NOTHING, hint=first.hint
        )
    raise PreflightFailed(
        f"{len(failed)} of {len(checks)} checks failed",
        code=first.code,
        state=NOTHING,
        hint="Mend what is listed, then run this again.",
        details=tuple(f"{c.title} {c.detail} ({c.code}). {c.hint}" for c in failed),
    )
