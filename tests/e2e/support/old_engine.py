"""A front before a real engine that says of itself it were an old one: no engine that old is to be had."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def old_engine(real: str, path: Path, api: str = "1.40") -> Iterator[str]:
    """Serves at a socket what the engine at the socket `real` answers, with another API version in it.

    Arguments:
        real: path of the real engine's socket.
        path: where to listen; short, as sockets' paths are.
        api: what it says in the body and in the header of each answer; of the same length as the real one.

    Yields:
        the endpoint, for DOCKER_HOST.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                one = listener.accept()[0]
                threading.Thread(target=_answer, args=(one, real, api.encode()), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"unix://{path}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _answer(client: socket.socket, real: str, api: bytes) -> None:
    with client, socket.socket(socket.AF_UNIX) as engine:
        engine.connect(real)
        request = client.recv(65536)
        # One request for each connection, so that the end of the answer is the end of the stream.
        engine.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        answer = b""
        while piece := engine.recv(65536):
            answer += piece
        client.sendall(re.sub(rb'(Api-Version: |"ApiVersion":")1\.\d\d', rb"\g<1>" + api, answer))
