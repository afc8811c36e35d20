"""How a request is taken in that is not complete at once. Its laws on the wire are in `test_channel.py`."""

import pytest

from tests.support.loop import Loop
from waitressd.net.intake import BODY_READ_BYTES
from waitressd.net.states import ExchangeState
from waitressd.wsgi.input import BodySpool, MemoryBudget

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


LARGE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"


@pytest.mark.parametrize("ending", ["answered", "gone", "late"])
def test_the_memory_of_a_body_is_free_once_its_request_has_ended(ending: str) -> None:
    budget = MemoryBudget(1_000_000)
    with Loop(new_body=lambda length: BodySpool(1 << 20, None, budget, length)) as loop, loop.connect() as client:
        loop.request(client, LARGE + b"x" * 100_000)
        assert not budget.take(1_000_000)
        if ending == "answered":
            loop.request(client, b"x" * 200_000)
            assert client.receive().status == 200
        elif ending == "gone":
            client.close()
            loop.settle()
        else:
            loop.pass_time(1000)
        assert budget.take(1_000_000)


def test_a_read_asks_for_the_whole_rest_of_a_body_and_never_for_megabytes_otherwise() -> None:
    with Loop() as loop, loop.connect() as client:
        usual = loop.settings.recv_bytes
        exchange = loop.exchanges[0]
        assert exchange.ask_bytes == usual
        loop.request(client, LARGE + b"x")
        assert exchange.ask_bytes == 299_999
        loop.request(client, b"x" * 250_000)
        assert exchange.ask_bytes == usual
        loop.request(client, b"x" * 49_999)
        assert client.receive().status == 200
        loop.request(client, LARGE.replace(b"300000", b"300000000") + b"x")
        assert exchange.ask_bytes == BODY_READ_BYTES
        exchange.line.close()
        loop.request(client, b"")


def test_the_next_request_behind_a_large_body_is_asked_for_as_usual() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, LARGE + b"x")
        loop.request(client, b"x" * 299_999)
        assert client.receive().status == 200
        assert loop.exchanges[0].ask_bytes == loop.settings.recv_bytes
