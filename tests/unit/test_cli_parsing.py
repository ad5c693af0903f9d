"""What can be refused by looking at the arguments is refused while parsing, all at once, with exit code 2."""

from __future__ import annotations

import json
import shlex

import pytest
from cli_support import CERTIFICATE, KEY, REPLICA, Calls, every_command, recording_workflows, run

from msrctl.cli.base import Command, Option
from msrctl.cli.tokens import masked

UCP = ("--ucp-url", "mke.example.com", "--ucp-username", "admin", "--ucp-password", "orca4orca")


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return recording_workflows(monkeypatch)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("install --replica-id 123", "--replica-id: '123' is not a replica id"),
        ("install --replica-http-port 0", "--replica-http-port: '0' is not a port"),
        ("install --replica-http-port 443", "--replica-http-port and --replica-https-port would both be 443"),
        ("install --replica-https-port 80", "would both be 80"),
        ("reconfigure --replica-http-port 8 --replica-https-port 8", "would both be 8"),
        ("install --dtr-external-url http://a.example.com", "must be https"),
        ("install --log-level loud", "--log-level: 'loud' is not one of debug, info, warn, error, fatal"),
        ("install --log-protocol tcp+tls", "--log-protocol: 'tcp+tls' is not one of internal, tcp, udp"),
        ("install --log-protocol tcp", "--log-protocol tcp needs --log-host"),
        ("reconfigure --log-protocol udp", "--log-protocol udp needs --log-host"),
        ("install --log-host logs:514", "--log-host needs --log-protocol"),
        ("reconfigure --log-host logs:514", "--log-host needs --log-protocol"),
        ("install --log-host logs:514 --log-protocol internal", "not internal"),
        ("install --enable-client-cert-auth", "--enable-client-cert-auth needs --client-cert-auth-ca"),
        ("reconfigure --enable-client-cert-auth --client-cert-auth-ca ''", "which is empty"),
        ("install --async-nfs", "--async-nfs needs --nfs-storage-url"),
        ("reconfigure --async-nfs", "--async-nfs needs --nfs-storage-url"),
        ("reconfigure --nfs-options rw", "--nfs-options needs --nfs-storage-url"),
        ("reconfigure --nfs-options rw --nfs-storage-url ''", "--nfs-options needs --nfs-storage-url"),
        ("install --nfs-storage-url nfs://n/a --dtr-storage-volume vol", "exclude each other"),
        ("install --nfs-storage-url n:/a", "is not nfs://host/directory"),
        ("install --nfs-storage-url nfs://n/a --async-nfs --nfs-options rw,sync", "contradicts sync"),
        ("reconfigure --storage-migrated --reinitialize-storage", "give one of them"),
        ("install --dtr-cert CERT", "--dtr-cert needs --dtr-key"),
        ("install --dtr-key KEY", "--dtr-key needs --dtr-cert"),
        ("install --dtr-ca CERT", "--dtr-ca needs --dtr-cert and --dtr-key"),
        ("install --dtr-ca nothing", "--dtr-ca: is neither PEM text nor the path"),
        (
            "install --ucp-url a:443 --ucp-username u --ucp-password p --ucp-ca CERT --ucp-insecure-tls",
            "exclude",
        ),
        ("status --ucp-username u", "--ucp-username needs --ucp-url"),
        ("status --ucp-insecure-tls", "--ucp-insecure-tls needs --ucp-url"),
        ("status --ucp-url http://a", "must be https"),
        ("status --ucp-url a", "--ucp-password ($UCP_PASSWORD) is missing, and there is no terminal"),
        ("install --dtr-storage-volume /", "cannot be the image store"),
        ("install --dtr-storage-volume ''", None),
        ("install --overlay-subnet 10.1.0.0/30", "--overlay-subnet:"),
        ("install --http-proxy http://u:p@proxy", "must not hold a user name or password"),
        ("install --no-proxy 'a b'", "--no-proxy:"),
        ("reconfigure --resume --undo", "--resume and --undo exclude each other"),
        ("reconfigure --resume --log-level debug", "--resume takes what the interrupted run was given"),
        ("install --undo --replica-http-port 81", "and excludes --replica-http-port"),
        ("install --max-wait 10", "write 10s or 10m"),
        ("install --max-wait 0", "must be more than 0"),
        ("install --enable-pprof=perhaps", "--enable-pprof: 'perhaps' is neither true nor false"),
        ("install --admin-username 'a:b'", "--admin-username: must be"),
        ("install --ucp-node 'a b'", "--ucp-node: must be one word"),
        ("install --image 'a b'", "--image: 'a b' is not a reference"),
        ("install --replica-rethinkdb-cache-mb lots", "not a number of megabytes"),
        ("install surplus", "unexpected extra argument"),
        ("install --nothing-like-that", "No such option"),
        ("install --replica-id", "requires an argument"),
        ("install --output yaml", "--output: 'yaml' is not one of"),
        ("nonsense", "There is no command 'nonsense'"),
        ("lock relaese", "Did you mean 'release'?"),
        ("completion tcsh", "'tcsh' is not one of"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_touched(
    line: str, reason: str | None, calls: Calls
) -> None:
    words = [{"CERT": CERTIFICATE, "KEY": KEY}.get(word, word) for word in shlex.split(line)]
    result = run(*words)
    if reason is None:
        assert result.exit_code == 0, result.stderr
        return
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "(USAGE)" in result.stderr
    assert result.stdout == ""
    assert calls.requests == []


def test_all_problems_are_told_in_one_message() -> None:
    result = run("install", "--replica-http-port", "x", "--log-host", "h", "--async-nfs", "--dtr-key", KEY)
    assert result.exit_code == 2
    assert "Error: 4 things are wrong with the arguments (USAGE)" in result.stderr
    for part in ("--replica-http-port", "--log-host", "--async-nfs", "--dtr-key"):
        assert f"    {part}" in result.stderr
    assert "See msrctl install --help." in result.stderr


def test_a_wrong_value_is_not_reported_again_as_missing() -> None:
    result = run("install", "--nfs-storage-url", "wrong", "--async-nfs")
    assert "needs --nfs-storage-url" not in result.stderr


def test_a_wrong_variable_is_named() -> None:
    result = run("install", env={"MSR_STORAGE_VOLUME": "/", "REPLICA_HTTP_PORT": "no"})
    assert "--dtr-storage-volume (from $MSR_STORAGE_VOLUME): / itself" in result.stderr
    assert "--replica-http-port (from $REPLICA_HTTP_PORT): 'no'" in result.stderr


@pytest.mark.parametrize("option", ["--dtr-key", "--ucp-password"])
def test_a_refused_secret_is_not_shown(option: str) -> None:
    result = run("install", option, "hunter2\nhunter2")
    assert result.exit_code == 2
    assert "hunter2" not in result.output


def test_settings_become_a_request(calls: Calls, tmp_path) -> None:
    (tmp_path / "key.pem").write_text(KEY)
    result = run(
        "install", "--dtr-external-url", "registry.example.com", "--replica-http-port=8080",
        "--log-level", "DEBUG", "--dtr-cert", CERTIFICATE, "--dtr-key", f"@{tmp_path}/key.pem",
        "--no-proxy", "acme.com, acme.org",
        "--enable-pprof", "--overlay-subnet", "10.9.0.0/24", "--replica-id", REPLICA, "--max-wait", "1m30s",
        "--lock-wait", "5s", "--advertise-addr", "10.0.0.5",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    request = calls.request
    assert request.settings.external_url == "https://registry.example.com"
    assert (request.settings.http_port, request.settings.https_port) == (8080, None)
    assert request.settings.log_level == "debug"
    assert request.settings.certificate == CERTIFICATE
    assert request.settings.key.reveal_text() == KEY
    assert request.settings.no_proxy == "acme.com,acme.org"
    assert request.settings.enable_pprof is True
    assert (request.replica_id, request.overlay_subnet) == (REPLICA, "10.9.0.0/24")
    assert (request.common.max_wait, request.common.lock_wait) == (90.0, 5.0)
    assert (request.admin_username, request.admin_password) == ("admin", None)
    assert request.advertise_addr == "10.0.0.5"


def test_what_is_not_given_is_absent(calls: Calls) -> None:
    assert run("reconfigure").exit_code == 0
    request = calls.request
    assert request.settings.given() == ()
    assert request.existing_replica_id is None
    assert [request.dry_run, request.resume, request.undo, request.yes] == [False] * 4
    assert request.common.max_wait == 600.0


def test_an_empty_value_takes_a_setting_away_on_reconfigure_and_means_nothing_on_install(
    calls: Calls,
) -> None:
    empty = ("--http-proxy", "", "--nfs-storage-url=", "--dtr-cert", "", "--dtr-key", "")
    assert run("reconfigure", *empty).exit_code == 0
    assert calls.request.settings.given() == ("certificate", "key", "http_proxy", "nfs_storage_url")
    assert calls.request.settings.nfs_storage_url == ""
    assert not calls.request.settings.key
    calls.requests.clear()
    assert run("install", *empty).exit_code == 0
    assert calls.request.settings.given() == ()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), None),
        (("--enable-pprof",), True),
        (("--enable-pprof=true",), True),
        (("--enable-pprof=FALSE",), False),
        (("--enable-pprof", "--enable-pprof=false"), False),
        (("--no-enable-pprof",), False),
    ],
)
def test_booleans_are_given_as_the_original_takes_them(
    arguments: tuple[str, ...], wanted: bool | None, calls: Calls
) -> None:
    assert run("reconfigure", *arguments).exit_code == 0
    assert calls.request.settings.enable_pprof is wanted


