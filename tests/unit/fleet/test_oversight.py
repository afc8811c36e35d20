"""The master's look at real rows and real memory."""

import os
from collections.abc import Iterator

import pytest

from waitressd.command import StartCommand
from waitressd.fleet import processes
from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.board import Board, Field, Row, to_ms
from waitressd.fleet.hello import Hello
from waitressd.fleet.oversight import Oversight
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Code, Roster, Worker
from waitressd.fleet.verdicts import Kind, Verdict

START = 1000.0


class Fleet:
    """Two workers that serve, with rows that a test writes; both are this process."""

    def __init__(self, **settings: str) -> None:
        self.plan, self.roster = Plan(), Roster(StartCommand(("true",), {}, "/"))
        self.oversight = Oversight(self.plan, self.roster)
        hello = Hello(workers=2, is_preloaded=True, preload_is_off="", settings=settings)
        self.roster.codes[1] = Code(0, None, None, 1, hello)
        self.roster.board = Board.create(4)
        self.plan.start(START, CodeFacts(2, is_preloaded=True))
        for number in (1, 2):
            index = self.roster.board.claim(number)
            self.roster.workers[number] = Worker(os.getpid(), None, None, number, number, 1, board_row=index)
            row = self.row(number)
            row[Field.BORN_AT] = row[Field.TURNED_AT] = to_ms(START)
            row[Field.THREADS] = 4
            self.plan.born(START, number, os.getpid())
            self.plan.ready(START, number)

    def row(self, number: int) -> Row:
        """Return the row of a worker."""
        row = self.roster.row_of(self.roster.workers[number])
        assert row is not None
        return row

    def look_until(self, end: float, *turning: int) -> list[tuple[int, Verdict]]:
        """Look at the workers as often as that is due, while those turn; return the last findings."""
        now, found = START, []
        while now < end:
            now = max(START, self.oversight.due)
            for number in turning:
                self.row(number)[Field.TURNED_AT] = to_ms(now)
            found = self.oversight.look(now)
        return found


@pytest.fixture
def fleets() -> Iterator[list[Fleet]]:
    """Fleets whose boards are closed."""
    made: list[Fleet] = []
    yield made
    for fleet in made:
        fleet.roster.close()


def test_who_does_not_turn_is_found_with_what_it_has_in_hand(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(worker_stall_timeout="5"))
    assert fleet.look_until(START + 6, 1, 2) == []
    assert fleet.look_until(START + 20, 1)[0][0] == 2
    ((number, verdict),) = fleet.oversight.look(fleet.oversight.due)
    assert (number, verdict.kind) == (2, Kind.STALLED)


def test_who_hangs_before_its_loop_has_turned_is_found_if_it_writes_its_row(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(worker_stall_timeout="5"))
    fleet.row(1)[Field.TURNED_AT] = fleet.row(2)[Field.TURNED_AT] = 0
    fleet.row(1)[Field.LOOKED_AT] = to_ms(START)
    assert [(number, verdict.kind) for number, verdict in fleet.look_until(START + 20)] == [(1, Kind.STALLED)]


def test_who_is_stuck_is_found(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(worker_stuck_timeout="5"))
    row = fleet.row(1)
    row[Field.BUSY], row[Field.QUEUED], row[Field.ENDED_AT] = 4, 1, to_ms(START)
    ((number, verdict),) = fleet.look_until(START + 10, 1, 2)
    assert (number, verdict.kind) == (1, Kind.STUCK)


def test_short_timeouts_are_looked_at_often(fleets: list[Fleet]) -> None:
    fleets += [Fleet(worker_stall_timeout="1"), Fleet(worker_stall_timeout="0", worker_stuck_timeout="0")]
    for fleet in fleets:
        fleet.oversight.look(START)
    assert [fleet.oversight.due - START for fleet in fleets] == [0.25, 1.0]


def test_requests_and_age_are_limited_by_place(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(worker_max_requests="100", worker_max_age="100"))
    fleet.row(1)[Field.REQUESTS] = fleet.row(2)[Field.REQUESTS] = 80
    assert fleet.oversight.look(START + 1) == [(2, Verdict(Kind.TOO_MANY, "80 requests (worker_max_requests)"))]
    fleet.row(2)[Field.REQUESTS] = 0
    assert fleet.oversight.look(START + 80) == [(2, Verdict(Kind.TOO_OLD, "it is 80 s old (worker_max_age)"))]


def test_a_worker_without_a_row_is_judged_by_what_else_is_known(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(worker_max_age="100", worker_stall_timeout="5"))
    fleet.roster.workers[2].board_row = None
    fleet.oversight.look(START)
    kinds = [(number, verdict.kind) for number, verdict in fleet.look_until(START + 80, 1)]
    assert kinds == [(2, Kind.TOO_OLD)]


@pytest.mark.skipif(not processes.can_measure_memory(), reason="this system does not tell")
def test_memory_is_measured_when_a_worker_is_ready_and_every_ten_seconds(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(worker_max_memory="1M"))
    ((number, verdict),) = fleet.oversight.measure(1, START)
    assert (number, verdict.kind) == (1, Kind.BORN_TOO_BIG)
    assert (fleet.roster.workers[1].private_bytes or 0) > 1 << 20
    fleet.oversight.look(START)  # the other is measured for the first time
    assert fleet.oversight.look(START + 9) == []
    assert [(number, verdict.kind) for number, verdict in fleet.oversight.look(START + 10)] == [
        (1, Kind.TOO_BIG),
        (2, Kind.TOO_BIG),
    ]


def test_nothing_is_measured_that_is_not_limited(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet())
    assert fleet.oversight.measure(1, START) == []
    assert fleet.oversight.measure(77, START) == []


def test_a_system_that_does_not_tell_is_named_once(
    fleets: list[Fleet], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(processes, "private_memory", lambda _: None)
    monkeypatch.setattr(processes, "can_measure_memory", lambda: False)
    fleets.append(fleet := Fleet(worker_max_memory="1M"))
    assert [*fleet.oversight.measure(1, START), *fleet.oversight.measure(2, START)] == []
    assert caplog.messages == [
        "worker_max_memory has no effect: this system does not tell what memory a process has of its own"
    ]


def test_an_unknown_code_limits_nothing(fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(worker_max_requests="1"))
    del fleet.roster.codes[1]
    fleet.row(1)[Field.REQUESTS] = 100
    assert fleet.oversight.look(START + 1) == []
