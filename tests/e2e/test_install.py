"""One command installs a registry, every flag does what it says, and what fails leaves nothing."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from support import look, run
from support.certificates import Made, make
from support.listen import CommandLines, Syslog
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import PASSWORD, Deployment, install
from labs.system import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.engines import Lab
    from labs.host import Host

REPLICA = "0123456789ab"
PROXIES = {
    "HTTP_PROXY": "http://proxy.test:3128",
    "HTTPS_PROXY": "http://proxy.test:3129",
    "NO_PROXY": "acme.com,acme.org",
}


@dataclass(frozen=True)
class Full(Deployment):
    """A registry that was installed with nearly every flag."""

    leaf: Made = field(kw_only=True)
    other_ca: Made = field(kw_only=True)
    syslog: Syslog = field(kw_only=True)
    command_lines: frozenset[str] = field(kw_only=True, repr=False)
    told: dict[str, Any] = field(kw_only=True)
    output: str = field(kw_only=True, repr=False)


@pytest.fixture(scope="module")
def full(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    """Installed with every flag that goes together with the others."""
    clean_lab(lab, leave_swarm=True)
    host, files = lab[1], tmp_path_factory.mktemp("full")
    root = make("Example root", ca=True)
    middle = make("Example intermediate", issuer=root, ca=True)
    leaf = make("registry.test", "registry.test", host.ip, issuer=middle)
    other = make("Storage CA", ca=True)
    for name, text in (("cert.pem", leaf.pem + middle.pem), ("key.pem", leaf.key), ("ca.pem", root.pem)):
        (files / name).write_text(text)
    (files / "password").write_text(PASSWORD + "\n")
    with Syslog(lab.gateway, "tcp") as syslog:
        arguments = [
            *("--dtr-external-url", "https://registry.test:8443"),
            *("--dtr-ca", str(files / "ca.pem"), "--dtr-cert", str(files / "cert.pem")),
            *("--dtr-key", f"@{files / 'key.pem'}"),
            *("--replica-http-port", "8080", "--replica-https-port", "8443"),
            *("--log-level", "debug", "--log-protocol", "tcp", "--log-host", syslog.host),
            *("--http-proxy", PROXIES["HTTP_PROXY"], "--https-proxy", PROXIES["HTTPS_PROXY"]),
            *("--no-proxy", "acme.com, acme.org", "--enable-pprof", "--custom-ca-cert-bundle", other.pem),
            *("--overlay-subnet", "10.123.0.0/24", "--replica-id", REPLICA),
            *("--dtr-storage-volume", "team-images", "--replica-rethinkdb-cache-mb", "512"),
            *("--admin-username", "ops", "--admin-password-file", str(files / "password")),
            *("--ucp-node", host.name),
        ]
        with CommandLines() as lines:
            done = host.msrctl("--output", "json", "install", *arguments, check=0)
        yield Full(
            host,
            "registry.test:8443",
            REPLICA,
            root.pem,
            user="ops",
            leaf=leaf,
            other_ca=other,
            syslog=syslog,
            command_lines=frozenset(lines.seen),
            told=json.loads(done.stdout),
            output=done.stdout + done.stderr,
        )


def curl(deployment: Deployment, path: str, *more: str, scheme: str = "https", port: int = 443) -> str:
    """Status and body, as in ``200 text``, of a request with TLS verified; nothing is known in advance."""
    host = deployment.registry.partition(":")[0]
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", "/dev/stdin"),
            *("--resolve", f"{host}:{port}:{deployment.host.ip}", "--write-out", "\n%{http_code}", *more),
            f"{scheme}://{host}:{port}{path}",
        ],
        input=deployment.ca,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    return f"{status} {body}{done.stderr}"


def test_images_are_pushed_and_pulled_over_tls_with_an_operators_chain(full: Full) -> None:
    with client(full) as registry:
        digest = push(registry, "team/app")
        assert pull(registry, "team/app") == digest
        assert registry.catalog() == ("team/app",)


def test_the_result_names_replica_url_and_admin_and_no_password(full: Full) -> None:
    data = full.told["data"]
    assert data["replica_id"] == REPLICA
    assert data["url"] == "https://registry.test:8443"
    assert data["admin"] == "ops"
    assert data["password"] is None
    assert f"Replica ID is set to: {REPLICA}" in full.output


def test_http_redirects_to_https_on_its_own_port(full: Full) -> None:
    answer = curl(full, "/v2/", "--head", scheme="http", port=8080)
    assert answer.startswith("301 ")
    assert "Location: https://registry.test:8443/v2/" in answer


def test_health_answers_on_both_ports_without_login(full: Full) -> None:
    for scheme, port in (("http", 8080), ("https", 8443)):
        assert curl(full, "/_ping", scheme=scheme, port=port) == '200 {"Error":"","Healthy":true}\n'


def test_nobody_reads_without_login(full: Full) -> None:
    assert curl(full, "/v2/_catalog", port=8443).startswith("401 ")
    assert curl(full, "/v2/_catalog", "--user", "ops:wrong", port=8443).startswith("401 ")
    assert curl(full, "/v2/_catalog", "--user", f"ops:{PASSWORD}", port=8443).startswith("200 ")


def test_services_log_to_syslog_at_the_level_asked_for(full: Full) -> None:
    for component in ("registry", "nginx"):
        driver = look.service(full.host, component, REPLICA)["Spec"]["TaskTemplate"]["LogDriver"]
        assert driver["Name"] == "syslog"
        assert driver["Options"]["syslog-address"] == f"tcp://{full.syslog.host}"
        eventually(lambda: f"dtr-{component}-{REPLICA}" in full.syslog.text, 20)  # noqa: B023 - at once
    eventually(lambda: "level=debug" in full.syslog.text, 20)


def test_proxies_stand_in_the_registrys_environment_only(full: Full) -> None:
    found = look.environment(full.host, "registry", REPLICA)
    assert {key: found.get(key) for key in PROXIES} == PROXIES
    assert "proxy.test" not in json.dumps(look.service(full.host, "nginx", REPLICA))


def test_profiles_are_for_whoever_may_log_in(full: Full) -> None:
    path = "/registry_debug_pprof/debug/pprof/cmdline"
    assert curl(full, path, port=8443).startswith("401 ")
    assert "docker-registry" in curl(full, path, "--user", f"ops:{PASSWORD}", port=8443)


def test_the_registry_trusts_the_custom_bundle_besides_the_systems(full: Full) -> None:
    found = look.environment(full.host, "registry", REPLICA)
    directories = found["SSL_CERT_DIR"].split(":")
    assert "/etc/ssl/certs" in directories
    path = f"{directories[-1]}/custom-ca.pem"
    text = look.inside(full.host, "registry", REPLICA, "cat", path)
    assert text.strip() == full.other_ca.pem.strip()


def test_the_overlay_has_the_subnet_asked_for(full: Full) -> None:
    network = full.host.client.api.inspect_network("dtr-ol")
    assert [c["Subnet"] for c in network["IPAM"]["Config"]] == ["10.123.0.0/24"]


def test_images_lie_in_the_volume_asked_for(full: Full) -> None:
    mounts = full.host.client.api.inspect_container(look.container(full.host, "registry", REPLICA))["Mounts"]
    assert [(m["Name"], m["Destination"]) for m in mounts if m["Type"] == "volume"] == [
        ("team-images", "/storage")
    ]
    with client(full) as registry:
        push(registry, "where/is-it")
    place = full.host.client.volumes.get("team-images").attrs["Mountpoint"]
    assert full.host.run("ls", f"{place}/docker/registry/v2/repositories/where").stdout == "is-it\n"


def test_objects_carry_our_labels_and_the_originals(full: Full) -> None:
    for component in ("registry", "nginx"):
        spec = look.service(full.host, component, REPLICA)["Spec"]
        for labels in (spec["Labels"], spec["TaskTemplate"]["ContainerSpec"]["Labels"]):
            assert labels["io.msrctl.replica"] == labels["com.docker.dtr.replica"] == REPLICA
            assert labels["io.msrctl.component"] == component
            assert labels["io.msrctl.version"] == labels["com.docker.dtr.version"]
        assert len(spec["Labels"]["io.msrctl.config-hash"]) == 12


def test_a_flag_without_effect_is_one_warning(full: Full) -> None:
    about = [text for text in full.told["warnings"] if "rethinkdb" in text.lower()]
    assert len(about) == 1, full.told["warnings"]


def test_secrets_are_nowhere_to_be_read(full: Full) -> None:
    look.inside(full.host, "registry", REPLICA, "true")
    secrets = [
        ("the password", PASSWORD),
        ("the TLS key", full.leaf.key),
        ("the http secret", look.inside(full.host, "registry", REPLICA, "cat", "/run/secrets/http.secret")),
        ("the accounts", look.inside(full.host, "registry", REPLICA, "cat", "/run/secrets/htpasswd")),
    ]
    assert all(len(text) > 20 for _, text in secrets)
    places = look.everything_readable(full.host) | {
        "msrctl's output": full.output,
        "command lines": "\n".join(full.command_lines),
        "status": full.host.msrctl("--output", "json", "--debug", "status").stdout,
        "syslog": full.syslog.text,
    }
    assert any("msrctl" in line for line in full.command_lines)
    assert look.leaks(places, secrets) == []


def test_a_second_install_refuses_and_touches_nothing(full: Full) -> None:
    before = look.objects(full.host)
    told = run.refused(full.host, 6, "ALREADY-INSTALLED", "install", env=run.WITH_PASSWORD)
    assert REPLICA in told
    assert "reconfigure" in told
    assert look.objects(full.host) == before


def test_install_with_client_certificates_on_a_directory(bare: Host, lab: Lab, tmp_path: Path) -> None:
    authority = make("People", ca=True)
    person, stranger = make("ann", issuer=authority), make("mallory", issuer=make("People", ca=True))
    for name, made in (("person", person), ("stranger", stranger)):
        (tmp_path / f"{name}.pem").write_text(made.pem + made.key)
    store = bare.directory / "images"
    store.mkdir()
    with Syslog(lab.gateway, "udp") as syslog:
        done = bare.msrctl(
            *("--output", "json", "install", "--dtr-external-url", f"https://{bare.ip}"),
            *("--client-cert-auth-ca", authority.pem, "--enable-client-cert-auth"),
            *("--dtr-storage-volume", str(store), "--log-protocol", "udp", "--log-host", syslog.host),
            check=0,
        )
        eventually(lambda: "dtr-nginx-" in syslog.text, 20)
    data = json.loads(done.stdout)["data"]
    deployment = Deployment(bare, bare.ip, data["replica_id"], data["ca"], password=data["password"])
    login = ("--user", f"admin:{data['password']}")
    with_person = ("--cert", str(tmp_path / "person.pem"))
    assert curl(deployment, "/v2/", *login, *with_person).startswith("200 ")
    assert curl(deployment, "/v2/", *login).startswith("403 ")
    assert not curl(deployment, "/v2/", *login, "--cert", str(tmp_path / "stranger.pem")).startswith("200 ")
    assert curl(deployment, "/_ping").startswith("200 ")
    upload = curl(deployment, "/v2/a/b/blobs/uploads/", "--request", "POST", *login, *with_person)
    assert upload.startswith("202 ")
    assert (store / "docker/registry/v2/repositories/a/b").is_dir()
    # The password that was generated is shown once, on stdout only; nothing of it stays anywhere.
    assert data["password"] not in done.stderr
    assert look.leaks(look.everything_readable(bare), [("the password", data["password"])]) == []
    assert run.data(bare, "status")["healthy"]


@pytest.mark.parametrize("swarm", ["no swarm yet", "a swarm"])
def test_dry_run_touches_nothing(swarm: str, bare: Host, lab: Lab) -> None:
    if swarm == "a swarm":
        lab.swarm()
    before = look.objects(bare)
    data = run.data(bare, "install", "--dry-run", env=run.WITH_PASSWORD)
    steps = [step["title"] for step in data["plan"]]
    assert ("create swarm node1" in steps) == (swarm == "no swarm yet")
    assert "create network dtr-ol" in steps
    assert any(step.startswith("create service dtr-nginx-") for step in steps)
    eventually(lambda: look.objects(bare) == before, 10, what="everything is as before")


def broken_image(host: Host) -> str:
    """msrctl's image with a registry that ends at once."""
    place = host.directory / "broken"
    place.mkdir(exist_ok=True)
    (place / "Dockerfile").write_text("FROM msrctl/msr:0.1.0\nCOPY broken /usr/bin/docker-registry\n")
    (place / "broken").write_text("#!/bin/sh\necho the registry is broken >&2\nexit 7\n")
    (place / "broken").chmod(0o755)
    host.cli("build", "--quiet", "--tag", "msr:broken", str(place))
    return "msr:broken"