def test_a_value_that_looks_like_a_boolean_option_stays_a_value(calls: Calls) -> None:
    arguments = ("--nfs-storage-url", "nfs://n/a", "--nfs-options", "--debug=false")
    assert run("reconfigure", *arguments).exit_code == 0
    assert calls.request.settings.nfs_options == "--debug=false"


@pytest.mark.parametrize("variable", ["DTR_PPROF", "MSR_PPROF"])
def test_both_spellings_of_a_variable_are_read(variable: str, calls: Calls) -> None:
    assert run("install", env={variable: "true"}).exit_code == 0
    assert calls.request.settings.enable_pprof is True


def test_emergency_repair_takes_what_the_original_took(calls: Calls) -> None:
    env = {"PRUNE": "true", "YES": "true", "DTR_REPLICA_ID": REPLICA, "DTR_OVERLAY_SUBNET": "10.1.0.0/24"}
    result = run("emergency-repair", env=env)
    assert result.exit_code == 0, result.stderr
    assert (calls.request.prune, calls.request.yes) == (True, True)
    assert calls.request.existing_replica_id == REPLICA
    assert "--overlay-subnet has no effect" in result.stderr


def test_the_command_line_wins_over_the_environment(calls: Calls) -> None:
    env = {"DTR_PPROF": "1", "LOG_LEVEL": "error", "MSR_REPLICA_ID": REPLICA}
    assert run("reconfigure", "--enable-pprof=false", "--log-level", "warn", env=env).exit_code == 0
    assert calls.request.settings.enable_pprof is False
    assert calls.request.settings.log_level == "warn"
    assert calls.request.existing_replica_id == REPLICA


