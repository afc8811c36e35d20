"""What the master of a fleet answers by itself."""

import time
from dataclasses import replace

import pytest

from tests.support.insightfleet import Fleet, document, question
from waitressd.insight.answers import BadQuestion


def test_whether_it_lives_and_is_ready_the_master_knows() -> None:
    fleet = Fleet()
    assert document(question(fleet, "/live"))["live"] is True
    ready = document(question(fleet, "/ready"))
    assert (ready["ready"], ready["life"], ready["server"]) == (True, "serving", "shop")
    with pytest.raises(BadQuestion):
        question(fleet, "/ready", a="1")


@pytest.mark.parametrize("life", ["starting", "leaving", "draining"])
def test_who_starts_or_leaves_is_alive_and_not_ready(life: str) -> None:
    fleet = Fleet()
    fleet.state = replace(fleet.state, life=life, serving=0, deserted_since=0.0)
    assert question(fleet, "/live").status == 200
    answered = question(fleet, "/ready")
    found = document(answered)
    assert (answered.status, found["ready"], found["reason"]) == (503, False, life)
    assert 7 <= found["since_seconds"] < 30


def test_a_fleet_without_workers_is_not_ready_and_after_a_while_not_alive() -> None:
    fleet = Fleet()
    now = time.monotonic()
    fleet.state = replace(fleet.state, serving=0, deserted_since=now - 1)
    assert document(question(fleet, "/ready"))["reason"] == "no_worker"
    assert question(fleet, "/live").status == 200
    fleet.state = replace(fleet.state, deserted_since=now - 11)
    assert document(question(fleet, "/live"))["reason"] == "no_worker"


def test_a_master_whose_loop_does_not_turn_is_not_alive() -> None:
    fleet = Fleet()
    now = time.monotonic()
    fleet.state = replace(fleet.state, turned_at=now - 14)
    assert question(fleet, "/live").status == 200, "it may rest for five seconds"
    fleet.state = replace(fleet.state, turned_at=now - 16)
    found = document(question(fleet, "/live"))
    assert (found["reason"], found["turn_age_seconds"] >= 11) == ("dispatcher", True)


def test_a_drain_is_the_masters_own_business() -> None:
    fleet = Fleet()
    assert question(fleet, "/control/drain", "POST").status == 202
    assert fleet.drains == 1
