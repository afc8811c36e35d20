"""A channel between its client and its task, on real sockets: what is read, sent, kept, cut off and given back."""

import contextlib
import gc
import io
import socket
import struct
import sys
from typing import BinaryIO

import pytest

from tests.support.loop import GET, Loop, answer
from waitressd.http.errors import ClientDisconnected
from waitressd.http.events import Request
from waitressd.http.response import build_head
from waitressd.net.channel import Channel
from waitressd.net.exchange import Exchange
from waitressd.net.poller import ERROR, HANGUP, PARKED, PEER_CLOSED, READ
from waitressd.net.recorder import Fault
from waitressd.net.states import ChannelMove, ExchangeState

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
BIG = 40_000_000


def echo(_request: Request, body: BinaryIO | None, exchange: Exchange) -> None:
    answer(exchange, body.read() if body is not None else b"no body")


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_requests_one_by_one() -> None:
    with Loop() as loop, loop.connect() as client:
        for _ in range(5):
            loop.request(client, GET)
            assert client.receive().body == b"hello"
        assert loop.exchanges[0].number == 6


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="frees by reference counts")
def test_a_connection_that_has_ended_needs_no_garbage_collector() -> None:
    kept = []

    def keep(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        kept.append(exchange.is_gone)
        answer(exchange)

    def channels() -> list[Channel]:
        return [found for found in gc.get_objects() if type(found) is Channel]

    gc.collect()
    before = channels()  # what the traceback of another test still has
    gc.disable()
    try:
        with Loop(keep) as loop:
            for data in (GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), GET, b"no HTTP\r\n\r\n", b""):
                with loop.connect() as client:
                    loop.request(client, data)
                loop.settle()
                assert not loop.channels
                assert not [channel for channel in channels() if channel not in before]
            assert all(is_gone() for is_gone in kept)  # whoever has kept the request may ask
    finally:
        gc.enable()


def test_a_head_in_single_bytes() -> None:
    with Loop() as loop, loop.connect() as client:
        for index in range(len(GET)):
            client.send(GET[index : index + 1])
            loop.turn(2)
        loop.settle()
        assert client.receive().status == 200


def test_pipelined_requests_are_answered_in_order() -> None:
    def number(request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        answer(exchange, request.target.encode())

    with Loop(number) as loop, loop.connect() as client:
        loop.request(client, b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % index for index in range(200)))
        assert [client.receive().body for _ in range(200)] == [b"/%d" % index for index in range(200)]


def test_twenty_thousand_pipelined_requests_hold_little_memory() -> None:
    """One recv's worth is read ahead, whatever the client has sent."""
    with Loop(recv_bytes=4096) as loop, loop.connect() as client:
        client.sock.setblocking(False)
        unsent = memoryview(GET * 20_000)
        read_ahead, received = 0, 0
        while received < 20_000:
            with contextlib.suppress(BlockingIOError):
                unsent = unsent[client.sock.send(unsent[:65536]) :] if unsent else unsent
            loop.turn()
            read_ahead = max(read_ahead, loop.channels[0].connection.reader.buffered_bytes)
            try:
                received += client.sock.recv(1 << 20).count(b"HTTP/1.1 200")
            except BlockingIOError:
                continue
        assert read_ahead <= 2 * 4096


def test_a_body_is_complete_before_the_task_sees_it() -> None:
    with Loop(echo) as loop, loop.connect() as client:
        loop.request(client, POST + b"\r\nhel")
        assert loop.requests == []
        assert loop.phases[0] == "body"
        loop.request(client, b"lo" + GET)
        assert client.receive().body == b"hello"
        assert client.receive().body == b"no body"


def test_a_client_is_told_to_go_on() -> None:
    with Loop(echo) as loop, loop.connect() as client:
        loop.request(client, POST + b"Expect: 100-continue\r\n\r\n")
        assert client.receive_head().status == 100
        loop.request(client, b"hello")
        assert client.receive().body == b"hello"


