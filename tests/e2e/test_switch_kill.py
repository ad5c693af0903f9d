"""A switch that is killed before pushes go on is taken back or finished, and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import look, run, stores
from support.killed_switch import (
    BEFORE_COMMIT,
    HALF_DONE,
    Point,
    finish,
    kill,
    points,
    target,
)
from support.use import client, push

if TYPE_CHECKING:
    from labs.deployment import Deployment

pytest_plugins = ("support.killed_switch_fixtures",)


@pytest.mark.parametrize("point", points(BEFORE_COMMIT))
def test_a_switch_that_was_killed_is_taken_back(point: Point, whole: Deployment) -> None:
    host, old, place = whole.host, stores.root(whole), target(whole)
    before = look.document(host), stores.listing(old)
    service = look.service(host, "registry", whole.replica_id)["Spec"]
    kill(whole, point, place)
    data = run.data(host, "reconfigure", "--undo")
    assert data["outcome"] == "undone"
    assert look.document(host) == before[0]
    assert stores.listing(old) == before[1], "the old store is as it was"
    assert look.service(host, "registry", whole.replica_id)["Spec"] == service
    with client(whole) as registry:
        push(registry, "after/undo")


@pytest.mark.parametrize("point", points(HALF_DONE))
def test_a_switch_that_was_killed_is_finished(point: Point, whole: Deployment) -> None:
    place, before = target(whole), look.document(whole.host)
    kill(whole, point, place)
    finish(whole, place, before)
