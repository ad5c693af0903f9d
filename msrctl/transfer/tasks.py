"""The work on stores that a one-shot does on a replica's node: `msrctl node store ACTION`.

What the stores are stands in /run/msrctl/{old,new}.json (no secrets), their secrets in /run/secrets, mounted
stores at /old and /new. Every answer is one line of JSON with a "type".
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msrctl.transfer.compare import differences
from msrctl.transfer.copy import Progress, copy_blobs, mirror_links, verify_digests
from msrctl.transfer.inventory import Inventory, summary, take
from msrctl.transfer.open import DESCRIPTIONS, SECRETS, open_side
from msrctl.transfer.owner import Owner, read_owner, write_owner
from msrctl.transfer.pulse import PULSE
from msrctl.transfer.resolve import broken_tags
from msrctl.transfer.store import OWNER, ROOT, StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from msrctl.transfer.store import Store

JSON = dict[str, Any]
LISTED = 5_000
"""Differences that are listed one by one; a log is no place for more."""
TICK_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `msrctl node store`."""
    parser.add_argument("action", choices=sorted(ACTIONS))
    parser.add_argument("--owner", default="", help="JSON of the marker to write if all is well")
    parser.add_argument("--verify-digests", action="store_true")
    parser.add_argument("--to", default="", help="public key of the reader of a snapshot")
    parser.add_argument("--links-only", action="store_true", help="a snapshot without manifests")


def run(options: argparse.Namespace) -> Iterator[JSON]:
    """Runs one action; a store that fails ends it with an answer that says so.

    With an owner, what ends well marks the new store as theirs, in the same run: nobody waits for two. A copy
    marks it first: if it is cut short, the next run knows whose tags those are.
    """
    owner = Owner(**json.loads(options.owner)) if options.owner else None
    try:
        fine = True
        if owner and options.action == "copy":
            write_owner(open_side("new"), owner)
        with PULSE.printed():
            for answer in ACTIONS[options.action](options):
                fine = fine and bool(answer.get("ok", True))
                if owner and fine and answer["type"] == "result":
                    write_owner(open_side("new"), owner)
                yield answer
    except StoreError as error:
        yield {"type": "result", "ok": False, "code": error.code, "error": str(error)}
    except OSError as error:
        yield {"type": "result", "ok": False, "code": "STORE-IO", "error": _io_words(error)}


def _check(_: argparse.Namespace) -> Iterator[JSON]:
    """Tries everything that the registry will do in the new store, and reads its marker."""
    store = open_side("new")
    fine = True
    for check in store.probe():
        fine = fine and check["ok"]
        yield {"type": "check", **check}
    owner = read_owner(store) if fine else None
    yield {
        "type": "result",
        "ok": fine,
        "owner": asdict(owner) if owner else None,
        "same_secrets": same_secrets(),
    }


def _compare(_: argparse.Namespace) -> Iterator[JSON]:
    """Whether the new store holds an exact copy of the old one."""
    began = time.monotonic()
    old_store, new_store = open_side("old"), open_side("new")
    old, new = _both(old_store, new_store)
    yield from _verdict(old, new, old_store, started=began)


def _resolve(_: argparse.Namespace) -> Iterator[JSON]:
    """Whether every tag of the new store can be pulled from it."""
    store = open_side("new")
    began = time.monotonic()
    there = take(store)
    broken = broken_tags(there, there, store)
    yield from ({"type": "broken", **b.to_json()} for b in broken[:LISTED])
    seconds = round(time.monotonic() - began, 3)
    yield {
        "type": "result",
        "ok": not broken,
        "broken": len(broken),
        "seconds": seconds,
        "new": summary(there),
    }


