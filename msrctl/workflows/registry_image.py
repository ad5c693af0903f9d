"""Another registry than the one in msrctl's own image: `--registry-image`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msrctl.engine.oneshot import run_oneshot
from msrctl.errors import PreflightFailed
from msrctl.registry import version as versions
from msrctl.storage import backend
from msrctl.workflows import preflight, unreachable
from msrctl.workflows.swarm import nodes

if TYPE_CHECKING:
    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Storage
    from msrctl.workflows.swarm import Node

VERSION_SECONDS = 60.0


@dataclass(frozen=True)
class RegistryImage:
    """An image whose registry is run instead of msrctl's own; all None: that one."""

    id: str | None = None
    reference: str | None = None
    version: str | None = None


OWN = RegistryImage()


def find(engine: Engine, reference: str | None, node: Node, storage: Storage) -> RegistryImage:
    """The image by name or id, and the version that its registry tells when it is run on the node.

    A tag may say anything, so the program is asked: `registry --version`, in a one-shot.

    Arguments:
        engine: a manager.
        reference: the image; None or empty: msrctl's own registry.
        node: where it is to run.
        storage: the store that it must have a driver for.

    Raises:
        PreflightFailed: PRE-IMAGE: it is not there; PRE-REGISTRY-IMAGE: no registry in it runs;
            PRE-REGISTRY-VERSION: one that msrctl does not run; PRE-REGISTRY-DRIVER: msrctl's own has no
            driver for the store.
        UsageFault: it has no driver for the store.
    """
    if not reference:
        _require_own_driver(storage)
        return OWN
    found = engine.image(reference)
    if found is None:
        raise PreflightFailed(
            f"image {reference} is not on the engine at {engine.endpoint}",
            code="PRE-IMAGE",
            state=preflight.NOTHING,
            hint=f"Bring it there with docker pull {reference} or docker load; msrctl pulls no images.",
        )
    said = _version(engine, found["Id"], reference, node)
    version = versions.require_supported(versions.from_output(said), reference)
    if versions.is_3(version):
        backend(storage).driver_3(lambda parameter: parameter)  # raises if there is none
    return RegistryImage(found["Id"], reference, version)


def require_on(engine: Engine, image: str | None, node: Node) -> None:
    """Refuses a node that does not have the image of another registry, or cannot run it.

    Arguments:
        engine: a manager.
        image: its id; None: msrctl's own registry.
        node: where it is to run.

    Raises:
        PreflightFailed: PRE-IMAGE or PRE-REGISTRY-IMAGE.
    """
    if image:
        _version(engine, image, image, node)


def by_name(reference: str | None, storage: Storage | None = None) -> RegistryImage:
    """What the name alone tells, for a dry run where there is no swarm to ask; the tag, else 2.8.

    Raises:
        PreflightFailed: as `find`.
    """
    if not reference:
        _require_own_driver(storage)
        return OWN
    version = versions.from_output(reference.partition("@")[0].rpartition(":")[2]) or versions.OWN
    return RegistryImage("sha256:" + "0" * 64, reference, versions.require_supported(version, reference))


def require_driver(before: Cluster, reference: str | None, storage: Storage) -> None:
    """Refuses a store for which the registry in msrctl's own image has no driver, before the store is tried.

    Arguments:
        before: the document in force.
        reference: the image that is asked for; None: the one in force, empty: msrctl's own registry.
        storage: the store that is asked for.

    Raises:
        PreflightFailed: PRE-REGISTRY-DRIVER.
    """
    if reference == "" or (reference is None and any(r.registry_image is None for r in before.replicas)):
        _require_own_driver(storage)


def _require_own_driver(storage: Storage | None) -> None:
    if storage is None or storage.kind not in versions.NOT_IN_OWN:
        return
    raise PreflightFailed(
        f"the registry in msrctl's own image has no {storage.kind} driver",
        code="PRE-REGISTRY-DRIVER",
        state=preflight.NOTHING,
        hint="Take the registry project's own image: docker pull registry:2.8.3 on every node, then add "
        "--registry-image registry:2.8.3.",
    )


def reconfigured(
    engine: Engine, reference: str | None, before: Cluster, after: Cluster, why: list[str]
) -> Cluster:
    """The document with another registry for all replicas; `after` itself if none is asked for.

    Arguments:
        engine: a manager.
        reference: what is asked for; None: nothing, empty: msrctl's own registry again.
        before: the document in force.
        after: the one that is wanted so far; the same object if nothing else changes.
        why: takes the reason.

    Raises:
        As `find`; and Unreachable: no replica's node answers (NODE-DOWN).
    """
    if reference is None:
        return after
    known = nodes(engine)
    # What is away cannot be asked; whoever may pass it over is asked elsewhere (workflows/unreachable.py).
    away = unreachable.away(engine, after)
    gone = {one.replica.id for one in away}
    found = {
        replica.id: find(engine, reference, known[replica.node_id], after.storage)
        for replica in after.replicas
        if replica.id not in gone
    }
    if not found:
        unreachable.require(away, after, skip=False)
    like = next(iter(found.values()))
    images = [found.get(replica.id, like) for replica in after.replicas]
    replicas = [
        replace(replica, registry_image=image.id, registry_version=image.version)
        for replica, image in zip(after.replicas, images, strict=True)
    ]
    if tuple(replicas) == after.replicas:
        return after
    why.append("registry image")
    if after is before:
        return before.next_generation(replicas=tuple(replicas))
    return replace(after, replicas=tuple(replicas))


def _version(engine: Engine, ident: str, reference: str, node: Node) -> str:
    """What `registry --version` prints on the node."""
    result = run_oneshot(
        engine,
        image_id=ident,
        node_id=node.id,
        program=["registry"],
        args=["--version"],
        labels={},
        timeout=VERSION_SECONDS,
        wait_gone=False,
    )
    if result.ok:
        return "\n".join(result.raw_log)
    if "No such image" in result.why:
        raise PreflightFailed(
            f"image {reference} is not on node {node.name}",
            code="PRE-IMAGE",
            state=preflight.NOTHING,
            hint=f"docker save {reference} here, and docker load on {node.name}; msrctl pulls no images.",
        )
    raise PreflightFailed(
        f"there is no registry in image {reference} that runs on node {node.name}: {result.why}",
        code="PRE-REGISTRY-IMAGE",
        state=preflight.NOTHING,
        hint="It takes an image like the registry's own, with registry on its path: registry:2.8.3.",
    )
