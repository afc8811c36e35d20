"""What a connection waits for, and since when."""

import contextlib
from typing import Any, cast

import pytest

from tests.support.loop import BEGIN, GET, Loop, answer
from waitressd.net import phases
from waitressd.net.channel import Channel
from waitressd.net.handshake import Handshakes, TlsProtocol
from waitressd.net.preface import ProxyProtocol
from waitressd.net.states import ChannelState, ExchangeState

BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"


def found(channel: Channel) -> tuple[str, float | None]:
    state = phases.state_of(channel)
    return state, phases.since(channel, state)


def test_every_state_has_its_name() -> None:
    assert phases.STATES == (
        "proxy", "handshake", "idle", "head", "body", "queued", "running", "flushing", "lingering",
    )  # fmt: skip


@pytest.mark.parametrize(("sent", "state"), [(b"", "idle"), (b"GET / HT", "head"), (BODY, "body"), (GET, "idle")])
def test_a_state_and_its_beginning(sent: bytes, state: str) -> None:
    with Loop() as loop, loop.connect() as client:
        loop.time += 7.0
        loop.turn(2)
        if sent:
            loop.request(client, sent)
        loop.time += 3.0
        loop.turn(2)
        assert found(loop.channels[0]) == (state, BEGIN + (7.0 if sent else 0.0))


def test_a_body_that_goes_on_has_the_beginning_that_it_had() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, BODY)
        loop.time += 4.0
        loop.request(client, b"2")
        assert found(loop.channels[0]) == ("body", BEGIN)


def test_a_request_that_waits() -> None:
    with Loop() as loop, loop.connect() as client, loop.busy():
        loop.time += 1.0
        loop.request(client, GET)
        loop.time += 1.0
        assert found(loop.channels[0]) == ("queued", BEGIN + 1.0)
        loop.role.queue.clear()


def test_an_answer_that_is_not_taken() -> None:
    with Loop(lambda _r, _b, exchange: answer(exchange, b"x" * (20 << 20))) as loop, loop.connect() as client:
        loop.time += 1.0
        loop.request(client, GET)
        loop.time += 1.0
        assert found(loop.channels[0]) == ("flushing", BEGIN + 1.0)


def test_a_client_that_is_to_close() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.time += 1.0
        loop.request(client, b"BROKEN\r\n\r\nmore")
        loop.time += 0.5
        channel = loop.channels[0]
        assert channel.state is ChannelState.LINGERING
        assert found(channel) == ("lingering", BEGIN + 1.0)
        client.close()
        loop.settle()
        assert found(channel) == ("closed", None)


def test_a_proxy_header_that_does_not_come() -> None:
    protocol = ProxyProtocol("v1", lambda _address: True)
    with Loop(proxy_protocol=protocol) as loop, loop.connect() as client:
        loop.time += 2.0
        channel = loop.channels[0]
        assert found(channel) == ("proxy", BEGIN)
        channel.preface, preface = None, channel.preface  # complete, and HTTP is about to begin
        assert phases.state_of(channel) == "idle"
        channel.preface = preface
        loop.request(client, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n")
        assert found(channel) == ("idle", BEGIN + 2.0)


def test_a_handshake_of_tls_that_does_not_come() -> None:
    protocol = TlsProtocol(
        cast("Any", None), Handshakes(10), 5.0, "127.0.0.1:443", 443
    )  # asked for with the first byte
    with Loop(tls=protocol) as loop, loop.connect():
        loop.time += 2.0
        assert found(loop.channels[0]) == ("handshake", BEGIN)


def test_a_task_s_beginning_is_not_known_here() -> None:
    with Loop() as loop, loop.connect():
        (exchange,) = loop.exchanges
        exchange.state = ExchangeState.RUNNING
        assert found(loop.channels[0]) == ("running", None)
        exchange.state = ExchangeState.IDLE


def test_no_connection_is_older_than_itself() -> None:
    """A stop shortens the deadlines; the beginning is reckoned from them."""
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(Loop())
        stack.enter_context(loop.connect())
        (channel,) = loop.channels
        channel.expect_end(loop.time + 0.1)
        assert found(channel) == ("idle", BEGIN)
