"""`msrctl support-bundle`: what somebody who helps needs to see, in one file and without secrets."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msrctl.backup.output import Descriptor, renamed
from msrctl.errors import MsrctlError
from msrctl.model.results import SupportBundleResult
from msrctl.workflows.bundle_parts import Parts
from msrctl.workflows.session import open_engine

if TYPE_CHECKING:
    from msrctl.model.requests import SupportBundleRequest
    from msrctl.workflows.reporter import Reporter

MODE = 0o600
INDEX = "index.json"


def support_bundle(
    request: SupportBundleRequest, report: Reporter, stream: IO[bytes] | None = None
) -> SupportBundleResult:
    """Gathers what can be had and packs it; what cannot be had is named in the bundle and in the result.

    Arguments:
        request: what was asked for.
        report: progress.
        stream: where to write if the file is ``-``.

    Raises:
        Unreachable: no engine answers: there is nothing to pack.
        MsrctlError: the file cannot be written (BUNDLE-WRITE).
    """
    now = datetime.now(UTC)
    with closing(open_engine(request.common)) as engine, report.step("support bundle") as progress:
        parts = Parts(engine, request, progress.detail)
        parts.gather()
        missing = [part for part in parts.parts if not part.complete]
        progress.detail(f"{len(parts.files)} files" + (f", {len(missing)} parts missing" if missing else ""))
    name = f"msrctl-support-{parts.cluster_id or 'unknown'}-{now:%Y%m%dT%H%M%SZ}"
    packed = _pack(name, now, parts)
    path = None
    if request.output_file == "-" and stream is not None:
        stream.write(packed)
        stream.flush()
    else:
        path = Path(request.output_file or f"{name}.tar.gz")
        write_whole(path, packed)
    return SupportBundleResult(
        path=str(path) if path else None,
        size=len(packed),
        parts=tuple(parts.parts),
        warnings=tuple(f"not in the bundle: {part.name}: {part.note}" for part in missing),
    )


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, and that appears under its name only when it is whole.

    Raises:
        MsrctlError: BUNDLE-WRITE.
    """
    try:
        with renamed(path) as number:
            Descriptor(number).write(content)
    except OSError as error:
        raise MsrctlError(
            f"the bundle cannot be written to {path}: {error.strerror or error}",
            code="BUNDLE-WRITE",
            state="No file was left.",
            hint="Name another place with --output-file, or - for stdout.",
        ) from error


def _pack(directory: str, now: datetime, parts: Parts) -> bytes:
    """The tar file, compressed; logs of a thousand lines are small enough for the memory."""
    index = {
        "made": now.isoformat(timespec="seconds"),
        "about": "Secrets were replaced by ****. Look through the files before you give them to anybody.",
        "parts": [{"name": p.name, "complete": p.complete, "note": p.note} for p in parts.parts],
    }
    files = {INDEX: json.dumps(index, indent=2, ensure_ascii=False).encode(), **parts.files}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{directory}/{name}")
            member.size, member.mode, member.mtime = len(content), MODE, int(now.timestamp())
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
