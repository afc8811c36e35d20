"""Every state of a channel has one deadline; what happens when it passes. Real sockets, a clock moved by hand."""

import socket
import struct
from dataclasses import replace
from typing import BinaryIO

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Loop, answer
from tests.support.waiting import wait_until
from waitressd.dispatch.bounds import Bounds
from waitressd.http.events import Request
from waitressd.net.exchange import Exchange
from waitressd.net.outbuf import OutputLimits
from waitressd.net.progress import Deadlines
from waitressd.net.states import ExchangeState
from waitressd.net.wire import unacknowledged_bytes

DEADLINES = Deadlines(
    request_header_timeout=20,
    channel_timeout=60,
    request_body_min_rate=100,
    queue_timeout=30,
    send_timeout=8,
    response_min_rate=1000,
    min_rate_grace=10,
    linger_timeout=2,
)
BIG = 40_000_000  # more than any socket buffer takes
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n"


def big(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
    answer(exchange, b"x" * BIG)


def build(**options: object) -> Loop:
    return Loop(bounds=Bounds(channel_timeout=120), deadlines=DEADLINES, **options)  # type: ignore[arg-type]  # by name


def is_open(client: Client) -> bool:
    return client.is_silent(0.01)


def test_a_silent_client_is_closed_in_silence() -> None:
    with build() as loop, loop.connect() as client:
        loop.pass_time(119)
        assert is_open(client)
        loop.pass_time(2)
        client.expect_closed()
        assert loop.channels == []


def test_a_kept_connection_has_the_idle_deadline_anew_after_each_answer() -> None:
    with build() as loop, loop.connect() as client:
        for _ in range(3):
            loop.pass_time(100)
            loop.request(client, GET)
            assert client.receive().body == b"hello"
        loop.pass_time(119)
        assert is_open(client)
        loop.pass_time(2)
        client.expect_closed()


def test_a_head_that_does_not_end_gets_408() -> None:
    with build() as loop, loop.connect() as client:
        loop.pass_time(50)
        loop.request(client, b"GET / HT")
        loop.pass_time(19)
        assert is_open(client)
        loop.pass_time(2)
        response = client.receive()
        assert (response.status, response.closes) == (408, True)
        assert loop.requests == []


def test_a_dripping_head_does_not_move_its_deadline() -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, b"GET / HTTP/1.1\r\nX-Slow: ")
        for _ in range(19):
            loop.request(client, b"x")
            loop.pass_time(1)
        assert is_open(client)
        loop.request(client, b"x")
        loop.pass_time(2)
        assert client.receive().status == 408


def test_a_pipelined_head_has_its_deadline_from_its_first_look() -> None:
    """Also where the request before it took so long that a sweep came between."""

    def slow(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        loop.time += 5
        answer(exchange)

    with Loop(slow, deadlines=DEADLINES) as loop, loop.connect() as client:
        loop.request(client, GET + b"GET / HT")
        assert client.receive().status == 200
        loop.pass_time(25)
        assert client.receive().status == 408


def test_a_body_that_stops_gets_408() -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, POST + b"x" * 8000)
        loop.pass_time(59)
        assert is_open(client)
        loop.pass_time(3)
        assert client.receive().status == 408
        assert loop.requests == []


def test_a_body_must_keep_a_minimum_rate() -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, POST)
        seconds = 0
        while is_open(client):
            loop.request(client, b"x" * 20)
            loop.pass_time(1)
            seconds += 1
            assert seconds < 30
        assert client.receive().status == 408
        assert 9 <= seconds <= 15


def test_a_body_at_the_minimum_rate_is_served() -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, POST)
        for _ in range(50):
            loop.request(client, b"x" * 200)
            loop.pass_time(1)
        assert client.receive().status == 200


def test_a_queued_request_gets_503() -> None:
    with build() as loop, loop.connect() as client, loop.busy():
        loop.request(client, GET)
        assert loop.phases == ["queued"]
        loop.pass_time(29)
        assert is_open(client)
        loop.pass_time(2)
        response = client.receive()
        assert (response.status, response.get("Retry-After"), response.closes) == (503, "1", True)
        assert not loop.role.queue
        assert loop.requests == []


