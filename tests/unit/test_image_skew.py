"""A one-shot runs the msrctl of an image: one of another version is refused before anything is started."""

from __future__ import annotations

import pytest

from fakes.engine import FakeEngine
from fakes.swarm import IMAGE_ID, OneShot
from msrctl import __version__
from msrctl.engine.gate import set_gate
from msrctl.engine.oneshot import OneShotResult, run_oneshot
from msrctl.engine.volumes import remove_volume
from msrctl.errors import WrongState
from msrctl.model import names


def _engine(version: str | None) -> FakeEngine:
    engine = FakeEngine()
    labels = {names.LABEL_VERSION: version} if version else None
    engine.swarm.images[IMAGE_ID]["Config"] = {"Labels": labels}
    return engine


def _run(engine: FakeEngine, program: str = "msrctl") -> OneShotResult:
    node = engine.nodes()[0]["ID"]
    return run_oneshot(
        engine, image_id=IMAGE_ID, node_id=node, args=["node"], labels={}, timeout=5, program=[program]
    )


@pytest.mark.parametrize("version", ["0.0.1", "99.0"])
def test_another_version_is_refused_and_nothing_is_started(version: str) -> None:
    engine = _engine(version)
    with pytest.raises(
        WrongState, match=f"msrctl {version} in it, and this is msrctl {__version__}"
    ) as error:
        _run(engine)
    assert error.value.code == "IMAGE-SKEW"
    assert "msrctl/msr:0.1.0" in (error.value.hint or "")
    assert (engine.list("services"), engine.swarm.tasks) == ([], [])


@pytest.mark.parametrize("version", [__version__, None])
def test_the_same_version_or_an_image_that_does_not_say_is_run(version: str | None) -> None:
    assert _run(_engine(version)).ok


def test_other_programs_do_not_care() -> None:
    assert _run(_engine("0.0.1"), "/bin/true").ok


def test_an_image_that_only_other_nodes_have_is_left_to_them() -> None:
    engine = _engine("0.0.1")
    del engine.swarm.images[IMAGE_ID]
    assert "No such image" in _run(engine).task_error


def test_what_undoes_takes_any_version() -> None:
    engine = _engine("0.0.1")
    other = engine.swarm.add_node("node-2")
    assert remove_volume(engine, "v", other, {"a": "b"}, image=IMAGE_ID) is False
    mount = {"Type": "volume", "Source": "g", "Target": "/gate"}
    ran: list[str] = []

    def answer(spec: dict[str, object]) -> OneShot:
        ran.append(str(spec["Name"]))
        return OneShot(lines=('{"gate": []}',))

    engine.swarm.oneshot = answer
    assert set_gate(engine, {"image": IMAGE_ID, "node": other, "mount": mount}) == []
    assert ran
