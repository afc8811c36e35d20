"""What exchanges, connections and the loop ask of each other is what each of them has; mypy reads this file, too."""

import socket
from typing import TYPE_CHECKING

from tests.support.loop import Loop
from waitressd.dispatch.callback import Callback
from waitressd.http.errors import HttpError
from waitressd.net.channel import Channel
from waitressd.peer import Peer

if TYPE_CHECKING:
    from waitressd.net.eventloop import EventLoop, Job, Line
    from waitressd.wsgi.response import Transport


def test_the_dispatcher_is_a_loop_and_what_it_runs_are_jobs() -> None:
    with Loop() as loop, socket.socket() as sock:
        turned: EventLoop = loop.dispatcher
        channel = Channel(sock, Peer("127.0.0.1", 1), turned, loop.settings)
        line: Line = channel
        jobs: list[Job] = [channel.exchange, Callback(lambda: None, print, 0.0)]
        transport: Transport = channel.exchange
        assert line.fd == sock.fileno()
        assert [job.whose() for job in jobs] == ["127.0.0.1:1", "-"]
        assert [job.describe() for job in jobs] == ["a request that has just ended", "a callback"]
        assert transport.origin is line.origin


def test_a_callback_is_never_refused() -> None:
    assert not Callback(lambda: None, print, 0.0).refuse(HttpError(503, "Later."))
