"""Which engine is meant, and what its messages become; without any engine."""

from __future__ import annotations

import errno
import hashlib
import json
import struct
import sys
from pathlib import Path

import pytest
import requests
import urllib3

from msrctl.engine import faults
from msrctl.engine.connect import DEFAULT_HOST, Endpoint, connect, host_of
from msrctl.engine.logstream import Record, lines_of, records_as_they_come, records_of, unix_stamp
from msrctl.engine.protocol import ApiError, Conflict, NotFound, OutOfSequence
from msrctl.engine.transport import ssh_command
from msrctl.errors import MsrctlError, Unreachable, UsageFault, WrongState


def context(home: Path, name: str, host: str, **more: object) -> None:
    ident = hashlib.sha256(name.encode()).hexdigest()
    meta = home / "contexts" / "meta" / ident
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(
        json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host, **more}}})
    )
    tls = home / "contexts" / "tls" / ident / "docker"
    tls.mkdir(parents=True)


class TestHost:
    def test_without_a_word_it_is_the_local_socket(self, tmp_path: Path) -> None:
        assert host_of({"HOME": str(tmp_path)}).url == DEFAULT_HOST

    def test_docker_host_goes_before_contexts(self, tmp_path: Path) -> None:
        environ = {"DOCKER_HOST": "tcp://a:2375", "DOCKER_CONTEXT": "prod", "DOCKER_CONFIG": str(tmp_path)}
        assert host_of(environ).url == "tcp://a:2375"

    def test_a_named_context_goes_before_the_current_one(self, tmp_path: Path) -> None:
        context(tmp_path, "prod", "tcp://prod:2376")
        context(tmp_path, "test", "ssh://ops@test")
        (tmp_path / "config.json").write_text('{"currentContext": "prod"}')
        environ = {"DOCKER_CONFIG": str(tmp_path)}
        assert host_of(environ).url == "tcp://prod:2376"
        assert host_of({**environ, "DOCKER_CONTEXT": "test"}).url == "ssh://ops@test"
        assert host_of({**environ, "DOCKER_CONTEXT": "default"}).url == DEFAULT_HOST

    def test_a_context_has_its_certificates_and_may_skip_verifying(self, tmp_path: Path) -> None:
        context(tmp_path, "prod", "tcp://prod:2376", SkipTLSVerify=True)
        host = host_of({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "prod"})
        assert host.certificates is not None
        assert host.certificates.is_dir()
        assert not host.verify

    @pytest.mark.parametrize("text", ["", "no json", "[]", "{}"])
    def test_a_broken_docker_configuration_is_as_good_as_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "config.json").write_text(text)
        assert host_of({"DOCKER_CONFIG": str(tmp_path)}).url == DEFAULT_HOST

    @pytest.mark.parametrize(
        ("environ", "certificates", "verify"),
        [
            ({}, None, True),
            ({"DOCKER_TLS_VERIFY": "1"}, "/root/.docker", True),
            ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"}, "/c", True),
            ({"DOCKER_CERT_PATH": "/c"}, "/c", False),
            ({"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""}, None, True),
        ],
    )
    def test_tls_by_environment(
        self, environ: dict[str, str], certificates: str | None, verify: bool
    ) -> None:
        host = host_of({"HOME": "/root", "DOCKER_HOST": "tcp://a:2376", **environ})
        assert host.certificates == (Path(certificates) if certificates else None)
        assert certificates is None or host.verify is verify

    def test_a_socket_needs_no_tls(self) -> None:
        host = host_of({"HOME": "/root", "DOCKER_HOST": "unix:///a.sock", "DOCKER_TLS_VERIFY": "1"})
        assert host.certificates is None

    def test_missing_certificates_are_told(self) -> None:
        environ = {"DOCKER_HOST": "tcp://a:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": __file__}
        with pytest.raises(Unreachable) as caught:
            connect(Endpoint(), environ)
        assert caught.value.code == "NO-CERTIFICATES"

    @pytest.mark.parametrize("url", ["foo://x", "tcp://host-without-port", "nonsense"])
    def test_an_address_that_is_none_is_a_usage_error(self, url: str) -> None:
        with pytest.raises(UsageFault):
            connect(Endpoint(), {"DOCKER_HOST": url})


def test_ssh_asks_nothing_without_a_terminal_and_takes_no_options_for_host_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    command = ssh_command("ssh://ops@host.example.com:2222")
    assert "BatchMode=yes" in command
    assert command[-5:] == ["--", "host.example.com", "docker", "system", "dial-stdio"]
    assert command[command.index("-l") + 1] == "ops"
    assert command[command.index("-p") + 1] == "2222"


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "text", "kind", "code"),
        [
            (404, "No such image: x", NotFound, "ENGINE"),
            (409, "config c already exists", Conflict, "ENGINE"),
            (
                500,
                "rpc error: code = Unknown desc = name conflicts with an existing object",
                Conflict,
                "ENGINE",
            ),
            (500, "network with name dtr-ol already exists", Conflict, "ENGINE"),
            (400, "config 'c' is in use by the following service: s", Conflict, "ENGINE"),
            (403, "error while removing network: network dtr-ol has active endpoints", Conflict, "ENGINE"),
            (500, "rpc error: code = Unknown desc = update out of sequence", OutOfSequence, "ENGINE"),
            (400, "name must be valid", ApiError, "ENGINE"),
            (
                503,
                "This node is not a swarm manager. Worker nodes can't be used to view cluster state.",
                WrongState,
                "NOT-MANAGER",
            ),
            (
                503,
                'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"',
                WrongState,
                "NO-SWARM",
            ),
            (
                503,
                "Swarm is encrypted and needs to be unlocked before use.",
                WrongState,
                "SWARM-LOCKED",
            ),
            (
                500,
                "rpc error: code = Unknown desc = The swarm does not have a leader.",
                Unreachable,
                "NO-LEADER",
            ),
            (500, "rpc error: code = DeadlineExceeded desc = context deadline", Unreachable, "NO-LEADER"),
            (
                500,
                "rpc error: code = Unknown desc = context deadline exceeded",
                Unreachable,
                "NO-LEADER",
            ),
            (503, "rpc error: code = Unavailable desc = transport is closing", Unreachable, "NO-LEADER"),
            (500, "raft: failed to process the request: node lost leader status", Unreachable, "NO-LEADER"),
            (
                400,
                "--live-restore daemon configuration is incompatible with swarm",
                WrongState,
                "LIVE-RESTORE",
            ),
            (401, "unauthorized", Unreachable, "NO-ACCESS"),
        ],
    )
    def test_the_engine_s_messages(self, status: int, text: str, kind: type[MsrctlError], code: str) -> None:
        body = json.dumps({"message": text})
        error = faults.from_answer(status, body, doing="do it", endpoint="unix:///e")
        assert type(error) is kind
        assert error.code == code
        assert isinstance(error, ApiError) or error.hint
        # A change that was asked of a swarm without a leader may still happen.
        assert (error.state is not None) == isinstance(error, WrongState)

    @pytest.mark.parametrize("body", ["", "plain text", "[1]", '{"other": 1}'])
    def test_bodies_that_are_not_the_engine_s(self, body: str) -> None:
        error = faults.from_answer(502, body, doing="do it", endpoint="unix:///e")
        assert error.message.startswith("do it: ")

    @pytest.mark.parametrize(
        ("cause", "code", "words"),
        [
            (PermissionError(errno.EACCES, "Permission denied"), "NO-PERMISSION", "no permission"),
            (FileNotFoundError(errno.ENOENT, "No such file or directory"), "NO-ENGINE", "no such file"),
            (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "NO-ENGINE", "refused"),
            (TimeoutError("timed out"), "NO-ENGINE", "in time"),
        ],
    )
    def test_connections_that_fail(self, cause: OSError, code: str, words: str) -> None:
        wrapped = requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", cause))
        error = faults.from_exception(wrapped, doing="connect", endpoint="unix:///e")
        assert error.code == code
        assert words in error.message
        assert error.hint


