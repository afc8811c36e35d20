"""What a server says of itself."""

from typing import Any, BinaryIO

from tests.support.ledgers import Server, lane_with
from tests.support.loop import GET, Loop
from waitressd.dispatch.lane import Lane
from waitressd.http.events import Request
from waitressd.metrics.layout import TIMEOUTS
from waitressd.metrics.look import look_at
from waitressd.metrics.pauses import finish
from waitressd.net.exchange import Exchange
from waitressd.net.ledger import Ledger


def test_a_server_that_has_not_begun() -> None:
    server = Server()
    figures = finish(look_at(server))
    assert (figures.busy_threads, figures.queue_depth, figures.findings) == (0, 0, None)
    assert figures.timeouts == dict.fromkeys(TIMEOUTS, 0)
    assert figures.process_started > 1_700_000_000


def test_limits_and_delays_and_certificates() -> None:
    lane = lane_with(Ledger(), threads=3, queue_limit=9, connection_limit=20)
    lane.delays.note(0.02)
    server = Server(lane)
    server.figures = {"certificate_ends": {"a.example": 5.0}, "reloads": {"renewed": 1}}
    figures = finish(look_at(server, ["WD01"]))
    assert (figures.threads_limit, figures.queue_limit, figures.connections_limit) == (3, 9, 20)
    assert (figures.idle_threads, figures.findings) == (3, frozenset({"WD01"}))
    assert sum(figures.delays[:-1]) == 1
    assert figures.delays[-1] > 0
    assert (figures.certificate_ends, figures.reloads) == ({"a.example": 5.0}, {"renewed": 1})
    server.close()


class LoopLane(Lane):
    """A loop that a test turns, as a lane."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop.poller, loop.dispatcher.bounds)
        self.dispatcher = loop.dispatcher
        self.workers = loop.workers


def test_connections_bytes_and_what_runs() -> None:
    seen: list[Any] = []

    def handle(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        exchange.environ = {"wsgi.url_scheme": "https"}
        seen.append(finish(look_at(Server(LoopLane(loop)))))
        exchange.write(b"HTTP/1.1 200 OK\r\n\r\n")

    loop = Loop(handle)
    with loop:
        loop.dispatcher.ledger = Ledger()
        with loop.connect(), loop.connect() as client:
            loop.request(client, GET)
            (figures,) = seen
            assert figures.running == {("GET", "https"): 1}
            assert figures.busy_threads == 1
            assert figures.connections["idle"] == 1
            assert figures.connections["running"] == 1
            assert (figures.received_bytes, figures.accepted) == (len(GET), 2)
        loop.settle()
        figures = finish(look_at(Server(LoopLane(loop))))
        assert (figures.received_bytes, figures.sent_bytes) == (len(GET), len(b"HTTP/1.1 200 OK\r\n\r\n"))
        assert sum(figures.connections.values()) == 0
