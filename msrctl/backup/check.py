"""Goes through a whole backup and proves it: bytes, format, and that what it says fits together."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msrctl.backup import layout
from msrctl.backup.content import DIGEST, Unpacked, read_manifests
from msrctl.backup.faults import fault
from msrctl.backup.reader import Reader
from msrctl.errors import MsrctlError
from msrctl.model.cluster import Cluster
from msrctl.model.results import BackupContent
from msrctl.secret import Secret
from msrctl.storage import backend
from msrctl.transfer.needs import References, references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.backup.reader import Member, Source
    from msrctl.transfer.inventory import Inventory

STORAGE = "storage."
"""Before the names of the store's secrets."""


@dataclass
class Backup:
    """A backup that was read, without its manifests and layers.

    Arguments:
        cluster: the cluster document.
        secrets: by role: tls.key, ca.key, http.secret, htpasswd, probe, storage.<parameter>.
        unpacked: the inventory.
        known: what each manifest refers to.
        layers: digest to size of the layers that are in the backup.
        head: the first member, as it stands.
        summary: the last, likewise.
    """

    cluster: Cluster
    secrets: dict[str, Secret] = field(default_factory=dict)
    unpacked: Unpacked = field(default_factory=Unpacked)
    known: dict[str, References | None] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def inventory(self) -> Inventory:
        """Repositories, tags, links, and the blobs that the store held."""
        return self.unpacked.inventory

    def content(self) -> BackupContent:
        """In numbers and words, for people."""
        counts = {
            "repositories": len(self.inventory.repositories),
            "tags": self.inventory.tags,
            "manifests": len(self.known),
            "blobs": len(self.inventory.blobs),
            "blob_bytes": self.inventory.bytes,
            "layers": len(self.layers),
            "layer_bytes": sum(self.layers.values()),
        }
        return content_of(self.cluster, self.head, self.summary, counts)


def content_of(
    cluster: Cluster, head: Mapping[str, Any], summary: Mapping[str, Any], counts: Mapping[str, int]
) -> BackupContent:
    """What a backup holds, in numbers and words.

    Arguments:
        cluster: its cluster document.
        head: its first member.
        summary: its summary.
        counts: repositories, tags, manifests, blobs, blob_bytes, layers, layer_bytes.
    """
    return BackupContent(
        format=layout.FORMAT,
        version=str(head["version"]),
        created=str(head["created"]),
        cluster_id=cluster.id,
        generation=cluster.generation,
        url=cluster.url(),
        replicas=tuple(f"{r.id} on {r.node_name}" for r in cluster.replicas),
        storage=backend(cluster.storage).words(cluster.replicas[0].id),
        offline=bool(summary.get("offline")),
        broken=tuple(map(str, summary.get("broken_tags") or [])),
        **counts,
    )


def roles(cluster: Cluster) -> dict[str, str]:
    """What is secret of a cluster, by role, with the names of the swarm secrets.

    Arguments:
        cluster: the document. The store before the last switch is not in a backup.
    """
    named = {
        "tls.key": cluster.tls.key_secret,
        "ca.key": cluster.tls.ca_key_secret,
        "http.secret": cluster.http_secret,
        "htpasswd": cluster.accounts.htpasswd_secret,
        "probe": cluster.accounts.probe_secret,
        **{STORAGE + parameter: name for parameter, name in cluster.storage.secrets.items()},
    }
    return {role: name for role, name in named.items() if name}


def read(source: Source) -> Backup:
    """Reads a whole backup and checks everything in it.

    Arguments:
        source: the decrypted file.

    Raises:
        MsrctlError: it is no whole backup; see msrctl/backup/faults.py.
    """
    found: Backup | None = None
    head: dict[str, Any] = {}
    layers = _Layers()
    wrong: MsrctlError | None = None
    for member in Reader(source).members():
        if wrong:
            continue  # the checksums have the last word on whether it is damage
        if member.section == layout.HEAD:
            head = _head(member)
        elif member.section == layout.CLUSTER:
            found = Backup(_cluster(member), head=head)
        else:
            assert found is not None  # the reader holds the order
            try:
                if member.section == layout.LAYERS:
                    layers.take(member)
                else:
                    _take(found, member)
            except MsrctlError as error:
                if error.code != "BACKUP-CONTENT":
                    raise
                wrong = error
    if wrong:
        raise wrong
    assert found is not None
    found.layers = layers.end()
    _require_whole(found)
    return found