def _copy(options: argparse.Namespace) -> Iterator[JSON]:
    """Copies blobs, and links as far as that is safe while pushes go on. May be run again and again."""
    began = time.monotonic()
    old_store, new_store = open_side("old"), open_side("new")
    source, target = _both(old_store, new_store)
    progress = Progress()
    tick = _ticker(progress)
    copy_blobs(old_store, new_store, source.blobs, target.blobs, progress, tick)
    mirror_links(source, new_store, target, progress, tick, delete=False)
    bad: list[str] = []
    if options.verify_digests:
        bad = verify_digests(new_store, source.blobs, tick)
        new_store.delete(_keys(bad))
    yield {
        "type": "result",
        "ok": not progress.corrupt and not bad,
        "code": "STORE-CORRUPT",
        "error": f"{len(progress.corrupt)} blobs of the old store are not what their names say"
        if progress.corrupt
        else f"{len(bad)} blobs were not stored as they were sent",
        "corrupt": progress.corrupt[:LISTED],
        "seconds": round(time.monotonic() - began, 3),
        "old": summary(source),
        **_numbers(progress),
    }


def _fetch(_: argparse.Namespace) -> Iterator[JSON]:
    """Copies the blobs that a file names, and nothing else; the old store is only read."""
    began = time.monotonic()
    wanted = {str(d): int(s) for d, s in json.loads((DESCRIPTIONS / "wanted.json").read_text()).items()}
    progress = Progress()
    copy_blobs(open_side("old"), open_side("new"), wanted, {}, progress, _ticker(progress))
    lost = sorted([*progress.vanished, *progress.corrupt])
    yield {
        "type": "result",
        "ok": True,
        "lost": lost,
        "seconds": round(time.monotonic() - began, 3),
        **_numbers(progress),
    }


def _delta(options: argparse.Namespace) -> Iterator[JSON]:
    """Nobody writes now: copies the rest, makes links the same, and compares once more from what is there."""
    began = time.monotonic()
    old_store, new_store = open_side("old"), open_side("new")
    source, target = _both(old_store, new_store)
    fresh = [d for d in source.blobs if target.blobs.get(d) != source.blobs[d]]
    progress = Progress()
    tick = _ticker(progress)
    copy_blobs(old_store, new_store, source.blobs, target.blobs, progress, tick)
    mirror_links(source, new_store, target, progress, tick)
    if options.verify_digests:
        new_store.delete(_keys(verify_digests(new_store, fresh, tick)))
    yield {"type": "copied", **_numbers(progress)}
    # Pushes wait for this: what was listed a moment ago and not touched since is not listed again.
    touched = progress.blobs or progress.links or progress.deleted or options.verify_digests
    yield from _verdict(source, take(new_store) if touched else target, old_store, started=began)


def _both(one: Store, other: Store) -> tuple[Inventory, Inventory]:
    """Two inventories, taken side by side."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(take, (one, other))
    return first, second


def _same(_: argparse.Namespace) -> Iterator[JSON]:
    """Whether two names lead to one store: what is written to the one is then seen in the other."""
    old_store, new_store = open_side("old"), open_side("new")
    key = f"msrctl-same-{uuid4().hex}"
    new_store.write(key, (b"same?",), 5)
    try:
        seen = old_store.size(key) is not None
    finally:
        new_store.delete([key])
    yield {"type": "result", "ok": True, "same": seen}


def _erase(_: argparse.Namespace) -> Iterator[JSON]:
    """Empties the registry's tree in the new store, and only there."""
    store = open_side("new")
    before = summary(take(store))
    # Links first: a tag must not outlive what it names, if this is cut short.
    keys = sorted((key for key, _ in store.list(ROOT)), key=lambda k: "/blobs/" in k)
    store.delete(keys)
    yield {"type": "result", "ok": True, "erased": len(keys), "new": before}


def _mark(_: argparse.Namespace) -> Iterator[JSON]:
    """Nothing more than what `run` does: it writes the owner marker."""
    yield {"type": "result", "ok": True}


def _unmark(_: argparse.Namespace) -> Iterator[JSON]:
    """Takes the owner marker away."""
    open_side("new").delete([OWNER])
    yield {"type": "result", "ok": True}


def _peek(_: argparse.Namespace) -> Iterator[JSON]:
    """What the new store holds, in numbers, with its marker."""
    store = open_side("new")
    owner = read_owner(store)
    yield {
        "type": "result",
        "ok": True,
        "new": summary(take(store)),
        "owner": asdict(owner) if owner else None,
    }


