"""What a master has of insight: its addresses, how it sees the fleet, and whom it can ask."""

import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.admin import ask
from tests.support.client import Client
from waitressd.command import StartCommand
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.board import Board, Field, to_ms
from waitressd.fleet.insight import LIFE_WORDS, FleetInsight
from waitressd.fleet.link import Link
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster, Worker
from waitressd.fleet.stackfile import StackFile
from waitressd.fleet.states import Life


@pytest.fixture
def roster() -> Roster:
    return Roster(StartCommand((), {}, "/"))


@pytest.fixture
def plan() -> Plan:
    """A fleet of two workers, of which the first serves."""
    plan = Plan()
    plan.start(100.0, CodeFacts(workers=2, is_preloaded=True))
    plan.ready(101.0, 1)
    return plan


@pytest.fixture
def insight(plan: Plan, roster: Roster) -> Iterator[FleetInsight]:
    made = FleetInsight(plan, roster, 5.0)
    yield made
    made.close()


def adjusted(listen: str, **settings: object) -> Adjustments:
    return Adjustments.from_keywords(listen="127.0.0.1:8080", admin_listen=listen, **settings)


def is_ready(path: Path) -> bool:
    with Client(str(path)) as client:
        return ask(client, "/ready", host="localhost").status == 200


def test_every_life_has_a_word() -> None:
    assert set(LIFE_WORDS) == set(Life)


def test_an_address_stays_open_from_one_configuration_to_the_next(insight: FleetInsight, tmp_path: Path) -> None:
    insight.look(time.monotonic(), is_leaving=False)
    old, new, kept = tmp_path / "old", tmp_path / "new", tmp_path / "kept"
    before = adjusted(f"unix:{old} unix:{kept}")
    insight.open(before)
    inode = kept.stat().st_ino
    after = adjusted(f"unix:{kept} unix:{new}", live_timeout=3)
    with Client(str(kept)) as client:
        assert ask(client, "/ready", host="localhost").status == 200
        insight.open(after)
        assert all(map(is_ready, (old, new, kept))), "both are asked as long as there are workers of both"
        insight.keep([after])
        assert not old.exists()
        assert all(map(is_ready, (new, kept)))
        assert kept.stat().st_ino == inode
        assert ask(client, "/ready", host="localhost").status == 200
    assert insight.live_timeout == 3
    insight.keep([])  # a stop closes nothing before the end
    assert is_ready(kept)


