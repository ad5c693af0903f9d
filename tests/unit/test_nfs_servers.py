"""A server of the store in use that gives no answer is known beforehand: nobody waits for its mounts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from plan_support import Recorder, an_engine

from fakes.swarm import OneShot
from msrctl.errors import MsrctlError, PreflightFailed
from msrctl.model.cluster import Storage
from msrctl.model.requests import CommonRequest, ReconfigureRequest, SettingsRequest
from msrctl.plan.switch import Policy, Switch
from msrctl.storage.nfs_probe import report
from msrctl.storage.nfs_probe.report import NfsCheck, NfsReport
from msrctl.workflows import owners, storage, switch
from msrctl.workflows.material import Material
from msrctl.workflows.nfs_servers import old_server_gone, option_warnings
from msrctl.workflows.stores import StoreAnswer

NFS = Storage("nfs", {"host": "nas", "export": "/images", "version": "4.2"}, store_id="s1")
OTHER = Storage("nfs", {"host": "nas2", "export": "/images", "version": "4.2"})
DEAD = NfsCheck("port 2049 of nas", ok=False, detail="no answer", code=report.TIMEOUT, hint="Start it.")


def asked(check: NfsCheck | None, *, before: Storage = NFS, wanted: Storage = OTHER, policy: Policy) -> str:
    """What is found out when the node's probe says this; None: nothing may be asked at all."""
    engine, cluster = an_engine()

    def probe(spec: dict[str, Any]) -> OneShot:
        assert check is not None
        assert "nas" in spec["TaskTemplate"]["ContainerSpec"]["Args"]
        answer = NfsReport("nas", "/images", (check,), version="4.2" if check.ok else None)
        return OneShot(lines=(json.dumps(answer.to_json()),))

    engine.swarm.oneshot = probe
    return old_server_gone(engine, replace(cluster, storage=before), wanted, policy)


@pytest.mark.parametrize("policy", [Policy.EXACT, Policy.COPY])
def test_a_switch_that_needs_the_old_images_is_refused_at_once(policy: Policy) -> None:
    with pytest.raises(PreflightFailed) as error:
        asked(DEAD, policy=policy)
    assert error.value.code == report.TIMEOUT
    assert "nfs://nas/images" in str(error.value)
    assert "Nothing was changed" in (error.value.state or "")
    assert "--storage-migrated" in (error.value.hint or "")


@pytest.mark.parametrize("policy", [Policy.MIGRATED, Policy.EMPTY])
@pytest.mark.parametrize("code", sorted(report.GONE))
def test_one_that_does_not_need_them_goes_on_and_says_so(policy: Policy, code: str) -> None:
    assert asked(replace(DEAD, code=code), policy=policy) == "port 2049 of nas (node-1) no answer"


@pytest.mark.parametrize("policy", Policy)
def test_a_server_that_answers_is_looked_at_by_mounting(policy: Policy) -> None:
    for check in (NfsCheck("port 2049 of nas", ok=True), replace(DEAD, code=report.EXPORT)):
        assert asked(check, policy=policy) == ""


@pytest.mark.parametrize("policy", Policy)
def test_nobody_is_asked_if_there_is_no_server_or_it_is_the_one_that_is_tried_anyway(policy: Policy) -> None:
    assert asked(None, before=Storage(), policy=policy) == ""
    assert (
        asked(None, wanted=replace(NFS, parameters={**NFS.parameters, "asynchronous": True}), policy=policy)
        == ""
    )


def never(*_: Any, **__: Any) -> StoreAnswer:
    raise AssertionError("a task was started that mounts the store of a dead server")


def test_a_dead_store_is_neither_mounted_to_tell_it_apart_nor_to_compare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, cluster = an_engine()
    before = replace(cluster, storage=NFS)
    marker = {"store": "s1", "cluster": cluster.id, "url": "https://r", "since": ""}
    monkeypatch.setattr(owners, "on_stores", never)
    for erasing in (True, False):
        found = owners.is_in_use(None, before, OTHER, marker, erasing=erasing, reachable=False)  # type: ignore[arg-type]
        assert found is erasing

    def resolve(*args: Any, **options: Any) -> StoreAnswer:
        if args[3] != "resolve":
            never()
        assert options["old"] is None
        held = {"tags": 2, "repositories": 1, "blobs": 3, "bytes": 9}
        return StoreAnswer({"ok": True, "new": held}, ())

    monkeypatch.setattr(switch, "on_stores", resolve)
    plan = Switch(before, replace(before, storage=OTHER), Policy.MIGRATED, {})
    switching = switch.Switching(None, Recorder(), plan, old_gone="port 2049 of nas no answer")  # type: ignore[arg-type]
    (warning,) = switching.check(OTHER, ours=False)
    assert "not compared" in warning
    assert "port 2049 of nas" in warning


def test_a_comparison_that_hangs_all_the_same_is_given_up_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, cluster = an_engine()
    before = replace(cluster, storage=NFS)
    limits: list[float] = []

    def answer(*args: Any, **options: Any) -> StoreAnswer:
        limits.append(options["stall"])
        if args[3] == "compare":
            raise MsrctlError("nothing goes on any more at nfs://nas/images", code="STORE-STALLED")
        held = {"tags": 2, "repositories": 1, "blobs": 3, "bytes": 9}
        return StoreAnswer({"ok": True, "new": held}, ())

    monkeypatch.setattr(switch, "on_stores", answer)
    plan = Switch(before, replace(before, storage=OTHER), Policy.MIGRATED, {})
    switching = switch.Switching(None, Recorder(), plan, max_wait=45.0)  # type: ignore[arg-type]
    (warning,) = switching.check(OTHER, ours=False)
    assert "nothing goes on any more" in warning
    assert limits == [45.0, 45.0]


def test_mount_options_with_a_catch_are_told_also_when_only_they_change() -> None:
    soft = replace(NFS, parameters={**NFS.parameters, "options": "rw,soft"})
    (told,) = option_warnings(soft)
    assert told.startswith("--nfs-options: soft")
    _, cluster = an_engine()
    before = replace(cluster, storage=NFS)
    request = ReconfigureRequest(common=CommonRequest(), settings=SettingsRequest())
    same = storage._reconfigured(before, soft, [], Material(cluster.id, "0.1.0"), request)
    assert same.warnings == (told,)
    assert same.policy is None
    assert option_warnings(NFS) == option_warnings(Storage()) == ()