def _snapshot(options: argparse.Namespace) -> Iterator[JSON]:
    """Inventory and manifests of the new store, for a backup; only the reader can open them."""
    from msrctl.backup.seal import seal
    from msrctl.transfer.snapshot import LISTED as NAMED
    from msrctl.transfer.snapshot import Snapshot

    began = time.monotonic()
    snapshot = Snapshot(open_side("new"))
    yield from seal(snapshot.chunks(manifests=not options.links_only), options.to)
    yield {
        "type": "result",
        "ok": True,
        "new": summary(snapshot.inventory),
        "broken": len(snapshot.broken),
        "broken_tags": [f"{tag}: {why}" for tag, why in snapshot.broken[:NAMED]],
        "seconds": round(time.monotonic() - began, 3),
    }


def _write_back(_: argparse.Namespace) -> Iterator[JSON]:
    """Writes back what a restore sends along in configs, and takes out what it names."""
    from msrctl.transfer.writeback import carry_out, unpacked

    store = open_side("new")
    began = time.monotonic()
    done = {"written": 0, "deleted": 0}
    for package in sorted(DESCRIPTIONS.glob("package-*")):
        for name, count in carry_out(store, unpacked(package.read_bytes())).items():
            done[name] += count
    yield {"type": "result", "ok": True, "seconds": round(time.monotonic() - began, 3), **done}


ACTIONS: dict[str, Callable[[argparse.Namespace], Iterator[JSON]]] = {
    "check": _check,
    "compare": _compare,
    "copy": _copy,
    "delta": _delta,
    "erase": _erase,
    "fetch": _fetch,
    "mark": _mark,
    "peek": _peek,
    "resolve": _resolve,
    "same": _same,
    "snapshot": _snapshot,
    "unmark": _unmark,
    "write-back": _write_back,
}


def same_secrets() -> list[str]:
    """Parameters whose secret is the same for both sides: a password that is given again changes nothing."""
    return [
        path.name.partition(".")[2]
        for path in sorted(SECRETS.glob("new.*"))
        if (other := SECRETS / f"old.{path.name.partition('.')[2]}").exists()
        and other.read_bytes() == path.read_bytes()
    ]


def _verdict(old: Inventory, new: Inventory, reader: Store, *, started: float) -> Iterator[JSON]:
    """Differences one by one, tags that suffer, and the sum."""
    found = list(differences(old, new))
    serious = [d for d in found if not d.harmless]
    yield from ({"type": "difference", **d.to_json()} for d in serious[:LISTED])
    broken = broken_tags(old, new, reader) if serious else []
    yield from ({"type": "broken", **b.to_json()} for b in broken[:LISTED])
    yield {
        "type": "result",
        "ok": not serious,
        "differences": len(serious),
        "harmless": len(found) - len(serious),
        "missing_blobs": sum(d.kind == "-" and d.what == "blob" for d in serious),
        "different_blobs": sum(d.kind == "*" and d.what == "blob" for d in serious),
        "extra_tags": sum(d.kind == "+" and d.what == "tag" for d in serious),
        "broken": len(broken),
        "seconds": round(time.monotonic() - started, 3),
        "old": summary(old),
        "new": summary(new),
    }


def _ticker(progress: Progress) -> Callable[[], None]:
    """Prints the progress now and then, whoever calls it how often."""
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= TICK_SECONDS:
            last = now
            PULSE.say({"type": "progress", **_numbers(progress)})

    return tick


def _numbers(progress: Progress) -> JSON:
    return {
        "blobs": progress.blobs,
        "blobs_total": progress.blobs_total,
        "bytes": progress.bytes,
        "bytes_total": progress.bytes_total,
        "links": progress.links,
        "deleted": progress.deleted,
    }


def _io_words(error: OSError) -> str:
    """What the system refused, with the store instead of the place where this task has it."""
    place = str(error.filename or "")
    for side in ("old", "new"):
        if place.startswith(f"/{side}/"):
            place = f"{open_side(side).words}: {place.removeprefix(f'/{side}/')}"
    return ": ".join(part for part in (place, error.strerror or str(error)) if part)


def _keys(digests: list[str]) -> list[str]:
    from msrctl.transfer.inventory import blob_key

    return [blob_key(d) for d in digests]
