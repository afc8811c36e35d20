"""How a new connection begins: read from at once, known to the poller only where it must be."""

import errno

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Loop
from waitressd.net.poller import READ
from waitressd.net.states import ExchangeState


def test_accepting_says_whether_anybody_waited() -> None:
    with Loop() as loop, Client(loop.listener.socket.getsockname(), timeout=5):
        arrivals = loop.dispatcher._arrivals
        assert arrivals.accept(loop.listener.fd)
        assert not arrivals.accept(loop.listener.fd)
        assert not arrivals.accept(987)  # no listener
        assert arrivals.fresh == {channel.fd for channel in loop.channels}


def test_the_poller_knows_a_new_client_only_while_something_is_polled_before_its_answer() -> None:
    """However long the turn lasts in which it is answered, or who answers the others of that turn."""
    with Loop() as loop:
        arrivals = loop.dispatcher._arrivals
        address = loop.listener.socket.getsockname()
        with Client(address, timeout=5), Client(address, timeout=5), Client(address, timeout=5):
            while len(loop.channels) < 3:
                arrivals.accept(loop.listener.fd)
            running, waiting, queued = loop.channels
            running.exchange.begin()  # by a thread that has lost the role
            for late in (waiting, queued):
                late.exchange.wait()
                assert not late.mask
            queued.exchange.queue()
            arrivals.watch()
            assert [channel.mask for channel in (running, waiting, queued)] == [READ, 0, READ]
            assert arrivals.fresh == {waiting.fd}


def test_a_new_client_that_cannot_be_watched_is_given_up_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Loop() as loop, loop.connect() as known:
        loop.request(known, GET)
        assert known.receive().status == 200
        client = Client(loop.listener.socket.getsockname(), timeout=5)
        arrivals = loop.dispatcher._arrivals
        assert arrivals.accept(loop.listener.fd)
        (fd,) = arrivals.fresh
        exchange = loop.dispatcher.channels[fd].exchange
        exchange.begin()

        def refuse(_fd: int, _mask: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch, client:
            patch.setattr(loop.dispatcher.poller, "add", refuse)
            arrivals.watch()
            assert not arrivals.fresh
            assert exchange.is_broken
            exchange.settle()
            assert exchange.state is ExchangeState.DONE
        assert "cannot be watched" in caplog.text
        loop.request(known, GET)
        assert known.receive().status == 200
