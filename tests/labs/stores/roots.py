"""Root filesystems of Debian with the packages of a store, made once and kept in the cache directory."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from labs.cache import hash_of_text, making
from labs.images import BUILD_TIMEOUT, MMDEBSTRAP_OPTIONS
from labs.system import discard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUITE = "trixie"


def package_root(name: str, packages: Sequence[str], *options: str) -> Path:
    """A root filesystem; start things on it with `running.store_machine`, which leaves it unchanged.

    Arguments:
        name: what it is for.
        packages: Debian packages, installed without what they only recommend.
        options: more options of mmdebstrap, such as hooks.

    Raises:
        RuntimeError: mmdebstrap failed; the text has the end of what it wrote.
    """
    key = hash_of_text(f"{SUITE} {packages} {MMDEBSTRAP_OPTIONS} {options}")
    with making(f"store-{name}") as cache:
        root = cache / f"store-{name}-{key}"
        if not root.exists():
            partial = root.with_suffix(".partial")
            discard(partial)
            command = ["mmdebstrap", *MMDEBSTRAP_OPTIONS, f"--include={','.join(packages)}", *options]
            done = subprocess.run(
                [*command, "--format=directory", SUITE, str(partial)],
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"mmdebstrap for {name}: exit {done.returncode}\n{done.stderr[-3000:]}")
            partial.rename(root)
        return root