def test_credentials_of_a_controller_in_the_environment_do_not_need_one(calls: Calls) -> None:
    result = run("status", env={"UCP_USERNAME": "u", "UCP_PASSWORD": "p", "UCP_INSECURE_TLS": "1"})
    assert result.exit_code == 0, result.stderr
    assert calls.request.common.endpoint.ucp_url is None


def test_a_controller_is_taken_with_its_account(calls: Calls) -> None:
    assert run("status", *UCP).exit_code == 0
    endpoint = calls.request.common.endpoint
    assert endpoint.ucp_url == "https://mke.example.com"
    assert endpoint.ucp_password.reveal_text() == "orca4orca"


def test_variables_of_settings_are_not_meant_when_an_interrupted_run_is_continued(calls: Calls) -> None:
    env = {"DTR_EXTERNAL_URL": "https://a.example.com", "MSRCTL_ADMIN_PASSWORD": "password1"}
    assert run("reconfigure", "--resume", env=env).exit_code == 0
    assert calls.request.settings.given() == ()
    assert calls.request.admin_password is None


@pytest.mark.parametrize("node", ["", "_random_"])
def test_the_originals_words_for_any_node_mean_the_default(node: str, calls: Calls) -> None:
    assert run("install", "--ucp-node", node).exit_code == 0
    assert calls.request.node is None


