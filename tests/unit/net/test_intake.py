"""How a request is taken in that is not complete at once. Its laws on the wire are in `test_channel.py`."""

from tests.support.loop import Loop
from waitressd.net.states import ExchangeState

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


def test_a_body_that_comes_with_its_head_needs_no_upload() -> None:
    with Loop() as loop, loop.connect() as client:
        client.send(POST + b"abcd")
        loop.settle()
        assert client.receive().status == 200
        assert loop.exchanges[0].upload is None


def test_a_body_that_comes_later_has_a_deadline_of_its_own() -> None:
    with Loop() as loop, loop.connect() as client:
        before = loop.exchanges[0].deadline
        loop.request(client, POST + b"ab")
        exchange = loop.exchanges[0]
        assert exchange.state is ExchangeState.BODY
        assert exchange.upload is not None
        assert exchange.deadline < before
        loop.request(client, b"cd")
        assert client.receive().status == 200
        assert exchange.upload is None


def test_a_part_of_a_head_starts_the_clock_of_the_head() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, POST[:10])
        exchange = loop.exchanges[0]
        assert exchange.state is ExchangeState.HEAD
        assert exchange.deadline == loop.time + exchange.settings.deadlines.request_header_timeout
