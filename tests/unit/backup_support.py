"""Backups for tests: made by the real writer from a small invented registry."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plan_support import a_cluster

from msrctl.backup import check, layout
from msrctl.backup.content import Packer, manifest_record, pack_inventory
from msrctl.backup.writer import Writer
from msrctl.transfer.inventory import Inventory, Repository

if TYPE_CHECKING:
    from msrctl.model.cluster import Cluster


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest(*layers: bytes, config: bytes = b"{}") -> bytes:
    def described(data: bytes) -> dict[str, object]:
        return {"mediaType": "x", "size": len(data), "digest": sha(data)}

    body = {"schemaVersion": 2, "config": described(config), "layers": [described(d) for d in layers]}
    return json.dumps(body).encode()


@dataclass
class Content:
    """What goes into a backup; change it before `write`."""

    cluster: Cluster = field(default_factory=a_cluster)
    inventory: Inventory = field(default_factory=Inventory)
    manifests: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, bytes] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    with_layers: bool = False

    def add(self, name: str, tag: str, *layers: bytes) -> str:
        """An image with these layers; returns its digest."""
        body = manifest(*layers)
        digest = sha(body)
        self.manifests[digest] = body
        repository = self.inventory.repositories.setdefault(name, Repository())
        repository.tags[tag] = digest
        repository.tag_index.setdefault(tag, set()).add(digest)
        repository.revisions.add(digest)
        self.inventory.blobs[digest] = len(body)
        for data in (*layers, b"{}"):
            repository.layers.add(sha(data))
            self.inventory.blobs[sha(data)] = len(data)
            self.layers[sha(data)] = data
        return digest

    def write(self, sink: Any = None) -> bytes:
        """The backup's bytes."""
        out = sink or io.BytesIO()
        writer = Writer(out, mtime=1_700_000_000)
        writer.json(
            layout.HEAD,
            {"product": "msrctl", "format": 1, "version": "0.1.0", "created": "2026-01-01T00:00:00+00:00"}
            | self.head,
        )
        writer.json(layout.CLUSTER, self.cluster.to_json())
        secrets = {role: base64.b64encode(role.encode()).decode() for role in check.roles(self.cluster)}
        writer.json(layout.SECRETS, secrets)
        packer = Packer(layout.MANIFESTS)
        for digest, body in self.manifests.items():
            for section, data in packer.add(manifest_record(digest, body)):
                writer.chunk(section, data)
        for section, data in (*packer.flush(), *pack_inventory(self.inventory)):
            writer.chunk(section, data)
        if self.with_layers:
            for digest in sorted(self.layers):
                layer = writer.layer(digest, len(self.layers[digest]))
                layer.write(self.layers[digest])
                layer.close()
        writer.finish(
            {
                "tags": self.inventory.tags,
                "manifests": len(self.manifests),
                "layers": len(self.layers) if self.with_layers else 0,
                "broken_tags": [],
                "offline": False,
            }
        )
        return bytes(out.getvalue()) if sink is None else b""


def content(*, with_layers: bool = False) -> Content:
    """A registry of three images in two repositories."""
    found = Content(with_layers=with_layers)
    found.add("team/app", "1", b"layer one" * 100, b"shared")
    found.add("team/app", "2", b"layer two" * 90, b"shared")
    found.add("base", "latest", b"shared")
    return found


def read(data: bytes) -> check.Backup:
    return check.read(io.BytesIO(data))
