"""A support bundle has what helps, says what it has not, and holds no secret wherever one was planted."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from cli_support import run
from plan_support import CLUSTER, NGINX, REGISTRY, REPLICA, Recorder, an_engine, put

from msrctl.backup import output
from msrctl.engine.journal import Journal, JournalHeader
from msrctl.engine.lock import Lock
from msrctl.engine.logstream import Record
from msrctl.engine.state import StateStore
from msrctl.errors import MsrctlError, Unreachable
from msrctl.model import names
from msrctl.model.cluster import Cluster, Storage
from msrctl.model.requests import CommonRequest, EndpointRequest, StatusRequest, SupportBundleRequest
from msrctl.secret import Secret
from msrctl.ui import data
from msrctl.workflows import bundle_parts, support_bundle
from msrctl.workflows import status as telling
from msrctl.workflows.redact import Redactor

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.engine import FakeEngine

KEY = (
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIPLANTEDkeyline1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n"
    "PLANTEDkeyline2wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww==\n"
    "-----END EC PRIVATE KEY-----"
)
UCP_PASSWORD = 'planted/ucp "pass" wörd'


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A deployment that runs, answers, and has logs."""
    made, cluster = an_engine()
    store = Storage(
        kind="s3",
        parameters={"bucket": "images", "region": "eu-west-1"},
        secrets={"secretkey": "dtr-store-secretkey-1"},
    )
    cluster = replace(cluster, storage=store)
    put(made, cluster)
    StateStore(made).write(cluster.to_json(), 1, cluster=cluster.id)
    seen = [telling.probe.Seen(component, ok=True, detail="answers") for component in names.COMPONENTS]
    monkeypatch.setattr(support_bundle, "open_engine", lambda _: made)
    monkeypatch.setattr(telling.probe, "health", lambda *_: seen)
    return made


def log(engine: FakeEngine, service: str, *texts: str) -> None:
    found = engine.find("services", service)
    assert found is not None
    engine.swarm.logs[found["ID"]] = [
        Record(f"2026-01-01T00:00:{n:02d}.000000000Z", "stdout", "t", text) for n, text in enumerate(texts)
    ]


def bundle(tmp_path: Path, **more: Any) -> dict[str, str]:
    """The files of a new bundle by their names."""
    endpoint = EndpointRequest(ucp_url="https://mke", ucp_password=Secret(UCP_PASSWORD))
    request = SupportBundleRequest(CommonRequest(endpoint), output_file=str(tmp_path / "b.tar.gz"), **more)
    made = support_bundle.support_bundle(request, Recorder())
    assert made.path == str(tmp_path / "b.tar.gz")
    return unpacked((tmp_path / "b.tar.gz").read_bytes())