def test_a_reader_that_stalls_is_cut_off_visibly() -> None:
    with Loop(big, deadlines=DEADLINES) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        loop.request(client, GET)
        assert loop.phases[0] == "flushing"
        loop.pass_time(7)
        assert len(loop.channels) == 1
        loop.pass_time(3)
        assert loop.channels == []
        with pytest.raises((ConnectionResetError, AssertionError)):
            client.receive()


def test_a_cut_answer_without_a_length_never_looks_complete() -> None:
    """The end of the connection is the end of its body: only a reset tells (RFC 9112, section 8)."""

    def endless(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        answer_open(exchange, b"x" * BIG)

    with Loop(endless, deadlines=DEADLINES) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        loop.request(client, b"GET / HTTP/1.0\r\n\r\n")
        loop.pass_time(17)
        assert loop.channels == []
        with pytest.raises(ConnectionResetError):
            client.receive()


def answer_open(exchange: Exchange, body: bytes) -> None:
    """Answer an HTTP/1.0 client with a body whose length is not said."""
    from waitressd.http.response import build_head

    exchange.write(exchange.connection.encoder.encode_head(build_head("200 OK", []), "date"))
    exchange.write_parts(exchange.connection.encoder.encode_data(body))
    assert exchange.connection.encoder.encode_end() == b""


def test_a_reader_must_keep_a_minimum_rate() -> None:
    """It takes something every second, so it never stalls; still it is too slow."""
    with Loop(big, deadlines=DEADLINES) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        exchange = loop.exchanges[0]
        small = struct.pack("i", 8192)
        exchange.wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, small)  # which the kernel would let grow
        loop.request(client, GET)
        begun, taken, confirmed = loop.time, 0, 0
        assert exchange.delivery is not None
        first = exchange.delivery._first_confirmed
        while exchange.state is ExchangeState.FLUSHING:
            # What a very slow network would take in a second; the kernel's own buffers are too large to wait for.
            assert exchange.outbuf is not None
            taken += 500
            exchange.outbuf.flushed_bytes += 500
            confirmed = exchange.outbuf.flushed_bytes - unacknowledged_bytes(exchange.wire)
            loop.pass_time(1)
            assert loop.time < begun + 60
        moved = max(taken, confirmed - first)  # of its own, the kernel may have moved some more, early or late
        least = DEADLINES.min_rate_grace + taken / DEADLINES.response_min_rate
        assert least <= loop.time - begun <= DEADLINES.min_rate_grace + moved / DEADLINES.response_min_rate + 2
        assert client.sock.fileno() > 0


def test_a_reader_whose_progress_only_the_kernel_sees_goes_on() -> None:
    """The poller tells of room when much of it is free; a slow client takes longer for that than the stall deadline."""
    slow = replace(DEADLINES, response_min_rate=100)
    with Loop(big, deadlines=slow) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        exchange = loop.exchanges[0]
        loop.request(client, GET)
        flushed = exchange.outbuf.flushed_bytes if exchange.outbuf is not None else 0
        for _ in range(5):
            for _ in range(8):
                client.sock.recv(1000)
            loop.settle()
            loop.pass_time(7)
        assert loop.exchanges == [exchange]
        assert exchange.outbuf is not None
        assert exchange.outbuf.flushed_bytes == flushed  # so far nothing has happened that the poller would tell
        loop.pass_time(8 + 1 + 1)  # it stops; an eighth of the deadline, and a sweep
        assert loop.channels == []


def test_a_reader_that_goes_on_gets_everything() -> None:
    with Loop(big, deadlines=DEADLINES) as loop, loop.connect() as client:
        loop.request(client, GET)
        loop.time += 5
        client.sock.setblocking(False)
        received = 0
        while received < BIG:
            loop.turn()
            try:
                received += len(client.sock.recv(1 << 20))
            except BlockingIOError:
                continue
        loop.settle()
        assert loop.phases == ["idle"]


