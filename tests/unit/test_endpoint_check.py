"""The check of a store's address: proxies, several addresses, and what servers of other kinds answer."""

from __future__ import annotations

import errno
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from msrctl.transfer.endpoint_check import Setting, check_endpoint, proxy_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def server(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Answers everything with the same bytes and hangs up; yields its port and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(4096))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def last(url: str, **more: Any) -> dict[str, Any]:
    """The last check, which is the only one that may have failed."""
    *before, end = check_endpoint(url, seconds=1, **more)
    assert all(check["ok"] for check in before)
    return end


def test_any_answer_in_http_is_good() -> None:
    for status in ("200 OK", "403 Forbidden", "400 Bad Request", "503 Busy"):
        with server(f"HTTP/1.1 {status}\r\n\r\n".encode()) as (port, _):
            end = last(f"http://127.0.0.1:{port}")
        assert end["ok"], end
        assert end["detail"].endswith(" ms")


def test_another_protocol_is_told() -> None:
    with server(b"SSH-2.0-OpenSSH\r\n") as (port, _):
        assert last(f"http://127.0.0.1:{port}")["code"] == "PRE-STORE-NOT-HTTP"
        assert last(f"https://127.0.0.1:{port}")["code"] == "PRE-STORE-TLS-OTHER"
    with server(b"") as (port, _):
        assert last(f"http://127.0.0.1:{port}")["code"] == "PRE-STORE-CLOSED"


def test_plain_http_that_waits_for_more_is_told_too() -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
        end = last(f"https://127.0.0.1:{port}", setting=Setting(address="authurl"))
    assert end["code"] == "PRE-STORE-TLS-PLAIN"
    assert f"Write http://127.0.0.1:{port} in authurl" in end["hint"]


def test_a_proxy_is_used_as_the_registry_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        end = last("https://store.invalid:9000")
    assert end["code"] == "PRE-STORE-PROXY"
    assert "407" in end["detail"]
    assert "--no-proxy" in end["hint"]
    assert asked[0].startswith(b"CONNECT store.invalid:9000 HTTP/1.1\r\n")


def test_the_proxy_of_a_url() -> None:
    assert proxy_for("https://store.example") is None


@pytest.mark.parametrize(
    ("url", "exempt", "wanted"),
    [
        ("https://store.example:9000", "", ("proxy", 3128)),
        ("http://store.example", "", None),
        ("https://store.example:9000", "store.example", None),
        ("https://store.example:9000", ".example", None),
        ("https://store.example:9000", "other.example", ("proxy", 3128)),
    ],
)
def test_exemptions_from_the_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, exempt: str, wanted: tuple[str, int] | None
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert proxy_for(url) == wanted


def test_name_servers_that_do_not_answer_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60) and [])
    began = time.monotonic()
    end = last("https://store.example")
    release.set()
    assert time.monotonic() - began < 5
    assert end["code"] == "PRE-STORE-NAME"
    assert "no answer from the name servers" in end["detail"]


def test_a_second_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", p)) for p in (1, port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert last("http://store.example")["ok"]


def test_no_route_is_not_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert last("http://127.0.0.1:1")["code"] == "PRE-STORE-UNREACHABLE"


def test_the_whole_check_has_a_limit_even_if_every_step_is_just_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = socket.getaddrinfo

    def slow(*arguments: Any, **more: Any) -> Any:
        threading.Event().wait(0.8)
        return asked(*arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        end = last(f"https://127.0.0.1:{silent.getsockname()[1]}")
    assert end["code"] == "PRE-STORE-TIMEOUT"
    assert time.monotonic() - began < 4
