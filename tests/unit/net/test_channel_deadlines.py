"""Every state of a channel has one deadline; what happens when it passes. Real sockets, a clock moved by hand."""

import socket
from dataclasses import replace
from typing import BinaryIO

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Loop, answer
from tests.support.waiting import wait_until
from waitressd.http.events import Request
from waitressd.net.channel import Channel
from waitressd.net.channelsettings import Deadlines
from waitressd.net.dispatcher import Bounds
from waitressd.net.outbuf import OutputLimits
from waitressd.net.states import State

DEADLINES = Deadlines(
    idle_seconds=120,
    head_seconds=20,
    body_seconds=60,
    body_min_rate=100,
    queue_seconds=30,
    stall_seconds=8,
    response_min_rate=1000,
    grace_seconds=10,
    linger_seconds=2,
)
BIG = 40_000_000  # more than any socket buffer takes
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n"


def big(_request: Request, _body: BinaryIO | None, channel: Channel) -> None:
    answer(channel, b"x" * BIG)


def build(**options: object) -> Loop:
    return Loop(bounds=Bounds(idle_seconds=120), deadlines=DEADLINES, **options)  # type: ignore[arg-type]  # by name


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

    def slow(_request: Request, _body: BinaryIO | None, channel: Channel) -> None:
        loop.time += 5
        answer(channel)

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
        assert [channel.state for channel in loop.channels] == [State.QUEUED]
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
        assert loop.channels[0].state is State.FLUSHING
        loop.pass_time(7)
        assert len(loop.channels) == 1
        loop.pass_time(3)
        assert loop.channels == []
        with pytest.raises((ConnectionResetError, AssertionError)):
            client.receive()


def test_a_cut_answer_without_a_length_never_looks_complete() -> None:
    """The end of the connection is the end of its body: only a reset tells (RFC 9112, section 8)."""

    def endless(_request: Request, _body: BinaryIO | None, channel: Channel) -> None:
        answer_open(channel, b"x" * BIG)

    with Loop(endless, deadlines=DEADLINES) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        loop.request(client, b"GET / HTTP/1.0\r\n\r\n")
        loop.pass_time(17)
        assert loop.channels == []
        with pytest.raises(ConnectionResetError):
            client.receive()


def answer_open(channel: Channel, body: bytes) -> None:
    """Answer an HTTP/1.0 client with a body whose length is not said."""
    from waitressd.http.response import build_head

    channel.write(channel.connection.encoder.encode_head(build_head("200 OK", []), "date"))
    channel.write_parts(channel.connection.encoder.encode_data(body))
    assert channel.connection.encoder.encode_end() == b""


def test_a_reader_must_keep_a_minimum_rate() -> None:
    """It takes something every second, so it never stalls; still it is too slow."""
    with Loop(big, deadlines=DEADLINES) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        channel = loop.channels[0]
        channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # which the kernel would let grow
        loop.request(client, GET)
        begun = loop.time
        while channel.state is State.FLUSHING:
            # What a very slow network would take in a second; the kernel's own buffers are too large to wait for.
            channel._count_flushed(500)
            loop.pass_time(1)
            assert loop.time < begun + 60
        # The kernel may have moved some more by itself.
        allowed = DEADLINES.grace_seconds + channel._moved_bytes / DEADLINES.response_min_rate
        assert allowed <= loop.time - begun <= allowed + 2
        assert client.sock.fileno() > 0


def test_a_reader_whose_progress_only_the_kernel_sees_goes_on() -> None:
    """The poller tells of room when much of it is free; a slow client takes longer for that than the stall deadline."""
    slow = replace(DEADLINES, response_min_rate=100)
    with Loop(big, deadlines=slow) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        channel = loop.channels[0]
        loop.request(client, GET)
        flushed = channel.outbuf.flushed_bytes if channel.outbuf is not None else 0
        for _ in range(5):
            for _ in range(8):
                client.sock.recv(1000)
            loop.settle()
            loop.pass_time(7)
        assert loop.channels == [channel]
        assert channel.outbuf is not None
        assert channel.outbuf.flushed_bytes == flushed  # so far nothing has happened that the poller would tell
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
        assert [channel.state for channel in loop.channels] == [State.IDLE]


def test_lingering_ends_with_the_client_or_with_its_deadline() -> None:
    with build() as loop, loop.connect() as client, loop.connect() as other:
        for each in (client, other):
            loop.request(each, b"BROKEN\r\n\r\n")
            assert each.receive().status == 400
            each.send(b"more that nobody wants")
        loop.settle()
        assert [channel.state for channel in loop.channels] == [State.LINGERING] * 2
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
        channel = loop.channels[0]
        channel.state = State.RUNNING
        channel.deadline = float("inf")
        loop.pass_time(1000)
        assert channel.state is State.RUNNING
        channel.state = State.IDLE


def test_a_task_whose_client_stalls_is_freed() -> None:
    """The dispatcher breaks the output off; the write that waits raises, and the task gives the channel back."""
    limits = OutputLimits(memory_bytes=1000, high_water_bytes=2000)
    with Loop(big, deadlines=DEADLINES, output=limits) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        loop.request(client, GET)
        channel = loop.channels[0]
        channel.state = State.RUNNING  # as if its task were writing still

        def is_given_up() -> bool:
            loop.time += 9
            loop.dispatcher.now = loop.time
            channel.on_deadline()
            return channel.gone

        assert wait_until(
            is_given_up
        )  # the systems may still have been busy to fill the client's buffer, which is progress
        assert channel.outbuf is not None
        assert channel.outbuf.broken
        assert not channel.outbuf.wait_below_high_water(10)
        channel.settle()
        assert loop.channels == []
        assert client.sock.fileno() > 0


def test_a_request_that_was_taken_in_the_moment_of_its_deadline_is_not_cut_off() -> None:
    with build() as loop, loop.connect() as client, loop.busy():
        loop.request(client, GET)
        channel = loop.channels[0]
        loop.time += 31
        loop.dispatcher.now = loop.time
        loop.role.queue.remove(channel)
        channel.begin()  # a thread was faster
        channel.on_deadline()
        assert not channel.gone
        channel.run()
        channel.settle()
        assert client.receive().status == 200


@pytest.mark.parametrize("state", [State.HEAD, State.BODY])
def test_408_reaches_a_client_that_has_finished_sending(state: State) -> None:
    with build() as loop, loop.connect() as client:
        loop.request(client, b"GET / HT" if state is State.HEAD else POST)
        assert loop.channels[0].state is state
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