def test_an_image_whose_registry_ends_at_once_leaves_nothing(bare: Host) -> None:
    image = broken_image(bare)
    found = run.document(bare, "install", "--image", image, check=8, env=run.WITH_PASSWORD)
    assert found["error"]["code"] == "SERVICE-FAILED"
    assert any("the registry is broken" in line for line in found["error"]["details"])
    assert look.objects(bare)["swarm"] == "inactive"
    eventually(lambda: look.empty(bare), 15)


def test_a_store_that_cannot_be_written_leaves_nothing_but_what_was_there(bare: Host, lab: Lab) -> None:
    # Its own default volume, made by somebody else, and read-only: only the running registry finds out.
    volume = f"dtr-registry-{REPLICA}"
    options = {"type": "tmpfs", "device": "tmpfs", "o": "ro"}
    bare.client.volumes.create(volume, driver_opts=options)
    lab.swarm()
    found = run.document(bare, "install", "--replica-id", REPLICA, env=run.WITH_PASSWORD)
    assert found["exit_code"] == 8, found
    assert found["error"]["hint"]
    assert any("read-only file system" in line for line in found["error"]["details"]), found
    eventually(lambda: look.objects(bare)["containers"] == [], 15)
    assert look.objects(bare)["volumes"] == [volume]
    assert look.names(bare, "services") == look.names(bare, "configs") == look.names(bare, "secrets") == []
    assert look.objects(bare)["swarm"] == "active"