def test_stopping_nfs_and_naming_a_volume_is_one_change(calls: Calls) -> None:
    assert run("reconfigure", "--nfs-storage-url", "", "--dtr-storage-volume", "vol").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        (("--replica-rethinkdb-cache-mb", "512"), "--replica-rethinkdb-cache-mb has no effect"),
        (("--skip-network-test",), "--skip-network-test has no effect"),
        (("--dtr-external-url", "myregistry"), "image on Docker Hub"),
    ],
)
def test_an_option_without_effect_is_accepted_with_one_warning(
    arguments: tuple[str, ...], warning: str, calls: Calls
) -> None:
    result = run("--output", "json", "install", *arguments)
    assert result.exit_code == 0
    assert calls.requests
    assert result.stderr.count(warning) == 1
    assert "level=warning" in result.stderr
    assert [warning in line for line in json.loads(result.stdout)["warnings"]] == [True]


def test_the_admin_password_comes_from_a_file_from_stdin_or_from_its_variable(calls: Calls, tmp_path) -> None:
    path = tmp_path / "password"
    path.write_text("from-a-file\n")
    env = {"MSRCTL_ADMIN_PASSWORD": "from-the-variable"}
    assert run("install", "--admin-password-file", str(path), env=env).exit_code == 0
    assert run("install", "--admin-password-file", "-", stdin="from-stdin\n").exit_code == 0
    assert run("install", env=env).exit_code == 0
    found = [request.admin_password.reveal_text() for request in calls.requests]
    assert found == ["from-a-file", "from-stdin", "from-the-variable"]


@pytest.mark.parametrize(
    ("arguments", "env", "reason"),
    [
        (("--admin-password-file", "/nonexistent"), {}, "cannot read /nonexistent"),
        ((), {"MSRCTL_ADMIN_PASSWORD": "s3cret!"}, "$MSRCTL_ADMIN_PASSWORD: the password must have 8"),
        ((), {"MSRCTL_ADMIN_PASSWORD": "s3cret!\ns3cret!"}, "line break"),
    ],
)
def test_an_admin_password_that_cannot_be_used_is_refused_unseen(
    arguments: tuple[str, ...], env: dict[str, str], reason: str, calls: Calls
) -> None:
    result = run("install", *arguments, env=env)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "s3cret" not in result.output
    assert calls.requests == []


def test_the_command_line_for_the_lock_holds_no_secret_and_no_pem(calls: Calls) -> None:
    run("reconfigure", *UCP, "--dtr-cert", CERTIFICATE, f"--dtr-key={KEY}", "--log-level", "warn")
    line = calls.request.common.command_line
    assert line.startswith("msrctl reconfigure --ucp-url=mke.example.com")
    assert "--ucp-password=**** --dtr-cert=(PEM) --dtr-key=****" in line
    assert line.endswith("--log-level=warn")
    assert "orca4orca" not in line
    assert "BEGIN" not in line


def test_no_option_for_a_secret_takes_part_in_the_masked_command_line() -> None:
    for path, command in every_command():
        for parameter in command.params:
            if isinstance(parameter, Option) and (
                "password" in (parameter.name or "") or "key" in parameter.opts[0]
            ):
                if parameter.name == "admin_password_file":
                    continue
                assert parameter.secret, (path, parameter.name)
                shown = masked([parameter.long_name, "hunter2"], command.params, stop_at_word=False)
                assert "hunter2" not in " ".join(shown)


