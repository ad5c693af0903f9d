"""The wheels that go into the image: msrctl's own, from the running installation, and those it needs.

They are fetched here and not in the build, because pip's own configuration (index, proxy, private CA) is that
of this machine and a container does not have it.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msrctl.images.errors import ImageError
from msrctl.images.progress import Progress, silent

DISTRIBUTION = "msrctl"
# What Debian trixie, the base of the image, has.
IMAGE_PYTHON = "3.13"
IMAGE_GLIBC_MINOR = 41
REQUIREMENTS = "requirements.txt"
# The extra whose libraries only the image needs: what runs on nodes is run from it.
EXTRA = "stores"

# Written by whoever installs a wheel, not part of it.
_OF_THE_INSTALLER = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}

# The end of a requirement that only the extra has: `; extra == 'stores'`, or that after another condition.
_OF_THE_EXTRA = re.compile(rf"(\s*;|\s+and)\s*extra == (['\"]){EXTRA}\2\s*$")


def installation() -> importlib.metadata.Distribution:
    """The installed distribution that is running.

    Raises:
        ImageError: msrctl runs from a directory that was never installed.
    """
    try:
        return importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise ImageError(
            "msrctl is not installed as a package, so there is nothing to put into the image",
            hint="install it into a virtual environment: `python3 -m venv V && V/bin/pip install PATH`",
        ) from error


def editable_source(distribution: importlib.metadata.Distribution) -> Path | None:
    """The source directory of an editable installation (PEP 610), or None of an ordinary one."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))


def requirements(distribution: importlib.metadata.Distribution) -> tuple[str, ...]:
    """What msrctl needs to run in the image, sorted: its extra `EXTRA` goes along, the others do not."""
    lines = (_OF_THE_EXTRA.sub("", line) for line in distribution.requires or ())
    return tuple(sorted(line for line in lines if "extra ==" not in line))


def own_files(distribution: importlib.metadata.Distribution) -> dict[str, Path]:
    """Everything that makes up msrctl, name -> file: for an ordinary installation the contents of its wheel,
    for an editable one the sources that a wheel would be made of.
    """
    source = editable_source(distribution)
    if source:
        trees = [source / "pyproject.toml", *(source / "msrctl").rglob("*"), *(source / "schemas").rglob("*")]
        files = {str(path.relative_to(source)): path for path in trees if path.is_file()}
    else:
        files = {str(entry): Path(str(entry.locate())) for entry in distribution.files or ()}
    return {
        name: path
        for name, path in sorted(files.items())
        # Scripts lie outside of the package directory ("../../../bin/msrctl"); installing makes them anew.
        if not name.startswith("..") and "__pycache__" not in name and not _is_installers(name)
    }


def _is_installers(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return folder.endswith(".dist-info") and file in _OF_THE_INSTALLER


def own_wheel(directory: Path, distribution: importlib.metadata.Distribution | None = None) -> Path:
    """Makes msrctl's wheel in a directory: packed again from an ordinary installation, built from the sources
    of an editable one.

    Raises:
        ImageError: pip could not build it.
    """
    distribution = distribution or installation()
    source = editable_source(distribution)
    if source is None:
        return repack(distribution, directory)
    run_pip(["wheel", "--no-deps", "--wheel-dir", str(directory), str(source)], "building msrctl's wheel")
    return next(directory.glob(f"{DISTRIBUTION}-*.whl"))


def repack(distribution: importlib.metadata.Distribution, directory: Path) -> Path:
    """Packs the wheel again that an installation was made of; the same installation gives the same bytes.

    Source: the binary distribution format, https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    tag = next(
        line.removeprefix("Tag: ")
        for line in (distribution.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    )
    stem = f"{DISTRIBUTION}-{distribution.version}"
    wheel = directory / f"{stem}-{tag}.whl"
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in own_files(distribution).items():
            data = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\n")
            archive.writestr(_entry(name), data)
        own = f"{stem}.dist-info/RECORD"
        archive.writestr(_entry(own), "".join([*record, f"{own},,\n"]))
    return wheel


def _entry(name: str) -> zipfile.ZipInfo:
    """A zip entry with a fixed date (the earliest that zip knows) and ordinary permissions."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    return entry


def cache_directory() -> Path:
    """Where wheels are kept between builds: ``$XDG_CACHE_HOME/msrctl`` or ``~/.cache/msrctl``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msrctl"


def dependency_wheels(
    needed: tuple[str, ...], machine: str, progress: Progress = silent, *, cache: Path | None = None
) -> Path:
    """A directory with wheels for all that is needed, pip's own, and a requirements file.

    Arguments:
        needed: requirement lines.
        machine: the processor that the image is for, as in wheel names: ``x86_64``, ``aarch64``.
        progress: told when something is downloaded.
        cache: where to keep it, default `cache_directory`; found again by the list, Python and machine.

    Raises:
        ImageError: pip could not download them.
    """
    wanted = "".join(f"{line}\n" for line in needed)
    key = hashlib.sha256(f"{IMAGE_PYTHON} {machine}\n{wanted}".encode()).hexdigest()[:16]
    directory = (cache or cache_directory()) / "wheels" / key
    if directory.is_dir():
        return directory
    progress(f"downloading wheels for Python {IMAGE_PYTHON} on {machine}")
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Downloaded beside its place and renamed: what has the name is complete, whoever was interrupted.
    with tempfile.TemporaryDirectory(prefix=f".{key}-", dir=directory.parent) as temporary:
        fresh = Path(temporary) / "wheels"
        fresh.mkdir()
        (fresh / REQUIREMENTS).write_text(wanted, encoding="utf-8")
        run_pip(_download_arguments(fresh, machine), "downloading the wheels for the image")
        try:
            fresh.rename(directory)
        except OSError:
            if not directory.is_dir():  # else another build was faster, and its wheels are as good
                raise
    return directory


def _download_arguments(directory: Path, machine: str) -> list[str]:
    # Old versions of pip take a platform literally, so all that the image's glibc can run are named.
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(IMAGE_GLIBC_MINOR, 16, -1)]
    platforms = [word for tag in (*tags, f"manylinux2014_{machine}") for word in ("--platform", tag)]
    # pip has no option for another Python's environment markers: those of the running one count.
    return [
        *("download", "--quiet", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", IMAGE_PYTHON, *platforms, "--dest", str(directory)),
        *("--requirement", str(directory / REQUIREMENTS), "pip"),
    ]


def run_pip(arguments: list[str], doing: str) -> None:
    """Runs this Python's pip, with pip's own configuration of the machine.

    Raises:
        ImageError: there is no pip, or it failed; the last lines that it wrote are the details.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    lines = done.stderr.strip().splitlines()
    if any("No module named pip" in line for line in lines):
        raise ImageError(
            f"{doing}: this Python has no pip",
            hint="build the image where msrctl was installed with pip, or take one that is built: "
            "`msrctl images save` there, `msrctl images load` here",
        )
    raise ImageError(
        f"{doing}: pip failed with exit code {done.returncode}",
        hint="check pip's configuration (`pip config list`) and the network, then run it again",
        details=tuple(lines[-10:]),
    )