def _take(found: Backup, member: Member) -> None:
    if member.section == layout.SECRETS:
        found.secrets = _secrets(member, found.cluster)
    elif member.section == layout.MANIFESTS:
        for manifest in read_manifests(member.data()):
            digest = found.unpacked.digest(manifest.digest)
            found.known[digest] = references(manifest.body, found.unpacked.digest)
    elif member.section in (layout.BLOBS, layout.REPOSITORIES):
        found.unpacked.add(member.section, member.data())
    elif member.section == layout.SUMMARY:
        found.summary = _object(member, "its summary")


class _Layers:
    """Hashes layers across their parts."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._digest = ""
        self._sum = hashlib.sha256()

    def take(self, member: Member) -> None:
        digest, _ = member.key
        if digest != self._digest:
            self._finish()
            self._digest, self._sum = digest, hashlib.sha256()
        for piece in member.pieces:
            self._sum.update(piece)
        self._sizes[digest] = self._sizes.get(digest, 0) + member.size

    def end(self) -> dict[str, int]:
        self._finish()
        return self._sizes

    def _finish(self) -> None:
        if self._digest and f"sha256:{self._sum.hexdigest()}" != self._digest:
            raise fault("BACKUP-CONTENT", f"layer {self._digest} is not what its digest says")


def _head(member: Member) -> dict[str, Any]:
    head = _object(member, "its first part")
    if head.get("product") != "msrctl":
        raise fault("BACKUP-FOREIGN", "it is no backup of msrctl's registry")
    number = head.get("format")
    if isinstance(number, int) and number > layout.FORMAT:
        raise fault(
            "BACKUP-NEWER",
            f"it has format {number}, this msrctl knows {layout.FORMAT} "
            f"(it was written by {str(head.get('version'))[:40]})",
        )
    if number != layout.FORMAT or not isinstance(head.get("created"), str) or "version" not in head:
        raise fault("BACKUP-CONTENT", "its first part does not say what it is")
    return head


def _object(member: Member, what: str) -> dict[str, Any]:
    try:
        data = json.loads(member.data())
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        # The checksums come at the end: a flipped bit is far more likely than a writer that is wrong.
        raise fault("BACKUP-DAMAGED", f"{what} cannot be read")
    return data


def _cluster(member: Member) -> Cluster:
    data = _object(member, "the cluster document")
    try:
        return Cluster.from_json(data)
    except MsrctlError as error:
        code = "BACKUP-NEWER" if error.code == "STATE-NEWER" else "BACKUP-DAMAGED"
        raise fault(code, error.message, details=error.details) from error
    except (TypeError, ValueError, KeyError, AttributeError):
        raise fault("BACKUP-DAMAGED", "the cluster document cannot be read") from None


def _secrets(member: Member, cluster: Cluster) -> dict[str, Secret]:
    data = _object(member, "the part with the secrets")
    try:
        found = {str(role): Secret(base64.b64decode(text, validate=True)) for role, text in data.items()}
    except (ValueError, TypeError):
        raise fault("BACKUP-DAMAGED", "the part with the secrets cannot be read") from None
    missing = sorted(roles(cluster).keys() - found.keys())
    if missing:
        raise fault("BACKUP-CONTENT", f"secrets that the cluster needs are missing: {', '.join(missing)}")
    return found


def _require_whole(found: Backup) -> None:
    """Every tag's manifest is there and is one, with all manifests below it."""
    for name, repository in found.inventory.repositories.items():
        for tag, digest in repository.tags.items():
            missing = next(iter(_missing(digest, found.known)), None)
            if missing:
                raise fault("BACKUP-CONTENT", f"{name}:{tag} needs manifest {missing}, which is not in it")
    for digest in found.layers:
        if not DIGEST.fullmatch(digest):
            raise fault("BACKUP-CONTENT", f"{digest} is no digest")
    counted = {"tags": found.inventory.tags, "manifests": len(found.known), "layers": len(found.layers)}
    said: Mapping[str, Any] = found.summary
    wrong = [name for name, number in counted.items() if said.get(name) != number]
    if wrong:
        raise fault("BACKUP-CONTENT", f"its summary names other numbers of {', '.join(wrong)}")


def _missing(digest: str, known: Mapping[str, References | None], depth: int = 0) -> list[str]:
    refers = known.get(digest)
    if refers is None:
        return [digest]
    if depth >= 4:
        return []
    return [lost for child in refers.children for lost in _missing(child, known, depth + 1)]
