"""How a new connection begins: read from at once, known to the poller only where it must be."""

import errno

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Loop
from waitressd.net.states import ExchangeState


def test_accepting_says_whether_anybody_waited() -> None:
    with Loop() as loop, Client(loop.listener.socket.getsockname(), timeout=5):
        arrivals = loop.dispatcher._arrivals
        assert arrivals.accept(loop.listener.fd)
        assert not arrivals.accept(loop.listener.fd)
        assert not arrivals.accept(987)  # no listener
        assert arrivals.fresh == {channel.fd for channel in loop.channels}


@pytest.mark.parametrize("runs", [False, True])
def test_a_new_client_that_cannot_be_watched_is_given_up_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, runs: bool
) -> None:
    with Loop() as loop, loop.connect() as known:
        loop.request(known, GET)
        assert known.receive().status == 200
        client = Client(loop.listener.socket.getsockname(), timeout=5)
        arrivals = loop.dispatcher._arrivals
        assert arrivals.accept(loop.listener.fd)
        (fd,) = arrivals.fresh
        exchange = loop.dispatcher.channels[fd].exchange
        if runs:
            exchange.begin()

        def refuse(_fd: int, _mask: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch, client:
            patch.setattr(loop.dispatcher.poller, "add", refuse)
            arrivals.watch()
            assert not arrivals.fresh
            assert exchange.is_broken is runs
            if runs:
                exchange.settle()
            assert exchange.state is ExchangeState.DONE
        assert "cannot be watched" in caplog.text
        loop.request(known, GET)
        assert known.receive().status == 200
