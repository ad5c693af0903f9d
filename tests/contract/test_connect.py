"""Every way to an engine, and every way in which it can be barred; on real engines."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import traceback
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from fakes.mke_front import MkeFront, Stumble
from labs.cleaning import clean as clean_lab
from labs.engines import Lab
from labs.system import eventually
from msrctl.engine import patience
from msrctl.engine.connect import Endpoint, connect
from msrctl.engine.mke import base_of
from msrctl.engine.protocol import Conflict, Kind, OutOfSequence
from msrctl.errors import MsrctlError, Unreachable, UsageFault, WrongState
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from msrctl.engine.docker import DockerEngine

pytestmark = pytest.mark.engine


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def mke(pair: Lab, tmp_path: Path) -> Iterator[MkeFront]:
    from pathlib import Path

    with MkeFront(Path(pair[1].sock), tmp_path) as front:
        yield front


def endpoint(front: MkeFront, **changes: object) -> Endpoint:
    values = {
        "ucp_url": front.url,
        "ucp_username": front.username,
        "ucp_password": Secret(front.password),
        "ucp_ca": front.ca,
        **changes,
    }
    return Endpoint(**values)  # type: ignore[arg-type]


def test_docker_host_names_the_engine(pair: Lab) -> None:
    engine = connect(Endpoint(), {"DOCKER_HOST": pair[1].url})
    assert engine.info()["Name"] == "node1"
    assert engine.endpoint == f"{pair[1].url} (DOCKER_HOST)"


@pytest.mark.parametrize("chosen_by", ["DOCKER_CONTEXT", "config.json"])
def test_a_docker_context_names_the_engine(pair: Lab, tmp_path: Path, chosen_by: str) -> None:
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"prod").hexdigest()
    meta.mkdir(parents=True)
    context = {"Name": "prod", "Metadata": {}, "Endpoints": {"docker": {"Host": pair[1].url}}}
    (meta / "meta.json").write_text(json.dumps(context))
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    if chosen_by == "DOCKER_CONTEXT":
        environ["DOCKER_CONTEXT"] = "prod"
    else:
        (tmp_path / "config.json").write_text('{"currentContext": "prod"}')
    engine = connect(Endpoint(), environ)
    assert engine.info()["Name"] == "node1"
    assert "docker context prod" in engine.endpoint
    with pytest.raises(Unreachable, match=r"nope\.sock"):
        connect(Endpoint(), {**environ, "DOCKER_HOST": "unix:///nope.sock"})  # goes first


def test_a_context_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreachable) as caught:
        connect(Endpoint(), {"DOCKER_CONTEXT": "gone", "DOCKER_CONFIG": "/nope"})
    assert caught.value.code == "NO-CONTEXT"


def test_ssh_runs_the_docker_cli_there(pair: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "ssh"
    fake.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        f"open({str(tmp_path / 'argv')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        f"os.execvp('docker', ['docker', '-H', {pair[1].url!r}, *sys.argv[sys.argv.index('docker') + 1:]])\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    engine = connect(Endpoint(), {"DOCKER_HOST": "ssh://ops@node1.example.com:2222"})
    assert engine.info()["Name"] == "node1"
    assert len(engine.nodes()) == 2
    other = engine.clone()
    assert other.info()["Name"] == "node1"
    other.close()
    engine.close()
    said = (tmp_path / "argv").read_text()
    assert "-l ops -p 2222 -- node1.example.com docker system dial-stdio" in said
    assert "ConnectTimeout" in said


def test_ssh_that_fails_is_told_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text(
        "#!/bin/sh\necho 'ops@host: Permission denied (publickey).' >&2; exit 255\n"
    )
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unreachable, match=r"Permission denied \(publickey\)"):
        connect(Endpoint(), {"DOCKER_HOST": "ssh://ops@host"})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("unix:///nope.sock", "no such file"),
        ("tcp://127.0.0.1:1", "connection refused"),
        ("tcp://nobody.invalid:2375", "nobody.invalid"),
    ],
)
def test_no_engine_at_all(url: str, reason: str) -> None:
    with pytest.raises(Unreachable, match=reason) as caught:
        connect(Endpoint(), {"DOCKER_HOST": url})
    assert caught.value.code == "NO-ENGINE"
    assert "systemctl start docker" in (caught.value.hint or "")


def test_a_socket_that_the_user_may_not_use(pair: Lab) -> None:
    connect(
        Endpoint(), {"DOCKER_HOST": pair[1].url}
    ).close()  # imports what an ordinary user may not read here
    os.seteuid(65534)
    try:
        with pytest.raises(Unreachable) as caught:
            connect(Endpoint(), {"DOCKER_HOST": pair[1].url})
    finally:
        os.seteuid(0)
    assert caught.value.code == "NO-PERMISSION"
    assert "usermod -aG docker" in (caught.value.hint or "")


class _OldEngine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"Version": "19.03.15", "ApiVersion": "1.40", "MinAPIVersion": "1.12"}')

    def log_message(self, *_: object) -> None:
        pass


def test_an_engine_that_is_too_old() -> None:
    server = HTTPServer(("127.0.0.1", 0), _OldEngine)
    Thread(target=server.handle_request, daemon=True).start()
    with pytest.raises(WrongState, match=r"speaks API 1\.40, and 1\.41") as caught:
        connect(Endpoint(), {"DOCKER_HOST": f"tcp://127.0.0.1:{server.server_address[1]}"})
    server.server_close()
    assert caught.value.code == "ENGINE-TOO-OLD"


def test_a_worker_is_told_from_an_engine_in_no_swarm(pair: Lab, tiny: Path) -> None:
    worker = connect(Endpoint(), {"DOCKER_HOST": pair[2].url})
    with pytest.raises(WrongState) as caught:
        worker.nodes()
    assert caught.value.code == "NOT-MANAGER"
    with Lab(1) as lab:
        alone = connect(Endpoint(), {"DOCKER_HOST": lab[1].url})
        with pytest.raises(WrongState) as caught:
            alone.list("services")
        assert caught.value.code == "NO-SWARM"
        node = alone.init_swarm(lab[1].ip)
        assert [n["ID"] for n in alone.nodes()] == [node]
        alone.leave_swarm()
        assert alone.info()["Swarm"]["LocalNodeState"] == "inactive"
        _locked_swarm(alone, lab)
        _live_restore(lab)


def _locked_swarm(alone: DockerEngine, lab: Lab) -> None:
    alone.init_swarm(lab[1].ip)
    lab[1].cli("swarm", "update", "--autolock")
    lab[1].stop_docker()
    lab[1].start_docker()
    with pytest.raises(WrongState) as caught:
        connect(Endpoint(), {"DOCKER_HOST": lab[1].url}).list("services")
    assert caught.value.code == "SWARM-LOCKED"
    lab[1].cli("swarm", "leave", "--force")


def _live_restore(lab: Lab) -> None:
    lab[1].stop_docker()
    lab[1].start_docker("--live-restore")
    with pytest.raises(WrongState) as caught:
        connect(Endpoint(), {"DOCKER_HOST": lab[1].url}).init_swarm(lab[1].ip)
    assert caught.value.code == "LIVE-RESTORE"


def test_a_swarm_that_has_lost_most_of_its_managers_has_no_leader() -> None:
    with Lab(3) as lab:
        lab.swarm(managers=3)
        lab[2].power_off()
        lab[3].power_off()
        engine = connect(Endpoint(), {"DOCKER_HOST": lab[1].url})

        def refused() -> bool:
            try:
                engine.list("services")
            except MsrctlError as error:
                if error.code != "NO-LEADER":
                    # Seen once, for a moment, with an answer of the engine that msrctl has no words for.
                    warnings.warn(f"{error.code}: {error}", stacklevel=1)
                return error.code == "NO-LEADER"
            return False

        eventually(refused, 60, what="the leader is missed")


class TestMke:
    """An MKE controller."""

    def test_log_in_and_use_it(self, mke: MkeFront) -> None:
        engine = connect(endpoint(mke), {})
        assert engine.info()["Name"] == "node1"
        clone = engine.clone()
        ident = clone.create("configs", {"Name": "over-mke", "Labels": {}, "Data": "aGk="})
        assert engine.find("configs", "over-mke") is not None
        assert engine.remove("configs", ident)
        assert mke.logins == 1
        assert "admin" in engine.endpoint
        assert mke.password not in engine.endpoint

    def test_a_token_that_has_expired_is_renewed_once_for_any_request(self, mke: MkeFront) -> None:
        engine = connect(endpoint(mke), {})
        mke.expire()
        ident = engine.create("configs", {"Name": "over-mke", "Labels": {}, "Data": "aGk="})
        assert mke.logins == 2
        mke.expire()
        assert engine.remove("configs", ident)
        mke.expire()
        mke.password = "changed"
        with pytest.raises(Unreachable) as caught:
            engine.nodes()
        assert caught.value.code == "UCP-LOGIN"

    def test_a_url_without_scheme_is_https(self, mke: MkeFront) -> None:
        engine = connect(endpoint(mke, ucp_url=mke.url.removeprefix("https://")), {})
        assert engine.info()["Name"] == "node1"

    def test_an_unknown_certificate_is_shown_and_nothing_is_sent(self, mke: MkeFront) -> None:
        with pytest.raises(Unreachable) as caught:
            connect(endpoint(mke, ucp_ca=None), {})
        error = caught.value
        assert error.code == "UCP-CERTIFICATE"
        assert mke.fingerprint in error.details[0]
        assert "--ucp-ca" in (error.hint or "")
        assert "--ucp-insecure-tls" in (error.hint or "")
        assert mke.logins == 0

    def test_the_environment_does_not_change_what_is_trusted(
        self, mke: MkeFront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        with pytest.raises(Unreachable) as caught:
            connect(endpoint(mke, ucp_ca=None), {})
        assert caught.value.code == "UCP-CERTIFICATE"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nope")
        assert connect(endpoint(mke), {}).info()["Name"] == "node1"

    def test_the_port_is_443_unless_told(self) -> None:
        assert base_of("ucp.example.com") == "https://ucp.example.com:443"
        assert base_of("https://[::1]:8443/") == "https://[::1]:8443"
        with pytest.raises(Unreachable, match=r"https://ucp\.invalid:443"):
            connect(Endpoint("ucp.invalid", "admin", Secret("x")), {})

    def test_insecure_tls_verifies_nothing(self, mke: MkeFront) -> None:
        engine = connect(endpoint(mke, ucp_ca=None, ucp_insecure_tls=True), {})
        assert engine.info()["Name"] == "node1"

    def test_a_wrong_password_is_in_no_error(self, mke: MkeFront) -> None:
        wrong = "s3cret-that-must-not-show"
        with pytest.raises(Unreachable) as caught:
            connect(endpoint(mke, ucp_password=Secret(wrong)), {})
        assert caught.value.code == "UCP-LOGIN"
        assert wrong not in "".join(traceback.format_exception(caught.value))
        assert wrong not in f"{caught.value} {caught.value.hint} {caught.value.details}"

    @pytest.mark.parametrize(
        "changes",
        [
            {"ucp_url": "http://127.0.0.1"},
            {"ucp_url": "https://user:password@127.0.0.1"},
            {"ucp_username": None},
            {"ucp_password": None},
            {"ucp_ca": "no pem"},
        ],
    )
    def test_what_does_not_fit_together_is_refused_before_anything_is_sent(
        self, mke: MkeFront, changes: Mapping[str, object]
    ) -> None:
        with pytest.raises(UsageFault):
            connect(endpoint(mke, **changes), {})
        assert mke.logins == 0

    def test_a_controller_that_does_not_answer(self, mke: MkeFront) -> None:
        with pytest.raises(Unreachable) as caught:
            connect(endpoint(mke, ucp_url="https://127.0.0.1:1"), {})
        assert caught.value.code == "NO-ENGINE"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between two tries."""
    monkeypatch.setattr(patience, "PAUSES", (0.01, 0.01, 0.01))


