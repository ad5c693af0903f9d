"""The balancers of examples/balancer, as they are there but for the addresses, at a lab's own address."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labs.system import eventually, sh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXAMPLES = Path(__file__).parents[2] / "examples" / "balancer"
COMMANDS = {
    "haproxy.cfg": ("haproxy", "-db", "-f"),
    "nginx.conf": ("nginx", "-g", "daemon off;", "-c"),
}


@contextmanager
def balancer(example: str, address: str, replicas: Sequence[str], directory: Path) -> Iterator[None]:
    """Runs a balancer for its block.

    Arguments:
        example: a file of examples/balancer.
        address: its own address, as in ``10.77.1.254``.
        replicas: addresses of the replicas, three.
        directory: for its configuration and its log.
    """
    text = (EXAMPLES / example).read_text().replace("192.0.2.10", address)
    for number, replica in enumerate(replicas, 11):
        text = text.replace(f"192.0.2.{number}", replica)
    assert not re.search(r"192\.0\.2\.\d+:", text)
    config = directory / example
    config.write_text(text)
    with (directory / f"{example}.log").open("w") as log:
        process = subprocess.Popen([*COMMANDS[example], str(config)], stdout=log, stderr=log)
        try:
            eventually(lambda: _listens(address), 10, what=f"{example} listens at {address}:443")
            # HAProxy takes all for healthy until its checks say otherwise.
            time.sleep(2)
            assert process.poll() is None, (directory / f"{example}.log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(20)


def _listens(address: str) -> bool:
    return address in sh("ss", "-tlnH", f"src {address} and sport = 443")
