"""The image's base: the one that the engine has, else pulled, else made from Debian packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msrctl.images.errors import ImageError
from msrctl.images.inventory import find, image_id
from msrctl.images.progress import Progress, silent, time_limit

if TYPE_CHECKING:
    import docker

BASE = "debian:trixie-slim"
SUITE = "trixie"
PULL_SECONDS = 15

# What Debian's own slim image leaves out; later installations in the image inherit it.
_SLIM = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*/LC_MESSAGES/*.mo",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)


@dataclass(frozen=True)
class BaseImage:
    """The base of a build, and how it came to be there."""

    reference: str
    image_id: str
    origin: Literal["present", "pulled", "made"]


def ensure_base(api: docker.APIClient, progress: Progress = silent, *, reference: str = BASE) -> BaseImage:
    """Sees to it that the engine has the base image.

    Arguments:
        api: the engine.
        progress: told what is tried, and why something else is tried next.
        reference: the base; one of our own choosing is only looked for and pulled, never made.

    Raises:
        ImageError: it is not there, cannot be pulled, and cannot be made.
    """
    found = find(api, reference)
    if found.image_id:
        return BaseImage(reference, found.image_id, "present")
    progress(f"pulling {reference} (giving up after {PULL_SECONDS} s without an answer)")
    refusal = pull(api, reference)
    if refusal is None:
        return BaseImage(reference, str(find(api, reference).image_id), "pulled")
    if reference != BASE:
        raise ImageError(
            f"the base image {reference} is not on the engine and cannot be pulled: {refusal}",
            hint="load it (`docker load`), or leave the choice to msrctl",
        )
    progress(f"cannot pull it ({refusal}): making it from Debian packages with mmdebstrap")
    return BaseImage(reference, make(api, reference), "made")


def pull(api: docker.APIClient, reference: str, seconds: int = PULL_SECONDS) -> str | None:
    """Pulls an image; it may take long, but the engine may not be silent for longer than the limit.

    Returns:
        None when it is there, else why not, in one line.
    """
    import requests
    from docker import auth

    repository, _, tag = reference.rpartition(":")
    header = auth.get_config_header(api, auth.resolve_repository_name(repository)[0])
    try:
        # The SDK's own `pull` waits for ever.
        with api.post(
            f"{api.base_url}/v{api.api_version}/images/create",
            params={"fromImage": repository, "tag": tag},
            headers={"X-Registry-Auth": header} if header else {},
            stream=True,
            timeout=seconds,
        ) as answer:
            for line in answer.iter_lines():
                said = json.loads(line)
                # Refused at once it is a message, refused later an error in the log.
                refusal = said.get("error") or (said.get("message") if answer.status_code >= 400 else None)
                if refusal:
                    return _one_line(refusal)
    except requests.RequestException:
        return f"no answer within {seconds} s"
    return None


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def make(api: docker.APIClient, reference: str) -> str:
    """Makes a small Debian with mmdebstrap, imports it under the reference and returns its image id.

    Raises:
        ImageError: there is no mmdebstrap, or it failed.
    """
    if shutil.which("mmdebstrap") is None:
        raise ImageError(
            f"{reference} cannot be pulled, and there is no mmdebstrap here to make it with",
            state="nothing was changed",
            hint="apt-get install mmdebstrap, or bring the image along: `docker save`, `docker load`",
        )
    with tempfile.TemporaryDirectory(prefix="msrctl-base-") as temporary:
        tar = Path(temporary) / "base.tar"
        done = subprocess.run(mmdebstrap_command(tar, mirrors()), capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImageError(
                f"mmdebstrap could not make a base image of Debian {SUITE}",
                state="nothing was changed",
                hint="check that apt-get update works here, and that debian-archive-keyring is up to date",
                details=tuple((done.stderr or done.stdout).strip().splitlines()[-10:]),
            )
        repository, _, tag = reference.rpartition(":")
        with time_limit(api, None):
            api.import_image(str(tar), repository=repository, tag=tag, changes=['CMD ["bash"]'])
    return image_id(api, reference)


def mmdebstrap_command(tar: Path, mirror_lines: tuple[str, ...]) -> list[str]:
    """The command that makes the base as a tar file; no mirrors: mmdebstrap's own choice."""
    return [
        *("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"),
        *(f"--dpkgopt={option}" for option in _SLIM),
        # mmdebstrap leaves this machine's name and name servers behind.
        '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
        *(SUITE, str(tar), *mirror_lines),
    ]


def mirrors() -> tuple[str, ...]:
    """Lines for apt's sources.list: the suite at the mirrors where this machine gets Debian itself from.

    Empty when it is no Debian, or apt has no lists yet. A mirror with a password in its address is left out:
    it would end up in the image.
    """
    if shutil.which("apt-get") is None:
        return ()
    template = "$(SITE) $(LABEL)"  # a label may have spaces
    command = ["apt-get", "indextargets", "--format", template, "Created-By: Packages", "Component: main"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"}
    )
    return mirror_lines(done.stdout) if done.returncode == 0 else ()


def mirror_lines(targets: str) -> tuple[str, ...]:
    """Makes lines for sources.list of lines "site label", as apt's index targets give them."""
    sites: dict[str, str] = {}
    for line in targets.splitlines():
        site, _, label = line.partition(" ")
        if site.startswith(("http://", "https://")) and "@" not in site:
            sites.setdefault(label, site)
    if "Debian" not in sites:
        return ()
    main = sites["Debian"]
    lines = [f"deb {main} {SUITE} main", f"deb {main} {SUITE}-updates main"]
    if "Debian-Security" in sites:
        lines.append(f"deb {sites['Debian-Security']} {SUITE}-security main")
    return tuple(lines)