@pytest.mark.usefixtures("hasty")
class TestBalancer:
    """A load balancer in front of the controller that cuts requests."""

    @pytest.fixture
    def engine(self, mke: MkeFront, pair: Lab) -> DockerEngine:
        clean_lab(pair)
        return connect(endpoint(mke), {})

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_what_is_cut_on_the_way_to_the_engine_is_asked_again(self, mke: MkeFront, method: str) -> None:
        mke.stumbles = [Stumble(method, "/") for _ in range(3)]
        engine = connect(endpoint(mke), {})
        assert engine.create("configs", {"Name": "cut", "Labels": {}, "Data": "aGk="})
        assert engine.remove("configs", "cut")
        assert mke.stumbles == []

    def test_a_balancer_that_never_lets_anything_through_is_named(
        self, mke: MkeFront, engine: DockerEngine
    ) -> None:
        mke.stumbles = [Stumble("GET", "/nodes") for _ in range(20)]
        with pytest.raises(Unreachable) as caught:
            engine.nodes()
        assert caught.value.code == "UCP-GATEWAY"
        assert "--ucp-url" in (caught.value.hint or "")
        assert "<html>" not in caught.value.message
        mke.stumbles = [Stumble("POST", "/create") for _ in range(20)]
        with pytest.raises(Unreachable, match="create config never"):
            engine.create("configs", {"Name": "never", "Labels": {}, "Data": "aGk="})

    @pytest.mark.parametrize("kind", ["configs", "secrets", "networks", "services"])
    def test_an_object_whose_answer_was_lost_is_made_once(
        self, mke: MkeFront, engine: DockerEngine, kind: Kind
    ) -> None:
        specs = {
            "networks": {"Name": "lost", "Driver": "overlay", "Labels": {"a": "b"}},
            "services": self.service(engine),
        }
        spec = specs.get(kind, {"Name": "lost", "Labels": {"a": "b"}, "Data": "aGk="})
        mke.stumbles = [Stumble("POST", f"/{kind}/create", acted=True)]
        ident = engine.create(kind, spec)
        assert mke.stumbles == []
        found = engine.list(kind, {"a": "b"})
        assert [one.get("ID") or one.get("Id") for one in found] == [ident]
        mke.stumbles = [Stumble("DELETE", f"/{kind}", acted=True)]
        assert engine.remove(kind, ident)
        assert engine.find(kind, "lost") is None

    def test_a_name_that_somebody_else_took_is_not_claimed(self, mke: MkeFront, engine: DockerEngine) -> None:
        engine.create("configs", {"Name": "lock", "Labels": {}, "Data": "dGhlaXJz"})
        mke.stumbles = [Stumble("POST", "/configs/create")]
        with pytest.raises(Conflict):
            engine.create("configs", {"Name": "lock", "Labels": {}, "Data": "b3Vycw=="})

    @pytest.mark.parametrize("acted", [False, True])
    def test_an_update_whose_answer_was_lost_is_in_force_once(
        self, mke: MkeFront, engine: DockerEngine, acted: bool
    ) -> None:
        network = f"net-{acted}"
        engine.create("networks", {"Name": network, "Driver": "overlay", "Labels": {}})
        spec = self.service(engine)
        ident = engine.create("services", spec)
        found = engine.find("services", "lost")
        assert found is not None
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = ["A=b"]
        spec["TaskTemplate"]["Networks"] = [{"Target": network}]
        mke.stumbles = [Stumble("POST", "/update", acted=acted)]
        engine.update("services", ident, found["Version"]["Index"], spec)
        assert mke.stumbles == []
        now = engine.find("services", "lost")
        assert now is not None
        assert now["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=b"]
        with pytest.raises(OutOfSequence):
            engine.update("services", ident, found["Version"]["Index"], spec)

    def test_a_log_that_is_followed_ends_when_it_is_cut_and_goes_on_from_there(
        self, mke: MkeFront, engine: DockerEngine
    ) -> None:
        spec = self.service(engine)
        spec["TaskTemplate"]["ContainerSpec"]["Command"] = [
            *("/bin/sh", "-c", "n=0; while :; do n=$((n + 1)); echo line $n; sleep 0.1; done")
        ]
        engine.create("services", spec)
        eventually(lambda: list(engine.records("lost", tail=1)), 30, what="it writes")
        mke.cut_after = 1.0
        first = list(engine.records("lost", follow=True))
        second = list(engine.records("lost", follow=True, since=first[-1].time))
        assert mke.cuts == 2
        numbers = [int(r.text.split()[1]) for r in [*first, *second] if r.stream == "stdout"]
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1)), "a line is missing"

    @staticmethod
    def service(engine: DockerEngine) -> dict[str, Any]:
        image = engine.image("msrctl-test/tiny:1")
        assert image is not None
        sleeps = ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]
        return {
            "Name": "lost",
            "Labels": {"a": "b"},
            "EndpointSpec": {"Mode": "dnsrr"},
            "TaskTemplate": {
                "ContainerSpec": {"Image": image["Id"], "Command": sleeps, "StopGracePeriod": 10**9},
                "Placement": {"Constraints": [f"node.id=={engine.info()['Swarm']['NodeID']}"]},
            },
        }
