"""Records a terminal session with a real engine as docs/images/session.svg: `python docs/record.py` (root).

The engine is one of the test labs' (tests/labs/engines.py). Besides msrctl's test extra it needs pyte, a
terminal emulator: what is drawn is the screen as it was in the end, with all that was printed over gone.
"""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Sequence
from pathlib import Path

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from labs.engines import Lab  # noqa: E402 - found by the line above
from labs.host import Host  # noqa: E402
from labs.images import msr_image  # noqa: E402
from labs.tiny import tiny_image  # noqa: E402

SVG = Path(__file__).parent / "images" / "session.svg"
COLUMNS, LINES = 118, 200
NAME = "registry.example.com"

COMMANDS = (
    f"msrctl install --dtr-external-url https://{NAME} --admin-password-file password",
    f"docker login --username admin --password-stdin {NAME} < password 2> /dev/null",
    f"docker push {NAME}/team/hello:1.0",
    "msrctl status",
)


def run(command: str, directory: Path, env: dict[str, str]) -> bytes:
    """What a command writes to a terminal of `COLUMNS` columns."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    shell = ["bash", "-c", command]
    process = subprocess.Popen(
        shell, stdin=child, stdout=child, stderr=child, cwd=directory, env=env, start_new_session=True
    )
    os.close(child)
    written = b""
    while True:
        ready, _, _ = select.select([parent], [], [], 0.2)
        if ready:
            try:
                chunk = os.read(parent, 1 << 16)
            except OSError:  # Linux's way to say that the other side was closed
                break
            written += chunk
            if not chunk:
                break
        elif process.poll() is not None:
            break
    os.close(parent)
    process.wait()
    return written


def screen_of(written: bytes) -> Text:
    """The screen as it is after all this was written, with its colours."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    stream.feed(written)
    lines = []
    for number in range(screen.cursor.y + 1):
        line, row = Text(), screen.buffer[number]
        for column in range(COLUMNS):
            cell = row[column]
            colour = "" if cell.fg == "default" else {"brown": "yellow"}.get(cell.fg, cell.fg)
            style = f"{'bold ' if cell.bold else ''}{colour}".strip()
            line.append(cell.data, style if re.fullmatch(r"[a-z ]*", style) else f"#{cell.fg}")
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return Text("\n").join(lines)


def session(host: Host, commands: Sequence[str], directory: Path) -> list[tuple[str, Text]]:
    """Runs commands, one after another, with msrctl and docker pointed at a host's engine."""
    bin_directory = directory / ".bin"
    bin_directory.mkdir(exist_ok=True)
    program = bin_directory / "msrctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m msrctl "$@"\n')
    program.chmod(0o755)
    path = f"{bin_directory}:{os.environ['PATH']}"
    env = host.environment(
        {"PATH": path, "TERM": "xterm-256color", "PYTHONPATH": str(PROJECT), "LANG": "C.UTF-8"}
    )
    return [(command, screen_of(run(command, directory, env))) for command in commands]


def svg_of(parts: Sequence[tuple[str, Text]]) -> str:
    """The session as an SVG without any reference to the outside."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command, shown in parts:
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        console.print(shown)
    # Fonts from elsewhere are not loaded in a page of pictures anyway.
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="node-1", code_format=plain.replace("Fira Code, monospace", "monospace"))


def main() -> None:
    """Makes a lab of one engine, records, and removes it."""
    with Lab(1, prefix="node-", images=[msr_image()]) as lab:
        host = lab[1]
        host.hosts_text = f"{host.ip} {NAME}\n"
        host.write_hosts()
        directory = Path(tempfile.mkdtemp(prefix="msrctl-record-"))
        try:
            (directory / "password").write_text("correct horse battery staple\n")
            archive = directory / "image.tar"
            tiny_image(archive, f"{NAME}/team/hello:1.0", "hello")
            host.load(archive)
            first = session(host, COMMANDS[:1], directory)
            trust(host, directory)
            parts = first + session(host, COMMANDS[1:], directory)
        finally:
            shutil.rmtree(directory)
    SVG.parent.mkdir(exist_ok=True)
    SVG.write_text(svg_of(parts), encoding="utf-8")
    sys.stdout.write(f"{SVG}: {SVG.stat().st_size:,} bytes\n")


def trust(host: Host, directory: Path) -> None:
    """Makes the host's engine trust the registry's CA, as the registry itself hands it out."""
    target = directory / "ca.crt"
    subprocess.run(
        ["curl", "--silent", "--insecure", "--output", str(target), f"https://{host.ip}/ca"], check=True
    )
    host.trust(NAME, target.read_text())


if __name__ == "__main__":
    main()
