"""Whether two nodes reach each other over the overlay network: packets are sent, small ones and big ones.

Swarm calls an overlay ready without having sent anything through it. What is in the way is usually a closed
port (4789/udp for the data, 7946 for the names) or a smaller packet size underneath, which lets small packets
through and big ones disappear (reference: swarm.md).
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from msrctl.engine.oneshot import run_oneshot
from msrctl.engine.undo import remove
from msrctl.errors import MsrctlError
from msrctl.model import names
from msrctl.workflows.preflight import Check

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from msrctl.engine.protocol import Engine
    from msrctl.model.cluster import Cluster, Replica
    from msrctl.workflows.swarm import Node

JSON = dict[str, Any]

PORT = 4790
SERVE_SECONDS = 40.0
STOP_SECONDS = 10.0
"""How long the side that answers may take to end once it was asked."""
FIND_SECONDS = 20.0
"""How long a name may take to be known on the other node: gossip needs some seconds."""
ANSWER_SECONDS = 5.0
SIZES = (64, 1400, 8000)
"""Payloads in bytes: small, about a whole packet, and one that is sent in pieces."""
STREAM = 1 << 20


def overlay_checks(engine: Engine, cluster: Cluster, here: Replica, node: Node, image: str) -> list[Check]:
    """Sends packets between a replica's node and another one; one check in words.

    Arguments:
        engine: a manager.
        cluster: the document, for labels and the image.
        here: a replica whose node answers.
        node: the node that asks.
        image: image id with msrctl on that node.
    """
    name = f"msrctl-run-{secrets.token_hex(6)}"
    labels = {names.LABEL_CLUSTER: cluster.id}

    def answer_there() -> None:
        with contextlib.closing(engine.clone()) as connection, contextlib.suppress(MsrctlError):
            run_oneshot(
                connection,
                image_id=here.image,
                node_id=here.node_id,
                args=["node", "overlay-serve", "--seconds", str(SERVE_SECONDS)],
                networks=[names.NETWORK],
                labels=labels,
                timeout=SERVE_SECONDS + 30,
                name=name,
                wait_gone=False,
            )

    # If nobody asks it, it would go on for SERVE_SECONDS: then it is taken away, and not waited for.
    served = threading.Thread(target=answer_there, daemon=True)
    served.start()
    answer: JSON | None = None
    try:
        result = run_oneshot(
            engine,
            image_id=image,
            node_id=node.id,
            args=["node", "overlay-try", name, "--seconds", str(FIND_SECONDS)],
            networks=[names.NETWORK],
            labels=labels,
            timeout=SERVE_SECONDS + 30,
            wait_gone=False,
        )
        answer = result.lines[-1] if result.lines else None
    finally:
        if answer and answer["ok"]:
            served.join(STOP_SECONDS)
        else:
            remove(engine, "services", name)
    title = f"overlay {names.NETWORK} between {here.node_name} and {node.name}"
    if answer is None:
        return [_failed(title, f"was not tried: {result.why}")]
    if answer["ok"]:
        seen = f"{answer['milliseconds']:.1f} ms, 1 MiB in {answer['seconds']:.2f} s"
        return [Check(title, ok=True, detail=seen)]
    return [_failed(title, answer["error"])]


def _failed(title: str, why: str) -> Check:
    return Check(
        title,
        ok=False,
        detail=f"does not work: {why}",
        code="PRE-OVERLAY",
        hint="Open 7946/tcp, 7946/udp and 4789/udp between the nodes; if only big packets fail, the network "
        "underneath has a smaller MTU than the overlay thinks. --skip-network-test joins all the same.",
    )


# -- on the nodes


def serve(options: argparse.Namespace) -> Iterator[JSON]:
    """Answers every packet with itself, and takes one stream, until told to stop or the time is over."""
    end = time.monotonic() + options.seconds
    stop = threading.Event()

    def datagrams() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("", PORT))
            server.settimeout(0.5)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    data, address = server.recvfrom(65535)
                    server.sendto(data, address)

    thread = threading.Thread(target=datagrams, daemon=True)
    thread.start()
    with socket.create_server(("", PORT)) as listener:
        listener.settimeout(1)
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(ANSWER_SECONDS * 2)
                with connection:
                    got = _receive(connection)
                    connection.sendall(got.to_bytes(8, "big"))
                break
    stop.set()
    thread.join(2)
    yield {"ok": True}


def _receive(connection: socket.socket) -> int:
    got = 0
    with contextlib.suppress(TimeoutError):
        while got < STREAM:
            data = connection.recv(65536)
            if not data:
                break
            got += len(data)
    return got


def try_out(options: argparse.Namespace) -> Iterator[JSON]:
    """Finds the other side by its name, sends packets of each size, and a stream."""
    address = _resolve(options.name, options.seconds)
    if address is None:
        error = f"the name of a task on the other node is not known after {options.seconds:.0f} s"
        yield {"ok": False, "error": error}
        return
    fastest = ANSWER_SECONDS * 1000
    for size in SIZES:
        milliseconds = _echo(address, size)
        if milliseconds is None:
            lost = "no packet comes back" if size == SIZES[0] else f"packets of {size} bytes do not come back"
            yield {"ok": False, "error": lost}
            return
        fastest = min(fastest, milliseconds)
    began = time.monotonic()
    try:
        with socket.create_connection((address, PORT), timeout=ANSWER_SECONDS) as stream:
            stream.settimeout(ANSWER_SECONDS * 2)
            stream.sendall(bytes(STREAM))
            got = int.from_bytes(stream.recv(8), "big")
    except OSError as error:
        yield {"ok": False, "error": f"a stream of 1 MiB breaks: {error}"}
        return
    if got != STREAM:
        yield {"ok": False, "error": f"of a stream of 1 MiB {got:,} bytes arrive"}
        return
    yield {"ok": True, "milliseconds": fastest, "seconds": round(time.monotonic() - began, 3)}


def _resolve(name: str, seconds: float) -> str | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return socket.gethostbyname(name)
        except OSError:
            time.sleep(0.2)
    return None


def _echo(address: str, size: int) -> float | None:
    """Milliseconds until a packet has come back; None if it does not, three times."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(ANSWER_SECONDS / 3)
        data = secrets.token_bytes(size)
        for _ in range(3):
            began = time.monotonic()
            client.sendto(data, (address, PORT))
            with contextlib.suppress(OSError):
                if client.recvfrom(65535)[0] == data:
                    return (time.monotonic() - began) * 1000
    return None
