"""How soon accepting goes on after an exhaustion, and that an ill listener does not make the loop spin."""

import errno
import socket

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Loop
from waitressd.net.acceptor import ACCEPT_PAUSE_SECONDS
from waitressd.net.listener import PASSED_OVER, Listener


def test_a_descriptor_that_is_free_again_is_used_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loop() as loop, loop.connect() as kept, Client(loop.listener.socket.getsockname(), timeout=5) as client:
        loop.settle()
        with monkeypatch.context() as kernel:

            def fail() -> None:
                raise OSError(errno.EMFILE, "Too many open files")

            kernel.setattr(loop.listener, "accept", fail)  # what the kernel says through it
            with Client(loop.listener.socket.getsockname(), timeout=5) as other:
                other.send(GET)
                loop.settle()
                acceptor = loop.dispatcher._acceptor
                assert not acceptor._heard
                assert not acceptor.is_accepting()
                assert acceptor.resume_at == loop.time + ACCEPT_PAUSE_SECONDS
                kernel.undo()
                kept.close()
                loop.settle()  # no time passes
                assert other.receive().status == 200
                assert acceptor.is_accepting()
        loop.request(client, GET)
        assert client.receive().status == 200


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ECONNABORTED])
def test_a_listener_that_only_fails_does_not_hold_the_loop(number: int) -> None:
    calls = []

    class Ill(socket.socket):
        """What a security module or a broken network stack makes of it."""

        def accept(self) -> tuple[socket.socket, object]:
            calls.append(number)
            raise OSError(number, "ill")

    with Ill() as sock:
        listener = Listener(sock)
        with pytest.raises(OSError, match="ill"):
            listener.accept()
    assert len(calls) == PASSED_OVER
