"""What a reconfigure asks for: only what is given changes, and what does not fit together is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from plan_support import CERTIFICATE, CLUSTER, REPLICA, an_engine, put, with_settings

from fakes.swarm import OneShot
from msrctl.errors import UsageFault, WrongState
from msrctl.model.cluster import Cluster, Storage
from msrctl.model.requests import CommonRequest, ReconfigureRequest, SettingsRequest
from msrctl.secret import Secret
from msrctl.workflows import desire
from msrctl.workflows import material as making

if TYPE_CHECKING:
    from fakes.engine import FakeEngine

OTHER = "b" * 12


class Asked:
    """One request, and what it came to."""

    def __init__(self, before: Cluster | None = None, engine: FakeEngine | None = None) -> None:
        fresh, cluster = an_engine()
        self.engine = engine or fresh
        self.before = before or cluster
        self.material = making.Material(CLUSTER, "0.1.0")
        self.why: list[str] = []
        self.warnings: tuple[str, ...] = ()

    def __call__(self, request: dict[str, Any] | None = None, **settings: Any) -> Cluster:
        asked = ReconfigureRequest(CommonRequest(), SettingsRequest(**settings), **(request or {}))
        after, self.why, self.warnings = desire.next_document(
            self.engine,  # type: ignore[arg-type]
            self.before,
            asked,
            self.material,
        )
        return after


def test_nothing_asked_for_is_the_same_document() -> None:
    ask = Asked()
    assert ask() is ask.before
    assert (ask.why, ask.material.secrets) == ([], {})


@pytest.mark.parametrize(
    "settings",
    [
        {"log_level": "info"},
        {"http_proxy": ""},
        {"enable_pprof": False},
        {"https_port": 443},
        {"storage_volume": ""},
        {"certificate": ""},
    ],
)
def test_what_is_so_already_is_no_change(settings: dict[str, Any]) -> None:
    ask = Asked()
    assert ask(**settings) is ask.before


def test_only_what_is_given_changes() -> None:
    before = with_settings(an_engine()[1], http_proxy="http://p:1", enable_pprof=True)
    ask = Asked(before)
    after = ask(log_level="debug")
    assert after == with_settings(before, log_level="debug").next_generation()
    assert ask.why == ["log level"]
    assert ask.material.secrets == {}


def test_the_empty_string_takes_a_setting_away() -> None:
    ask = Asked(with_settings(an_engine()[1], http_proxy="http://p:1", no_proxy="a"))
    after = ask(http_proxy="")
    assert (after.settings.http_proxy, after.settings.no_proxy) == (None, "a")
    assert ask.why == ["http proxy"]


def test_internal_logging_forgets_the_syslog_server() -> None:
    ask = Asked(with_settings(an_engine()[1], log_protocol="udp", log_host="h:514"))
    after = ask(log_protocol="internal")
    assert (after.settings.log_protocol, after.settings.log_host) == ("internal", None)


@pytest.mark.parametrize("settings", [{"log_host": ""}, {"log_protocol": "tcp", "log_host": ""}])
def test_syslog_without_a_server_is_refused(settings: dict[str, Any]) -> None:
    ask = Asked(with_settings(an_engine()[1], log_protocol="udp", log_host="h:514"))
    with pytest.raises(UsageFault, match="needs a syslog server") as error:
        ask(**settings)
    assert error.value.code == "LOG-HOST"


def test_syslog_without_a_server_that_is_known_is_refused() -> None:
    with pytest.raises(UsageFault, match="needs a syslog server"):
        Asked()(log_protocol="tcp")


def test_client_certificates_need_a_ca() -> None:
    with pytest.raises(UsageFault, match="needs a CA") as error:
        Asked()(enable_client_cert_auth=True)
    assert error.value.code == "CLIENT-CA"
    known = with_settings(an_engine()[1], enable_client_cert_auth=True, client_cert_auth_ca=CERTIFICATE)
    with pytest.raises(UsageFault):
        Asked(known)(client_cert_auth_ca="")
    assert Asked(known)(enable_client_cert_auth=False).settings.enable_client_cert_auth is False


def _two() -> Cluster:
    cluster = an_engine()[1]
    one = cluster.replicas[0]
    return replace(cluster, replicas=(one, replace(one, id=OTHER)))


def test_ports_change_for_the_named_replica_or_for_all() -> None:
    ask = Asked(_two())
    named = ask({"existing_replica_id": OTHER}, https_port=8443)
    assert [(r.id, r.http_port, r.https_port) for r in named.replicas] == [
        (REPLICA, 80, 443),
        (OTHER, 80, 8443),
    ]
    assert ask.why == ["ports"]
    assert {r.http_port for r in ask(http_port=8080).replicas} == {8080}


def test_a_replica_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(WrongState, match="no replica cccccccccccc") as error:
        Asked()({"existing_replica_id": "c" * 12}, https_port=8443)
    assert REPLICA in (error.value.hint or "")


def test_one_port_for_both_is_refused_also_against_the_one_in_force() -> None:
    with pytest.raises(UsageFault, match="one port for HTTP and HTTPS"):
        Asked()(http_port=443)


def test_a_new_password_makes_new_secrets_and_keeps_the_administrators_name() -> None:
    ask = Asked()
    after = ask({"admin_password": Secret("correct horse")})
    assert after.accounts.admin == "admin"
    assert set(ask.material.secrets) == {after.accounts.htpasswd_secret, after.accounts.probe_secret}
    assert after.http_secret == ask.before.http_secret
    assert ask.why == ["password of admin"]
    assert "correct horse" not in str(after.to_json()) + str(ask.why)


def test_another_administrator_needs_a_password() -> None:
    with pytest.raises(UsageFault, match="needs a password"):
        Asked()({"admin_username": "root"})
    ask = Asked()
    assert ask({"admin_username": "admin"}) is ask.before
    assert ask({"admin_username": "root", "admin_password": Secret("x" * 12)}).accounts.admin == "root"


def test_a_new_external_url_gets_a_certificate_of_the_same_ca() -> None:
    engine, before = an_engine()
    put(engine, before)
    engine.swarm.oneshot = lambda _: OneShot(lines=('{"certificate": "the new one"}',))
    configs = engine.list("configs")
    ask = Asked(before, engine)
    after = ask(external_url="https://images.example.org")
    assert (after.tls.certificate, after.tls.ca) == ("the new one", before.tls.ca)
    assert after.tls.ca_key_secret == before.tls.ca_key_secret
    assert set(ask.material.secrets) == {after.tls.key_secret}
    assert ask.why == ["external url", "certificate"]
    assert engine.list("configs") == configs


def _provided() -> tuple[Cluster, making.Material]:
    material = making.Material(CLUSTER, "0.1.0")
    tls = making.generated_tls(material, ["node-1"])
    return replace(an_engine()[1], tls=replace(tls, source="provided", ca_key_secret=None)), material


def test_the_operators_certificate_stays_and_a_name_that_it_lacks_is_a_warning() -> None:
    before, _ = _provided()
    ask = Asked(before)
    assert ask(external_url="https://images.example.org").tls == before.tls
    assert "not for images.example.org" in ask.warnings[0]
    assert ask(external_url="https://node-1").tls == before.tls
    assert ask.warnings == ()


def test_the_files_in_force_are_no_change() -> None:
    before, material = _provided()
    key = material.secrets[before.tls.key_secret][0]
    ask = Asked(before)
    assert ask(certificate=before.tls.certificate + "\n", key=key, ca=before.tls.ca) is before


def test_files_that_cannot_be_used_are_refused_before_anything() -> None:
    before, _ = _provided()
    ask = Asked(before)
    with pytest.raises(UsageFault) as error:
        ask(certificate=CERTIFICATE, key=Secret("no key"))
    assert error.value.code == "TLS-FILES"
    assert error.value.details
    assert ask.material.secrets == {}


def test_taking_the_operators_certificate_away_generates_one() -> None:
    before, _ = _provided()
    ask = Asked(before)
    after = ask(certificate="")
    assert after.tls.source == "generated"
    assert {after.tls.key_secret, after.tls.ca_key_secret} == set(ask.material.secrets)


def test_another_store_is_named_in_the_reason_and_other_options_of_the_same_one_are_too() -> None:
    s3 = Storage("s3", {"region": "eu-west-1", "bucket": "images"}, store_id="s1")
    ask = Asked()
    after = _next(ask, s3)
    assert (after.storage, ask.why) == (s3, ["storage s3://images (region eu-west-1)"])
    again = Asked(after)
    changed = replace(s3, secrets={"accesskey": "dtr-store-accesskey-1"})
    assert _next(again, changed).storage == changed
    assert again.why == ["options of the storage"]


def _next(ask: Asked, storage: Storage) -> Cluster:
    request = ReconfigureRequest(CommonRequest(), SettingsRequest())
    after, ask.why, _ = desire.next_document(
        ask.engine,  # type: ignore[arg-type]
        ask.before,
        request,
        ask.material,
        storage,
    )
    return after