def test_an_address_that_is_taken_changes_nothing(insight: FleetInsight, tmp_path: Path) -> None:
    insight.look(time.monotonic(), is_leaving=False)
    path = tmp_path / "admin"
    insight.open(adjusted(f"unix:{path}"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="admin_listen: cannot listen on"):
            insight.open(adjusted(f"unix:{path} 127.0.0.1:{port}"))
    assert is_ready(path)


def test_the_fleet_is_seen_as_it_is(insight: FleetInsight, plan: Plan) -> None:
    insight.look(102.0, is_leaving=False)
    assert (insight.state.life, insight.state.serving, insight.state.turned_at) == ("serving", 1, 102.0)
    insight.look(103.0, is_leaving=False)
    assert insight.state.since == 102.0
    insight.look(104.0, is_leaving=True)
    assert (insight.state.life, insight.state.since) == ("leaving", 104.0)
    plan.died(105.0, 1, "signal 9")
    insight.look(105.0, is_leaving=False)
    insight.look(110.0, is_leaving=False)
    assert (insight.state.serving, insight.state.deserted_since) == (0, 105.0)
    plan.stop(111.0)
    insight.look(111.0, is_leaving=True)
    assert insight.state.life == "draining"


def test_a_drain_wakes_the_masters_loop(insight: FleetInsight) -> None:
    with selectors.DefaultSelector() as poller:
        poller.register(insight, selectors.EVENT_READ)
        assert not insight.take_orders()
        insight.drain()
        insight.drain()
        assert poller.select(10)
        assert insight.take_orders()
        assert not insight.take_orders()


def test_workers_are_told_to_write_down_what_they_have_counted(insight: FleetInsight, roster: Roster) -> None:
    pairs = [Link.pair() for _ in range(2)]
    for number, (ours, theirs) in enumerate(pairs, 1):
        theirs.socket.setblocking(False)
        roster.workers[number] = Worker(4711, ours, None, number=number, place=number, code=1, row=number)
    roster.workers[3] = Worker(4713, None, None, number=3, place=3, code=1, row=3)
    insight._refresh_rows({2, 3})
    assert [[message.name for message in theirs.receive()] for _, theirs in pairs] == [[], ["count"]]
    for pair in pairs:
        for link in pair:
            link.close()


def test_who_is_ready_can_be_asked(insight: FleetInsight, roster: Roster) -> None:
    ours, theirs = Link.pair()
    ours.socket.setblocking(False)
    roster.workers[1] = Worker(4711, ours, None, number=1, place=1, code=1, is_ready=True)
    roster.workers[2] = Worker(4712, None, None, number=2, place=2, code=1)
    (member,) = insight.members()
    assert (member.worker, member.pid, member.generation) == (1, 4711, 1)
    one, other = socket.socketpair()
    with one, other:
        assert member.pass_on(other.fileno())
        (message,) = theirs.receive()
        assert (message.name, len(message.descriptors)) == ("insight", 1)
        message.close()
        theirs.close()
        ours.close()
        assert not member.pass_on(other.fileno())
    roster.workers[1].link = None
    assert not member.pass_on(0)


def test_what_a_worker_has_written_of_itself_is_known_without_asking(
    insight: FleetInsight, roster: Roster, tmp_path: Path
) -> None:
    insight.look(time.monotonic(), is_leaving=False)
    insight.open(adjusted(f"unix:{tmp_path / 'admin'}", admin_show_query=True))
    with closing(roster):
        roster.board = board = Board.create(1)
        worker = Worker(os.getpid(), None, None, number=1, place=1, code=1, is_ready=True, board_row=board.claim(1))
        roster.workers[1] = worker
        (member,) = insight.members()
        row = roster.row_of(worker)
        assert row is not None
        now = time.monotonic()
        row[Field.BORN_AT], row[Field.LOOKED_AT], row[Field.QUEUED] = to_ms(now - 60), to_ms(now - 3), 4
        held = member.held()
        assert held is not None
        assert (held.figures["stage"], held.figures["queue_depth"]) == ("serving", 4)
        assert held.figures["busy_threads"] == 0, "as it is now"
        assert 60 <= held.figures["age_seconds"] < 90
        assert 3 <= held.figures["looked_seconds"] < 33
        assert held.figures["turned_seconds"] is None
        assert held.is_lost
        assert not held.is_stopped
        assert held.shows_query
        assert held.requests == []
        roster.retire(worker)
        assert member.held() is None
        assert member.stacks(0.01) == ""


def test_the_stacks_of_a_worker_are_asked_for_by_the_masters_loop(insight: FleetInsight, roster: Roster) -> None:
    """It alone knows that the number of a process is not another's by now."""
    with closing(roster), selectors.DefaultSelector() as poller:
        poller.register(insight, selectors.EVENT_READ)
        program = "import faulthandler, sys, time; faulthandler.register(3, 1); print(flush=True); time.sleep(600)"
        file = StackFile()
        with subprocess.Popen([sys.executable, "-c", program], stdout=file.fd) as process:
            worker = Worker(process.pid, None, None, number=1, place=1, code=1, is_ready=True, stacks=file)
            roster.workers[1] = worker
            while not os.fstat(file.fd).st_size:
                time.sleep(0.01)
            (member,) = insight.members()
            found: list[str] = []
            thread = threading.Thread(target=lambda: found.append(member.stacks(30.0)))
            thread.start()
            assert poller.select(10)
            assert not insight.take_orders()
            thread.join()
            process.kill()
        assert "most recent call first" in found[0]