class TestLog:
    @staticmethod
    def frame(stamp: str, text: str, *, task: str = "t1", stream: int = 1) -> bytes:
        payload = f"2026-01-01T00:00:{stamp}Z com.docker.swarm.task.id={task} {text}".encode()
        return struct.pack(">BxxxL", stream, len(payload)) + payload

    def test_lines_of_several_tasks_come_in_the_order_of_time(self) -> None:
        data = (
            self.frame("02", "c\n")
            + self.frame("01", "a\n", task="t2")
            + self.frame("01", "b\n", task="t2", stream=2)
        )
        assert lines_of(data) == ["a", "b", "c"]

    def test_parts_of_a_long_line_are_joined_also_when_another_task_is_in_between(self) -> None:
        data = (
            self.frame("01", "one ")
            + self.frame("02", "two\n", task="t2")
            + self.frame("03", "line\n")
            + self.frame("04", "no end")
        )
        assert lines_of(data) == ["one line", "two", "no end"]

    def test_spaces_and_empty_lines_stay(self) -> None:
        assert lines_of(self.frame("01", "  a  b \n") + self.frame("02", "\n")) == ["  a  b ", ""]

    def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(self) -> None:
        assert lines_of(self.frame("01", "whole\n") + b"\x01\x00\x00") == ["whole"]
        assert lines_of(b"") == []

    def test_a_line_has_its_time_its_stream_and_its_task(self) -> None:
        data = self.frame("02", "b\n", stream=2) + self.frame("01", "a\n", task="t2")
        assert records_of(data) == [
            Record("2026-01-01T00:00:01Z", "stdout", "t2", "a"),
            Record("2026-01-01T00:00:02Z", "stderr", "t1", "b"),
        ]

    def test_a_stream_is_read_wherever_the_network_cuts_it_into_pieces(self) -> None:
        data = self.frame("01", "one ") + self.frame("02", "two\n", task="t2") + self.frame("03", "line\n")
        for size in range(1, len(data)):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            assert [r.text for r in records_as_they_come(pieces)] == ["two", "one line"]

    def test_what_the_engine_says_about_a_log_is_no_line_of_it(self) -> None:
        said = b"Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream."
        data = struct.pack(">BxxxL", 3, len(said) + 1) + said + b"\n" + self.frame("01", "a\n")
        assert [(r.stream, r.text) for r in records_of(data)] == [
            ("stdout", "a"),
            ("engine", said.decode()),
        ]

    def test_a_time_for_the_engine_keeps_its_nanoseconds(self) -> None:
        assert unix_stamp("1970-01-01T00:01:00.000000001Z") == "60.000000001"
        assert unix_stamp("1970-01-01T00:01:00Z") == "60.000000000"