def test_a_port_that_is_taken_after_the_checks_leaves_nothing(bare: Host) -> None:
    # A container takes it in the moment before the services are made.
    taker = ["docker", "-H", bare.url, "run", "--detach", "--publish", "443:443", "--entrypoint"]
    taker += ["/bin/busybox", "msrctl/msr:0.1.0", "sleep", "600"]
    done = run.trapped(
        bare,
        {"at": "create services dtr-", "calls": taker},
        *("--output", "json", "install"),
        env=run.WITH_PASSWORD,
    )
    found = json.loads(done.stdout)
    assert done.returncode == found["exit_code"] == 8, found
    assert "443" in found["error"]["message"] + " ".join(found["error"]["details"])
    for one in bare.client.containers.list():
        one.remove(force=True)
    assert look.objects(bare)["swarm"] == "inactive"
    eventually(lambda: look.empty(bare), 15)


def test_the_image_is_the_bootstrapper(bare: Host) -> None:
    socket = ("--volume", f"{bare.sock}:/var/run/docker.sock")
    tool = ("run", "--rm", *socket, "--env", "MSRCTL_ADMIN_PASSWORD", "msrctl/msr:0.1.0")
    environment = bare.environment(run.WITH_PASSWORD)

    def docker(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *args], env=environment, text=True, capture_output=True, timeout=120, check=False
        )

    done = docker(*tool, "--output", "json", "install", "--dtr-external-url", f"https://{bare.ip}")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    with client(Deployment(bare, bare.ip, data["replica_id"], data["ca"])) as registry:
        push(registry, "from/container")
        assert pull(registry, "from/container")
    assert docker(*tool, "status").returncode == 0
    assert docker(*tool, "destroy", "--yes", "--remove-data").returncode == 0
    eventually(lambda: look.empty(bare), 15)


def test_install_again_after_destroy_finds_the_images_that_were_kept(bare: Host) -> None:
    first = install(bare, "--replica-id", REPLICA)
    with client(first) as registry:
        digest = push(registry, "kept/app")
    assert run.data(bare, "destroy", "--yes")["kept_volumes"] == [f"dtr-registry-{REPLICA}"]
    again = install(bare, "--replica-id", REPLICA)
    assert again.ca != first.ca
    with client(again) as registry:
        assert pull(registry, "kept/app") == digest
