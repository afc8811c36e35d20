"""The counters of one server."""

from collections.abc import Iterator

import pytest

from tests.support.ledgers import Server, count, lane_with
from waitressd.metrics.collector import ServerCounts
from waitressd.metrics.pauses import finish
from waitressd.net.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """Where requests are counted."""
    return Ledger()


@pytest.fixture
def server(ledger: Ledger) -> Iterator[Server]:
    """A server with one event loop."""
    server = Server(lane_with(ledger))
    yield server
    server.close()


def test_what_its_ledgers_have_counted(server: Server, ledger: Ledger) -> None:
    counts = ServerCounts(server)
    count(ledger, times=3)
    count(ledger, 0.5, status=503, ended_by="refused")
    totals = finish(counts.look()).totals
    assert totals.requests == {("2xx", "complete"): 3, ("5xx", "refused"): 1}
    assert totals.phase("application", "2xx").count == 3
    assert totals.phase("application", "5xx").quantile(0.5) == 0.5
    assert [(key[2], totals.series(slot).count) for key, slot in totals.keys.items()] == [(200, 3), (503, 1)]
    count(ledger)
    assert finish(counts.look()).totals.requests["2xx", "complete"] == 4


def test_two_who_look_in_turns_see_the_same(server: Server, ledger: Ledger) -> None:
    """As the thread of an admin address does, which makes several answers at once."""
    counts = ServerCounts(server)
    for number in range(5):
        count(ledger, route=f"/{number}")
    first, second = counts.look(), counts.look()
    for _ in range(3):
        next(first)
    for _ in range(10):  # it pauses until the first one is done
        next(second)
    assert finish(first).totals.requests == finish(second).totals.requests == {("2xx", "complete"): 5}


def test_whoever_gives_up_keeps_nobody_waiting(server: Server, ledger: Ledger) -> None:
    counts = ServerCounts(server)
    count(ledger)
    abandoned = counts.look()
    next(abandoned)
    abandoned.close()
    assert finish(counts.look()).totals.requests == {("2xx", "complete"): 1}


def test_what_is_the_matter_is_said_by_who_knows_it(server: Server) -> None:
    counts = ServerCounts(server)
    picture = finish(counts.look())
    assert picture.figures is not None
    assert (picture.figures.findings, picture.not_ready) == (None, None)
    counts.findings, counts.not_ready = lambda: ["WD03"], lambda: "queue"
    picture = finish(counts.look())
    assert picture.figures is not None
    assert (picture.figures.findings, picture.not_ready) == (frozenset({"WD03"}), "queue")
