"""The NFS lab's own obligations: what other tests rely on when they pull a plug or are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from labs.nfs import NfsLab
from labs.system import eventually, sh

pytest_plugins = ["labs.nfs.fixtures"]

TESTS = Path(__file__).resolve().parents[1]
RUN = """
import sys, time
from labs.nfs import NfsLab
with NfsLab(0) as lab:
    print(lab.server.directory.parent, flush=True)
    time.sleep(600)
"""


def processes_of(directory: str) -> str:
    return "".join(
        line for line in sh("ps", "axww", "-o", "args").splitlines() if f"uml_dir={directory}" in line
    )


def test_nothing_of_a_killed_run_stays(nfs_host: None) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    directory = run.stdout.readline().strip()
    assert processes_of(directory)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    eventually(lambda: not processes_of(directory), 20, what="the guests are gone")
    # The next lab to take the slot removes the rest.
    with NfsLab(0) as lab:
        assert str(lab.server.directory.parent) != directory
    assert not Path(directory).exists()


def test_a_server_that_lost_its_power_has_its_files_again(nfs_host: None) -> None:
    with NfsLab(0) as lab:
        lab.server.export("/srv/nfs/rw")
        lab.server.ssh("echo kept >/srv/nfs/rw/file && sync")
        lab.server.power_off()
        lab.server.power_on()
        lab.server.wait()
        assert lab.server.ssh("cat /srv/nfs/rw/file; exportfs -v | grep -c /srv/nfs/rw") == "kept\n1\n"