def unpacked(packed: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        found = {}
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            assert member.mode == 0o600
            directory, _, name = member.name.partition("/")
            assert directory.startswith("msrctl-support-")
            found[name] = content.read().decode()
        return found


def index(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in json.loads(files["index.json"])["parts"]}


def test_everything_that_helps_is_in_it(engine: FakeEngine, tmp_path: Path) -> None:
    log(engine, REGISTRY, "listening", "served")
    with Lock(engine, "msrctl reconfigure"):
        files = bundle(tmp_path, tail=1)
    assert all(part["complete"] for part in index(files).values()), files["index.json"]
    assert json.loads(files["cluster.json"])["id"] == CLUSTER
    assert json.loads(files["versions.json"])["engine"]["Version"] == "20.10.24"
    services = {s["Spec"]["Name"] for s in json.loads(files["services.json"])}
    assert services == {NGINX, REGISTRY}
    assert set(json.loads(files["tasks.json"])) == services
    assert json.loads(files["nodes.json"])[0]["Description"]["Hostname"] == "node-1"
    assert json.loads(files["lock.json"])["command"] == "msrctl reconfigure"
    assert json.loads(files["journal.json"]) is None
    assert files[f"logs/{REPLICA}-registry.log"] == "2026-01-01T00:00:01.000000000Z stdout served\n"
    rendered = [text for name, text in files.items() if name.startswith("rendered/dtr-registry-config-yml")]
    assert 'secretkey: {{ printf "%q" (secret "store.secretkey") }}' in rendered[0]


def test_the_status_in_it_is_that_of_msrctl_status(engine: FakeEngine, tmp_path: Path) -> None:
    found = telling.look(engine, StatusRequest(CommonRequest()))  # type: ignore[arg-type]
    assert json.loads(bundle(tmp_path)["status.json"]) == json.loads(json.dumps(data.of(found)))


def test_names_of_secrets_stay_for_they_tell_what_is_missing(engine: FakeEngine, tmp_path: Path) -> None:
    files = bundle(tmp_path)
    document = json.loads(files["cluster.json"])
    assert document["http_secret"] == "dtr-http-secret-1"
    assert document["storage"]["secrets"] == {"secretkey": "dtr-store-secretkey-1"}
    registry = next(s for s in json.loads(files["services.json"]) if s["Spec"]["Name"] == REGISTRY)
    used = registry["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert "dtr-http-secret-1" in {s["SecretName"] for s in used}


def plant_everywhere(engine: FakeEngine) -> list[str]:
    """Puts a secret into every place that a bundle is made from; returns what must not be found."""
    planted = [f"PLANTED-{n}-zq9" for n in range(40)]
    left = iter(planted)
    cluster = Cluster.from_json(StateStore(engine).read().document)  # type: ignore[union-attr]
    for found in engine.swarm.objects["secrets"].values():
        found["Spec"]["Data"] = base64.b64encode(next(left).encode()).decode()
    service = next(s for s in engine.swarm.objects["services"].values() if s["Spec"]["Name"] == REGISTRY)
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    container["Env"] = [
        f"BY_HAND={next(left)}",
        f"REGISTRY_STORAGE_S3_SECRETKEY={next(left)}",
        f"HTTP_PROXY=http://user:{next(left)}@proxy:3128",
    ]
    service["Spec"]["Labels"] |= {"admin.password": next(left), "note": f"password={next(left)}"}
    document = cluster.to_json()
    document["storage"]["parameters"] |= {
        "regionendpoint": f"https://key:{next(left)}@s3.example.com",
        "accountkey": next(left),
    }
    document["settings"]["custom_ca_cert_bundle"] = KEY
    for found in engine.swarm.objects["configs"].values():
        if found["Spec"]["Labels"].get(names.LABEL_COMPONENT) == "config":
            found["Spec"]["Data"] = base64.b64encode(f"by hand: {next(left)}".encode()).decode()
    StateStore(engine).write({**document, "generation": 2}, 2, cluster=cluster.id)
    undo = {"kind": "service", "spec": {"Env": [f"OLD={next(left)}"], "token": {"value": next(left)}}}
    extra = {"password": next(left), "nested": [{"secret_key": next(left)}]}
    header = JournalHeader("reconfigure", f"msrctl x --dtr-key '{KEY}'", "a@b", CLUSTER, extra=extra)
    Journal.create(engine, header).begin(0, [undo])
    engine.swarm.nodes[0]["Description"]["Engine"] = {"Labels": {"api_key": next(left)}}
    basic = base64.b64encode(f"admin:{next(left)}".encode()).decode()
    log(
        engine,
        REGISTRY,
        f"Authorization: Basic {basic}",
        f'level=debug msg="login" password={next(left)}',
        f'{{"auth_token": "{next(left)}", "user": "admin"}}',
        f"GET https://s3/x?X-Amz-Signature={next(left)}&X-Amz-Credential={next(left)}/eu",
        f"PATCH /v2/a/blobs/uploads/1?_state={next(left)}",
        f"redis://:{next(left)}@cache:6379",
        f"password: {next(left)} with more words {next(left)}",
        f'http.request.header.authorization="Bearer {next(left)}"',
        "admin:$2y$10$PLANTEDbcryptPLANTEDbcryptPLANTEDbcryptPLANTEDbcrypt12",
        "token eyJhbGciOiJSUzI1NiJ9.PLANTEDjwt.PLANTEDsignature",
        "using AKIAPLANTED123456789 for s3",
        f"the controller was asked with {UCP_PASSWORD}",
        f"and with {quote(UCP_PASSWORD, safe='')} and {json.dumps(UCP_PASSWORD)}",
        *KEY.splitlines(),
    )
    log(engine, NGINX, KEY.replace("\n", "\\n"), "cut " + KEY[:80])
    return [*planted, basic, UCP_PASSWORD, "wörd", "PLANTED"]


def test_no_secret_is_in_it_wherever_one_was_planted(engine: FakeEngine, tmp_path: Path) -> None:
    planted = plant_everywhere(engine)
    files = bundle(tmp_path)
    found = {(name, text) for name, content in files.items() for text in planted if text in content}
    assert found == set()
    # It was looked at, and not left out.
    assert all(part["complete"] for part in index(files).values()), files["index.json"]
    assert "Authorization: ****" in files[f"logs/{REPLICA}-registry.log"]
    assert "BY_HAND=****" in files["services.json"]
    assert "http://****@proxy:3128" in files["services.json"]


@pytest.mark.parametrize(
    "harmless",
    [
        "sha256:3f53bb6036fcdb3ed0a3e3b6c3ad4d8a3f53bb6036fcdb3ed0a3e3b6c3ad4d8a",
        "GET /v2/team/app/manifests/1.0 HTTP/1.1",
        'time="2026-01-01T00:00:00Z" level=info msg="listening on [::]:5000"',
        "auth.user.name=admin http.request.remoteaddr=10.0.0.1",
        "https://registry.example.com/v2/",
    ],
)
def test_what_helps_is_not_masked(harmless: str) -> None:
    assert Redactor().text(harmless) == harmless


def test_a_long_word_does_not_take_long() -> None:
    import time

    began = time.monotonic()
    for text in ("a" * 200_000, "secret" * 30_000, "a-" * 100_000, 'x"' * 100_000):
        Redactor().text(text)
    assert time.monotonic() - began < 10


def test_parts_that_cannot_be_had_are_named_and_the_others_are_there(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_leader(*_: object) -> None:
        raise Unreachable("the swarm has no leader, said with password=PLANTED", code="NO-LEADER")

    monkeypatch.setattr(engine.__class__, "nodes", no_leader)
    monkeypatch.setattr(bundle_parts.locking, "status", lambda _: 1 / 0)
    files = bundle(tmp_path)
    parts = index(files)
    assert not parts["nodes.json"]["complete"]
    assert "no leader" in parts["nodes.json"]["note"]
    assert "ZeroDivisionError" in parts["lock.json"]["note"]
    assert "nodes.json" not in files
    assert json.loads(files["cluster.json"])["id"] == CLUSTER
    assert "PLANTED" not in files["index.json"]


def test_a_swarm_with_nothing_installed_gives_a_bundle_that_says_so(
    engine: FakeEngine, tmp_path: Path
) -> None:
    engine.swarm.objects["configs"].clear()
    parts = index(bundle(tmp_path))
    assert parts["cluster.json"]["note"] == "nothing is installed in this swarm"
    assert not parts["logs"]["complete"]
    assert parts["services.json"]["complete"]


def test_the_file_is_its_owners_only_and_whole_or_not_there(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b.tar.gz"
    target.write_text("of before")
    target.chmod(0o644)
    with monkeypatch.context() as broken:
        broken.setattr(output.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(MsrctlError) as caught:
            bundle(tmp_path)
    assert caught.value.code == "BUNDLE-WRITE"
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar.gz"]
    assert target.read_text() == "of before"
    bundle(tmp_path)
    assert target.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar.gz"]
    with pytest.raises(MsrctlError) as caught:
        support_bundle.write_whole(tmp_path / "no" / "such", b"")
    assert caught.value.code == "BUNDLE-WRITE"


def test_the_command_says_where_it_is_and_what_is_missing(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine.swarm.nodes[0]["Status"]["State"] = "down"
    done = run("support-bundle")
    assert done.exit_code == 0, done.stderr
    (made,) = tmp_path.iterdir()
    assert made.name in done.stdout
    assert made.name.startswith(f"msrctl-support-{CLUSTER}-")
    assert f"not in the bundle: logs/{REPLICA}-nginx.log" in done.stderr


def test_on_stdout_there_is_the_bundle_and_nothing_else(engine: FakeEngine) -> None:
    done = run("support-bundle", "--output-file", "-")
    assert done.exit_code == 0
    assert "index.json" in unpacked(done.stdout_bytes)
    assert "Secrets are masked" in done.stderr
    assert run("support-bundle", "--output-file", "-", "--output", "json").exit_code == 2


def test_the_result_names_every_part(engine: FakeEngine, tmp_path: Path) -> None:
    request = SupportBundleRequest(CommonRequest(), output_file=str(tmp_path / "b"))
    result = support_bundle.support_bundle(request, Recorder())
    assert asdict(result)["size"] == (tmp_path / "b").stat().st_size
    assert {part.name for part in result.parts} >= {"status.json", "rendered", f"logs/{REPLICA}-nginx.log"}