def test_a_broken_request_is_refused_and_nothing_after_it_is_served() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n" + GET)
        response = client.receive()
        assert (response.status, response.closes) == (400, True)
        loop.request(client, GET)
        assert loop.requests == []
        client.expect_closed()


def test_a_half_closed_client_gets_all_its_answers() -> None:
    with Loop(recv_bytes=100) as loop, loop.connect() as client:
        client.send(GET * 20)
        client.finish_sending()
        loop.settle()
        for _ in range(20):
            assert client.receive().status == 200
        client.expect_closed()
        assert loop.channels == []


@pytest.mark.parametrize("sent", [b"", GET[:10], POST + b"\r\nhe"])
def test_a_reset_is_no_event_of_note(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, sent)
        reset(client.sock)
        loop.settle()
        assert loop.channels == []
        assert caplog.records == []


def test_a_reset_in_the_middle_of_a_refusal_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = loop.exchanges[0]
        loop.request(client, GET[:10])
        reset(client.sock)
        loop.time += 30
        loop.dispatcher.now = loop.time
        loop.channels[0].on_deadline()
        assert exchange.state is ExchangeState.DONE
        assert caplog.records == []


def test_a_full_disk_refuses_the_body_and_the_server_lives(caplog: pytest.LogCaptureFixture) -> None:
    class FullDisk:
        def append(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        def finish(self) -> BinaryIO:
            return io.BytesIO()

        def close(self) -> None:
            """Nothing is kept."""

    with Loop() as loop, loop.connect() as client, loop.connect() as other:
        object.__setattr__(loop.settings, "new_body", lambda _length: FullDisk())
        loop.request(client, POST + b"\r\nhe")
        assert client.receive().status == 503
        assert "cannot keep a request body" in caplog.text
        loop.request(other, GET)
        assert other.receive().status == 200


def test_the_wsgi_side_may_fail_in_any_way_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        raise SystemExit(3)

    with Loop(fails) as loop, loop.connect() as client:
        loop.request(client, GET)
        with pytest.raises((ConnectionResetError, AssertionError)):
            client.receive()
        assert "please report this" in caplog.text
        client.close()
        loop.settle()
        assert loop.channels == []


def test_an_answer_that_breaks_off_ends_the_connection_without_its_last_chunk() -> None:
    def breaks(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        exchange.write(exchange.connection.encoder.encode_head(build_head("200 OK", []), "date"))
        exchange.write_parts(exchange.connection.encoder.encode_data(b"half"))

    with Loop(breaks) as loop, loop.connect() as client:
        loop.request(client, GET)
        assert b"half" in client.receive_rest()


def test_a_cut_answer_does_not_destroy_the_one_before_it() -> None:
    def second_breaks(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        if len(loop.requests) == 2:
            exchange.write(exchange.connection.encoder.encode_head(build_head("200 OK", []), "date"))
        else:
            answer(exchange)

    with Loop(second_breaks) as loop, loop.connect() as client:
        client.send(GET * 50)
        loop.settle()
        assert client.receive().body == b"hello"
        assert client.receive_head().status == 200
        assert client.receive_rest() == b""


def test_a_large_answer_goes_on_without_its_task() -> None:
    def large(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        answer(exchange, b"x" * BIG)

    with Loop(large) as loop, loop.connect() as client:
        loop.request(client, GET * 2)
        assert loop.phases[0] == "flushing"
        client.sock.setblocking(False)
        received = bytearray()
        while received.count(b"HTTP/1.1 200") < 2 or len(received) < 2 * BIG:
            loop.turn()
            try:
                received += client.sock.recv(1 << 20)
            except BlockingIOError:
                continue
        assert loop.exchanges[0].outbuf is None or not loop.exchanges[0].outbuf.unsent_bytes


# -- while a task has the exchange


def channel_of(loop: Loop) -> Channel:
    return loop.channels[0]


def running(loop: Loop) -> Exchange:
    """A exchange whose task runs in another thread, as far as the loop can tell."""
    exchange = loop.exchanges[0]
    exchange.begin()
    exchange.request = None
    return exchange


def test_bytes_for_a_busy_channel_wait_in_the_kernel() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = running(loop)
        loop.request(client, GET)
        assert exchange.line.mask == PARKED
        assert not exchange.connection.reader.buffer
        assert not exchange.is_gone()
        exchange.settle()
        loop.settle()
        assert client.receive().status == 200


def test_a_task_learns_that_its_client_has_finished_or_left() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = running(loop)
        client.finish_sending()
        loop.settle()
        assert exchange.is_gone()
        assert exchange.fault is None  # it may still read
        reset(client.sock)
        loop.settle()
        assert exchange.is_broken
        assert exchange.line.mask == 0  # the poller has forgotten it: no event can spin
        with pytest.raises(ClientDisconnected):
            exchange.write(b"x")
            exchange.write(b"x")
        exchange.settle()
        assert loop.channels == []


def test_a_busy_channel_is_registered_no_more_often_than_needed() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = running(loop)
        channel_of(loop)._park(READ)
        assert exchange.line.mask == PARKED
        channel_of(loop)._park(PEER_CLOSED)
        assert exchange.line.mask == PARKED & ~PEER_CLOSED
        channel_of(loop)._park(HANGUP | ERROR)
        assert exchange.line.mask == 0
        exchange.settle()
        assert client.sock.fileno() > 0


def test_a_channel_given_back_aside_waits_for_the_next_request() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = running(loop)
        loop.request(client, GET)
        with loop.role.lock:
            assert exchange.settle_aside()
        assert (exchange.state, exchange.line.mask) == (ExchangeState.IDLE, READ)
        loop.settle()
        assert client.receive().status == 200


@pytest.mark.parametrize("trouble", ["gone", "half_closed", "buffered", "draining", "output", "poller"])
def test_what_only_the_holder_can_settle_is_left_to_it(trouble: str) -> None:
    with Loop() as loop, loop.connect():
        exchange = running(loop)
        if trouble == "gone":
            exchange.break_off(Fault.CLIENT)
        elif trouble == "half_closed":
            channel_of(loop)._move(ChannelMove.FINISH)
        elif trouble == "buffered":
            exchange.connection.reader.feed(b"GET")
        elif trouble == "draining":
            loop.dispatcher.draining = True
        elif trouble == "output":
            exchange._new_outbuf()
        else:
            exchange.line.mask = PARKED
            loop.poller.modify = _out_of_memory  # the kernel's refusal, not our code
        with loop.role.lock:
            assert not exchange.settle_aside()
        assert exchange.state is ExchangeState.RUNNING
        loop.dispatcher.draining = False
        exchange.settle()


def _out_of_memory(fd: object, eventmask: int) -> None:
    raise OSError(12, "Cannot allocate memory")


def test_a_failing_poller_costs_one_client(caplog: pytest.LogCaptureFixture) -> None:
    with Loop() as loop, loop.connect() as client, loop.connect() as other:
        exchange = running(loop)
        client.send(GET)
        before, loop.poller.modify = loop.poller.modify, _out_of_memory
        loop.settle()
        loop.poller.modify = before
        assert exchange.state is ExchangeState.RUNNING  # its socket is the task's
        assert exchange.wire.fileno() > 0
        assert exchange.is_broken
        exchange.settle()
        loop.request(other, GET)
        assert other.receive().status == 200


def test_closing_twice_is_harmless() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = loop.exchanges[0]
        exchange.close()
        exchange.close()
        client.expect_closed()
        assert exchange.line.fd not in loop.dispatcher.channels


def test_the_servers_own_words_go_behind_what_waits_already() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, POST + b"\r\n")
        exchange = loop.exchanges[0]
        outbuf = exchange._new_outbuf()
        outbuf._keep(memoryview(b"HTTP/1.1 100 Continue\r\n\r\n"))
        loop.time += 200
        loop.dispatcher.now = loop.time
        loop.channels[0].on_deadline()
        loop.settle()
        assert client.receive_head().status == 100
        assert client.receive().status == 408
