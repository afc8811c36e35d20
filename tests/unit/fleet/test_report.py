"""What a worker says of itself on the board: that it looks, that its loops turn, and how busy it is."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.servers import running_server
from tests.support.waiting import wait_until
from waitressd import forks, inhand
from waitressd.dispatch.lane import Lane
from waitressd.fleet.board import Board, Field, Row, to_ms
from waitressd.fleet.report import LOOK_SECONDS, Report
from waitressd.fleet.stackfile import StackFile
from waitressd.net.pulse import Pulse

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fleets here")


@pytest.fixture
def row() -> Iterator[Row]:
    board = Board.create(1)
    yield board.row(board.claim(1) or 0)
    for desk in inhand._desks[:]:
        forks.drop(desk)
    inhand._desks.clear()
    board.close()


def test_what_a_server_does_is_in_its_row(row: Row) -> None:
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun.release()
        go.acquire()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    desk = inhand.note_in(row.entries)
    with running_server(application, threads=2, metrics="on") as server:
        report = Report(row, desk, server.server)
        first, second, third = (Client(server.address) for _ in range(3))
        with first, second, third:
            for client, path in ((first, b"/one?secret=1"), (second, b"/two")):
                client.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                begun.acquire()
            third.send(b"GET /three HTTP/1.1\r\nHost: a\r\n\r\n")

            def is_seen() -> bool:
                report.on_tick(monotonic() + LOOK_SECONDS)
                return row[Field.QUEUED] == 1

            assert wait_until(is_seen)
            busy = [row[field] for field in (Field.THREADS, Field.BUSY, Field.CONNECTIONS, Field.REQUESTS)]
            assert busy == [2, 2, 3, 0]
            assert [each.describe() for each in row.in_hand()] == ["GET /one", "GET /two"]
            assert row[Field.ENDED_AT] == to_ms(row.in_hand()[-1].since)  # since then nothing has moved
            for _ in range(3):
                go.release()
            begun.acquire()
            for client in (first, second, third):
                assert client.receive().status == 200
            before = to_ms(monotonic())

            def is_idle() -> bool:
                report.on_tick(monotonic() + LOOK_SECONDS)
                is_over = row[Field.BUSY] == row[Field.QUEUED] == 0 and row[Field.REQUESTS] == 3
                return is_over and all(row[field] >= before for field in times)

            times = (Field.LOOKED_AT, Field.TURNED_AT, Field.ENDED_AT)
            assert wait_until(is_idle)
            assert row.in_hand() == []


class Loop:
    """An event loop that turns when a test says so."""

    is_whole = is_accepting = True
    has_ended = False
    turned_at = 0.0
    pokes = 0

    def wake(self) -> None:
        self.pokes += 1


@dataclass
class Idle:
    """A server with one loop and no thread."""

    pulse: Pulse | None
    lanes: Sequence[Lane] = ()


def test_a_loop_that_rests_is_made_to_turn_and_one_that_hangs_is_known_by_when_it_did(row: Row) -> None:
    loop = Loop()
    report = Report(row, inhand.note_in(row.entries), Idle(Pulse([loop])))
    report.on_tick(100.0)
    assert loop.pokes == 1
    loop.turned_at = 100.25
    report.on_tick(101.0)
    assert (row[Field.LOOKED_AT], row[Field.TURNED_AT], loop.pokes) == (101_000, 100_250, 2)
    report.on_tick(111.0)
    assert (row[Field.LOOKED_AT], row[Field.TURNED_AT]) == (111_000, 100_250)
    loop.has_ended = True
    report.on_tick(112.0)
    assert row[Field.TURNED_AT] == 112_000, "nothing is wrong with one that has ended"


def test_it_looks_now_and_then_and_before_the_loops_have_begun_too(row: Row) -> None:
    report = Report(row, inhand.note_in(row.entries), Idle(None))
    report.on_tick(100.0)
    report.on_tick(100.0 + LOOK_SECONDS / 2)
    assert (row[Field.LOOKED_AT], row[Field.TURNED_AT]) == (100_000, 0)
    report.on_tick(100.0 + LOOK_SECONDS)
    assert row[Field.LOOKED_AT] == to_ms(100.0 + LOOK_SECONDS)


def test_that_stacks_were_written_is_told_once(row: Row) -> None:
    file = StackFile()
    told: list[str] = []
    report = Report(row, inhand.note_in(row.entries), Idle(None))
    report.tell_of_stacks(file.fd, lambda: told.append("stacks"))
    report.on_tick(100.0)
    assert told == []
    os.write(file.fd, b"Thread")
    for now in (101.0, 102.0):
        report.on_tick(now)
    assert told == ["stacks"]
    file.close()