def test_every_command_that_reaches_the_engine_checks_the_endpoint() -> None:
    for path, command in every_command():
        if isinstance(command, Command) and any(p.name == "ucp_url" for p in command.params):
            assert any(check.__name__ == "endpoint" for check in command.checks), path


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("destroy --replica-id 5f0c2a9be417 --remove-data -y", "remove_data", True),
        ("destroy --yes", "yes", True),
        ("destroy --dry-run", "dry_run", True),
        ("status --replica-id 5f0c2a9be417", "replica_id", REPLICA),
        ("storage usage --replica-id 5f0c2a9be417", "replica_id", REPLICA),
        ("reconfigure --undo", "undo", True),
        ("reconfigure --storage-migrated", "storage_migrated", True),
        ("reconfigure --yes", "yes", True),
        ("install --registry-image registry:3.1.1", "registry_image", "registry:3.1.1"),
    ],
)
def test_each_command_hands_its_options_on(line: str, field: str, value: object, calls: Calls) -> None:
    assert run(*line.split()).exit_code == 0
    assert getattr(calls.request, field) == value


SHARED = """
--debug DEBUG; --help-extended DTR_EXTENDED_HELP; --ucp-url UCP_URL; --ucp-username UCP_USERNAME;
--ucp-password UCP_PASSWORD; --ucp-ca UCP_CA; --ucp-insecure-tls UCP_INSECURE_TLS;
--replica-http-port REPLICA_HTTP_PORT; --replica-https-port REPLICA_HTTPS_PORT;
--replica-rethinkdb-cache-mb RETHINKDB_CACHE_MB; --dtr-external-url DTR_EXTERNAL_URL; --dtr-ca DTR_CA;
--dtr-cert DTR_CERT; --dtr-key DTR_KEY; --dtr-storage-volume DTR_STORAGE_VOLUME;
--nfs-storage-url NFS_STORAGE_URL; --async-nfs ASYNC_NFS; --nfs-options NFS_OPTIONS; --enable-pprof DTR_PPROF;
--client-cert-auth-ca CLIENT_CA; --enable-client-cert-auth ENABLE_CLIENT_CERT_AUTH;
--http-proxy DTR_HTTP_PROXY; --https-proxy DTR_HTTPS_PROXY; --no-proxy DTR_NO_PROXY;
--log-protocol LOG_PROTOCOL; --log-host LOG_HOST; --log-level LOG_LEVEL;
--custom-ca-cert-bundle CUSTOM_CA_CERTS_BUNDLE; --nocolor NOCOLOR; --max-wait MAX_WAIT
"""
ORIGINAL = {
    "install": SHARED
    + """; --ucp-node UCP_NODE; --replica-id DTR_INSTALL_REPLICA_ID; --overlay-subnet DTR_OVERLAY_SUBNET;
    --skip-network-test DTR_SKIP_NETWORK_TEST""",
    "reconfigure": SHARED
    + "; --existing-replica-id DTR_REPLICA_ID; --storage-migrated STORAGE_MIGRATED; --reinitialize-storage",
    "destroy": """--debug DEBUG; --help-extended DTR_EXTENDED_HELP; --ucp-url UCP_URL;
    --ucp-username UCP_USERNAME; --ucp-password UCP_PASSWORD; --ucp-ca UCP_CA;
    --ucp-insecure-tls UCP_INSECURE_TLS; --replica-id DTR_DESTROY_REPLICA_ID""",
}


@pytest.mark.parametrize("name", sorted(ORIGINAL))
def test_every_option_of_the_original_is_there_with_its_variable_in_both_spellings(name: str) -> None:
    options = {p.opts[0]: p for p in dict(every_command())[name].params if isinstance(p, Option)}
    for entry in ORIGINAL[name].split(";"):
        flag, _, variable = entry.strip().partition(" ")
        expected = [variable] if variable else []
        if variable.startswith("DTR_"):
            expected.append(f"MSR_{variable[4:]}")
        assert list(options[flag].variables) == expected, flag


def test_images_alone_lists_them_as_the_original_does() -> None:
    assert run("images").stdout == run("images", "list").stdout
    assert run("images").stdout.startswith("msrctl/msr:")


@pytest.mark.parametrize("command", ["install", "reconfigure"])
def test_help_says_that_a_client_certificate_does_not_stand_for_a_password(command: str) -> None:
    """nginx asks for the certificate, and the registry for the password behind it."""
    text = " ".join(run(command, "--help").stdout.split())
    assert "Ask clients for a certificate of --client-cert-auth-ca as well as for their password." in text
