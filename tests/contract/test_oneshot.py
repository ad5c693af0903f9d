"""Obligations of one-shots: what they bring back, and that nothing of them is left."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest

from fakes.swarm import OneShot
from msrctl.engine.oneshot import sweep_oneshots
from msrctl.errors import Unreachable

if TYPE_CHECKING:
    from subjects import Subject

NO_VOLUME = {
    "Type": "volume",
    "Source": "cannot-be-mounted",
    "Target": "/storage",
    "VolumeOptions": {"DriverConfig": {"Options": {"type": "none", "o": "bind", "device": "/not/there"}}},
}
UNKNOWN_NODE = "jjjjjjjjjjjjjjjjjjjjjjjjj"


@pytest.fixture(autouse=True)
def nothing_is_left(subject: Subject) -> object:
    yield
    assert subject.engine.list("services") == []
    assert subject.engine.containers({"io.msrctl.component": "oneshot"}) == []


def test_json_lines_the_whole_log_and_the_exit_code_come_back(subject: Subject) -> None:
    result = subject.run('{"check": "a", "ok": true}', "not json", '["no object"]', '{"check": "b"}')
    assert result.ok
    assert result.exit_code == 0
    assert result.lines == ({"check": "a", "ok": True}, {"check": "b"})
    assert result.raw_log == ('{"check": "a", "ok": true}', "not json", '["no object"]', '{"check": "b"}')
    assert result.task_error == ""


def test_a_program_that_fails_brings_its_exit_code_and_what_it_said(subject: Subject) -> None:
    result = subject.run('{"problem": 1}', exit_code=3)
    assert not result.ok
    assert result.exit_code == 3
    assert result.lines == ({"problem": 1},)
    assert "non-zero exit (3)" in result.task_error


def test_it_runs_on_another_node(subject: Subject) -> None:
    assert subject.run('{"here": 1}', node_id=subject.other).lines == ({"here": 1},)


def test_a_volume_that_cannot_be_mounted_is_told_in_the_engine_s_words(subject: Subject) -> None:
    if subject.swarm:
        error = "failed to mount local volume: mount /not/there: no such file or directory"
        subject.swarm.oneshot = lambda _: OneShot(error=error)
    result = subject.script("exit 0", mounts=[NO_VOLUME])
    assert result.exit_code is None
    assert not result.ok
    assert "no such file or directory" in result.task_error


def test_a_node_that_is_not_in_the_swarm_is_refused_at_once(subject: Subject) -> None:
    with pytest.raises(Unreachable) as caught:
        subject.run(node_id=UNKNOWN_NODE)
    assert caught.value.code == "NODE-UNKNOWN"


def test_one_that_goes_silent_is_ended_long_before_its_time(subject: Subject) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"has done nothing for 2 s \(it is running\)") as error:
        subject.run("so far", hangs=True, timeout=60.0, stall=2.0)
    assert error.value.code == "ONESHOT-STALLED"
    assert error.value.hint
    assert time.monotonic() - began < 15


def test_one_that_goes_on_speaking_may_take_its_time(subject: Subject) -> None:
    if subject.swarm:
        subject.swarm.oneshot = lambda _: OneShot(lines=('{"n": 6}',))
    script = 'for n in 1 2 3 4 5 6; do echo "{\\"n\\": $n}"; sleep 1; done'
    assert subject.script(script, stall=4.0).lines[-1] == {"n": 6}


def test_one_that_hangs_is_ended_after_its_time(subject: Subject) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        subject.run("so far", hangs=True, timeout=1.5)
    assert caught.value.code == "ONESHOT-TIMEOUT"
    assert "running" in caught.value.message
    assert caught.value.details == ("so far",)
    assert time.monotonic() - began < 30


def test_leftovers_of_a_killed_msrctl_are_swept_when_they_are_old(subject: Subject) -> None:
    spec = subject.service("msrctl-run-0123456789ab")
    spec["Labels"] = {"io.msrctl.component": "oneshot"}
    subject.engine.create("services", spec)
    subject.engine.create("services", subject.service("not-ours"))
    assert sweep_oneshots(subject.engine) == []
    assert sweep_oneshots(subject.engine, older_than=0) == ["msrctl-run-0123456789ab"]
    assert [s["Spec"]["Name"] for s in subject.engine.list("services")] == ["not-ours"]
    subject.engine.remove("services", "not-ours")


@pytest.mark.engine
@pytest.mark.parametrize("subject", ["real"], indirect=True)
class TestReal:
    """What the fake cannot show."""

    def test_lines_longer_than_the_log_s_own_limit_stay_whole(self, subject: Subject) -> None:
        long = "b=/bin/busybox; $b head -c 50000 /dev/zero | $b tr '\\0' x; echo"
        result = subject.script(f"echo first; {long}; echo last; echo error >&2")
        # The order of one stream is sure; the engine stamps the other one when it gets round to it.
        assert [line for line in result.raw_log if line != "error"] == ["first", "x" * 50000, "last"]
        assert "error" in result.raw_log

    def test_configs_secrets_networks_and_mounts_are_there(self, subject: Subject) -> None:
        engine = subject.engine
        for kind, name in (("configs", "conf"), ("secrets", "secr")):
            data = base64.b64encode(name.encode()).decode()
            engine.create(kind, {"Name": name, "Labels": {}, "Data": data})  # type: ignore[arg-type]
        engine.create("networks", {"Name": "over", "Driver": "overlay", "Attachable": True})
        file = {"UID": "0", "GID": "0", "Mode": 0o400}
        addresses = "/bin/busybox ip addr | /bin/busybox grep -c inet"
        result = subject.script(
            f"cat /conf /run/secrets/secr; echo; ls -d /data; {addresses}",
            configs=[{"ConfigName": "conf", "File": {"Name": "/conf", **file}}],
            secrets=[{"SecretName": "secr", "File": {"Name": "secr", **file}}],
            networks=["over"],
            mounts=[{"Type": "volume", "Source": "some-volume", "Target": "/data"}],
        )
        assert result.raw_log[:2] == ("confsecr", "/data")
        assert int(result.raw_log[2]) >= 3
        # Nothing uses them any more: everything can be removed at once.
        assert engine.remove("volumes", "some-volume")
        assert engine.remove("configs", "conf")
        assert engine.remove("secrets", "secr")

    def test_the_node_s_own_network_shows_its_interfaces(self, subject: Subject) -> None:
        result = subject.script("/bin/busybox hostname; /bin/busybox ip addr", networks=["host"])
        assert any("docker_gwbridge" in line for line in result.raw_log)

    def test_a_node_that_takes_no_work_is_refused(self, subject: Subject) -> None:
        node = next(n for n in subject.engine.nodes() if n["ID"] == subject.other)
        api = subject.engine.api  # type: ignore[attr-defined]
        api.update_node(subject.other, node["Version"]["Index"], {**node["Spec"], "Availability": "drain"})
        try:
            with pytest.raises(Unreachable) as caught:
                subject.run(node_id=subject.other)
            assert caught.value.code == "NODE-DOWN"
            assert "drain" in caught.value.message
        finally:
            node = next(n for n in subject.engine.nodes() if n["ID"] == subject.other)
            api.update_node(
                subject.other, node["Version"]["Index"], {**node["Spec"], "Availability": "active"}
            )

    def test_a_container_that_the_swarm_has_forgotten_is_swept(self, subject: Subject) -> None:
        # As a power cut leaves it.
        api = subject.engine.api  # type: ignore[attr-defined]
        labels = {"io.msrctl.component": "oneshot", "com.docker.swarm.service.id": UNKNOWN_NODE}
        mounts = [
            {"Type": "volume", "Source": "held", "Target": "/storage"},
            {"Type": "volume", "Target": "/without-a-name"},
        ]
        api.create_container(
            subject.image, ["true"], labels=labels, host_config=api.create_host_config(mounts=mounts)
        )
        assert sweep_oneshots(subject.engine) == []
        assert subject.engine.containers(labels) == []
        assert subject.engine.remove("volumes", "held")
        assert subject.engine.list("volumes") == []

    def test_no_registry_is_asked_for_an_image_that_is_named_by_its_id(self, subject: Subject) -> None:
        began = time.monotonic()
        assert subject.run("quick").raw_log == ("quick",)
        assert time.monotonic() - began < 10