def test_lingering_ends_with_the_client_or_with_its_deadline() -> None:
    with build() as loop, loop.connect() as client, loop.connect() as other:
        for each in (client, other):
            loop.request(each, b"BROKEN\r\n\r\n")
            assert each.receive().status == 400
            each.send(b"more that nobody wants")
        loop.settle()
        assert loop.phases == ["lingering"] * 2
        client.close()
        loop.settle()
        assert len(loop.channels) == 1
        loop.pass_time(1)
        other.send(b"and more")
        loop.pass_time(2)
        assert loop.channels == []


def test_a_client_that_lingers_gets_its_answer_whatever_it_still_sends() -> None:
    with build() as loop, loop.connect() as client:
        client.send(b"BROKEN\r\n\r\n" + b"x" * 100_000)
        loop.settle()
        assert client.receive().status == 400


def test_a_running_task_has_no_deadline_of_its_own() -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, GET)
        exchange = loop.exchanges[0]
        exchange.state = ExchangeState.RUNNING
        exchange.deadline = float("inf")
        loop.pass_time(1000)
        assert exchange.state is ExchangeState.RUNNING
        exchange.state = ExchangeState.IDLE


def test_a_task_whose_client_stalls_is_freed() -> None:
    """The dispatcher breaks the output off; the write that waits raises, and the task gives the exchange back."""
    limits = OutputLimits(outbuf_overflow=1000, outbuf_high_watermark=2000)
    with Loop(big, deadlines=DEADLINES, output=limits) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        loop.request(client, GET)
        exchange = loop.exchanges[0]
        exchange.state = ExchangeState.RUNNING  # as if its task were writing still

        def is_given_up() -> bool:
            loop.time += 9
            loop.dispatcher.now = loop.time
            loop.channels[0].on_deadline()
            return exchange.is_broken

        assert wait_until(
            is_given_up
        )  # the systems may still have been busy to fill the client's buffer, which is progress
        assert exchange.outbuf is not None
        assert not exchange.outbuf.wait_below_high_water(10)
        exchange.settle()
        assert loop.channels == []
        assert client.sock.fileno() > 0


def test_a_request_that_was_taken_in_the_moment_of_its_deadline_is_not_cut_off() -> None:
    with build() as loop, loop.connect() as client, loop.busy():
        loop.request(client, GET)
        exchange = loop.exchanges[0]
        loop.time += 31
        loop.dispatcher.now = loop.time
        loop.role.queue.remove(exchange)
        exchange.begin()  # a thread was faster
        loop.channels[0].on_deadline()
        assert not exchange.is_broken
        exchange.run()
        exchange.settle()
        assert client.receive().status == 200


@pytest.mark.parametrize("state", [ExchangeState.HEAD, ExchangeState.BODY])
def test_408_reaches_a_client_that_has_finished_sending(state: ExchangeState) -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, b"GET / HT" if state is ExchangeState.HEAD else POST)
        assert loop.exchanges[0].state is state
        loop.pass_time(65)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.receive().status == 408
        loop.settle()
        assert loop.channels == []


@pytest.mark.parametrize("draining", [False, True])
def test_who_has_spoken_in_time_is_not_given_up_because_we_were_held_up(*, draining: bool) -> None:
    """The process was stopped, or its interpreter held, for longer than the deadline; the bytes are with the kernel."""
    with build() as loop, loop.connect() as client, loop.connect() as silent:
        if draining:
            loop.dispatcher.stop()
            loop.turn()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        loop.time += 500
        loop.settle()
        assert client.receive().status == 200
        loop.turn(3)
        silent.expect_closed()


def test_a_head_that_came_in_time_is_not_too_late_because_we_were_held_up() -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, b"GET / HTTP/1.1\r\n")
        client.send(b"Host: a\r\n\r\n")
        loop.time += 500
        loop.settle()
        assert client.receive().status == 200
