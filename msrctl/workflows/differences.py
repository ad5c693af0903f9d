"""What a comparison of two stores means, in words, and the file with the whole list."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrctl.errors import MsrctlError, VerifyFailed
from msrctl.plan.switch import Policy
from msrctl.workflows.preflight import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.plan.switch import Switch
    from msrctl.workflows.stores import StoreAnswer

SHOWN = 20
"""Lines of a list that are shown; the rest is in the file."""
_KINDS = {"-": "is missing", "*": "is another", "+": "is only in the new store", "!": "cannot be read"}


def size_words(count: float) -> str:
    """Bytes in the unit that suits them, decimal as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def summary_words(summary: Mapping[str, int]) -> str:
    """For example ``1,204 tags in 87 repositories, 9,881 blobs, 2.04 TB``."""
    return (
        f"{summary['tags']:,} tags in {summary['repositories']:,} repositories, "
        f"{summary['blobs']:,} blobs, {size_words(summary['bytes'])}"
    )


def equal_words(answer: StoreAnswer) -> str:
    """For two stores that are equal."""
    return f"{summary_words(answer.result['old'])}: equal"


def progress_words(line: Mapping[str, Any], began: float) -> str:
    """How far a copy is, how fast, and how long it will take; "" for a line that is no progress."""
    if line.get("type") != "progress":
        return ""
    seconds = max(time.monotonic() - began, 0.001)
    speed = line["bytes"] / seconds
    left = (line["bytes_total"] - line["bytes"]) / speed if speed else 0
    return (
        f"{size_words(line['bytes'])} of {size_words(line['bytes_total'])}   "
        f"{line['blobs']:,} of {line['blobs_total']:,} blobs   {size_words(speed)}/s   "
        + (f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left")
    )


def copied_words(result: Mapping[str, Any], began: float) -> str:
    """What a copy has done."""
    return (
        f"{result['blobs']:,} blobs, {size_words(result['bytes'])}, {result['links']:,} links "
        f"in {time.monotonic() - began:.0f} s"
    )


def not_a_copy(answer: StoreAnswer, words: str, *, reverting: bool = False) -> VerifyFailed:
    """The refusal of a store that lacks something (STORE-INCOMPLETE).

    Arguments:
        answer: of the comparison.
        words: the new store, for people.
        reverting: whether it is the store that the last switch left.
    """
    result = answer.result
    if "differences" not in result:
        return _failed(answer)
    if reverting:
        return VerifyFailed(
            f"going back to {words} would lose what was pushed since: {_counts(result)}",
            code="STORE-INCOMPLETE",
            state=f"{NOTHING} The store in use holds {summary_words(result['old'])}; "
            f"the one before {summary_words(result['new'])}.",
            details=_details(answer),
            hint="To take it along: msrctl storage revert --migrate-storage.",
        )
    return VerifyFailed(
        f"{words} is not an exact copy: {_counts(result)}",
        code="STORE-INCOMPLETE",
        state=f"{NOTHING} The old store holds {summary_words(result['old'])}; "
        f"the new one {summary_words(result['new'])}.",
        details=_details(answer),
        hint="To let msrctl copy what is missing: add --migrate-storage. If you know better and accept "
        "this: add --storage-migrated. To start empty and ERASE ALL TAGS there: add --reinitialize-storage.",
    )


def foreign_tags(answer: StoreAnswer, words: str) -> VerifyFailed:
    """The refusal to copy over tags that only the new store has (STORE-NOT-EMPTY)."""
    tags = [
        line["name"] for line in answer.of("difference") if line["class"] == "+" and line["what"] == "tag"
    ]
    more = (f"... and {len(tags) - SHOWN:,} more",) if len(tags) > SHOWN else ()
    return VerifyFailed(
        f"{words} holds {answer.result['extra_tags']:,} tags that the old store does not have; a copy would "
        "remove them",
        code="STORE-NOT-EMPTY",
        state=NOTHING,
        details=(*tags[:SHOWN], *more),
        hint="Take another directory, bucket or prefix. If the new store is the right one as it is: "
        "--storage-migrated. To ERASE ALL TAGS there: --reinitialize-storage.",
    )


def not_copied(answer: StoreAnswer) -> MsrctlError:
    """Why a copy failed: what is damaged in the old store (STORE-CORRUPT), or what a store did not do."""
    code = str(answer.result.get("code", "STORE-COPY"))
    if code == "STORE-CORRUPT":
        digests = tuple(answer.result["corrupt"])
        more = (f"... and {len(digests) - SHOWN:,} more",) if len(digests) > SHOWN else ()
        return VerifyFailed(
            str(answer.result["error"]),
            code=code,
            state="Nothing was switched; the old store serves as before.",
            details=(*digests[:SHOWN], *more),
            hint="What was copied stays for the next try. Mend or delete what is damaged in the old "
            "store (docs/how-to/switch-the-storage.md), then run this again.",
        )
    return MsrctlError(
        f"a store failed: {answer.result.get('error')}",
        code=code,
        hint="Mend that store, then run this again: what was copied stays for the next try.",
    )


def changed_meanwhile(answer: StoreAnswer, switch: Switch) -> MsrctlError:
    """Why the comparison under held pushes failed."""
    if "differences" not in answer.result:
        return not_copied(answer)
    if switch.policy is Policy.COPY:
        hint = (
            "What was copied stays for the next try; run this again. Does anybody else write to that store?"
        )
    else:
        hint = (
            "Pushes came in after the copy was made. Set msrctl settings --read-only on before you copy, "
            "or let msrctl copy the rest with --migrate-storage."
        )
    return VerifyFailed(
        f"{switch.new_words} is not an exact copy: {_counts(answer.result)}",
        code="STORE-INCOMPLETE",
        details=_details(answer),
        hint=hint,
    )


def warnings(answer: StoreAnswer, words: str) -> list[str]:
    """Differences that were accepted beforehand."""
    if "differences" not in answer.result:
        return [f"the stores could not be compared: {answer.result.get('error')}"]
    return [f"{words} differs from the old store: {_counts(answer.result)}", *_details(answer)]


def _failed(answer: StoreAnswer) -> VerifyFailed:
    return VerifyFailed(
        f"the stores could not be compared: {answer.result.get('error')}",
        code=str(answer.result.get("code", "STORE")),
        state=NOTHING,
        hint="If the old store is gone for good and the new one holds the images: --storage-migrated.",
    )


def _counts(result: Mapping[str, int]) -> str:
    parts = (
        (result["missing_blobs"], f"of {result['old']['blobs']:,} blobs are missing"),  # type: ignore[index]
        (result["different_blobs"], "blobs have another size"),
        (result["broken"], f"of {result['old']['tags']:,} tags cannot be pulled"),  # type: ignore[index]
        (result["extra_tags"], "tags are only there"),
    )
    words = [f"{number:,} {text}" for number, text in parts if number]
    return ", ".join(words) or f"{result['differences']:,} links differ"


def _details(answer: StoreAnswer) -> tuple[str, ...]:
    """The first lines of the list, and where the rest is."""
    lines = [f"{line['tag']} cannot be pulled: {line['why']}" for line in answer.of("broken")]
    lines += [
        f"{line['what']} {line['name']} {_KINDS[line['class']]}"
        + (f" ({line['detail']})" if line.get("detail") else "")
        for line in answer.of("difference")
    ]
    if len(lines) <= SHOWN:
        return tuple(lines)
    where = _write_list(answer)
    rest = f"... and {len(lines) - SHOWN:,} more" + (f"; the whole list: {where}" if where else "")
    return (*lines[:SHOWN], rest)


def _write_list(answer: StoreAnswer) -> str:
    """Writes everything that was found to a file in the current directory; "" if that cannot be written."""
    path = Path(f"msrctl-missing-{datetime.now(UTC):%Y%m%dT%H%M%S}.json")
    document = {
        "broken_tags": answer.of("broken"),
        "differences": answer.of("difference"),
        "summary": answer.result,
    }
    try:
        path.write_text(json.dumps(document, indent=1) + "\n")
    except OSError:
        return ""
    return str(path)
