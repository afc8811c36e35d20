"""Who is let in, who waits in the backlog, and how accepting rests and goes on."""

import errno
import logging
import socket
import sys

import pytest

from tests.support.client import Client, many_clients
from tests.support.connecting import begin_connection, is_answered
from tests.support.loop import GET, Loop
from waitressd.dispatch.bounds import Bounds
from waitressd.net.acceptor import ACCEPT_BURST, ACCEPT_PAUSE_SECONDS, LAST_HANDSHAKES_SECONDS, SHARED_BURST
from waitressd.net.progress import NEVER
from waitressd.peer import UNIX, Peer, peer_of


def exhausted(number: int = errno.EMFILE) -> OSError:
    return OSError(number, "Too many open files")


def test_a_burst_takes_a_bounded_number_in_one_turn() -> None:
    with Loop() as loop, many_clients(loop.listener.socket.getsockname(), ACCEPT_BURST - 1) as clients:
        loop.turn()
        loop.serve()
        assert len(loop.channels) == len(clients)
    assert list(loop.dispatcher._acceptor.accept(987, 0, 0.0)) == []  # no listener


def test_a_turn_leaves_clients_of_a_shared_listener_to_other_processes() -> None:
    with Loop() as loop, many_clients(loop.listener.socket.getsockname(), SHARED_BURST + 1):
        loop.listener.is_shared = True
        accept = loop.dispatcher._acceptor.accept
        taken = [sock for sock, _, _, _ in accept(loop.listener.fd, 0, 0.0)]
        assert len(taken) == SHARED_BURST
        taken += [sock for sock, _, _, _ in accept(loop.listener.fd, SHARED_BURST, 0.0)]
        assert len(taken) == SHARED_BURST + 1
        for sock in taken:
            sock.close()


def test_beyond_the_limit_clients_wait_in_the_backlog(caplog: pytest.LogCaptureFixture) -> None:
    with Loop(bounds=Bounds(connection_limit=2)) as loop, loop.connect() as first, loop.connect() as second:
        loop.settle()
        assert caplog.messages == []  # nobody waits yet
        third = Client(loop.listener.socket.getsockname(), timeout=5)
        third.send(GET)
        loop.settle()
        assert len(loop.channels) == 2
        assert not loop.dispatcher._acceptor._heard
        assert loop.dispatcher.is_accepting()  # whoever connects is taken, in time
        assert caplog.messages == ["2 connections are open, the limit; new ones wait in the backlog until some close"]
        loop.request(first, GET)
        assert first.receive().status == 200
        second.close()
        loop.settle()
        assert third.receive().status == 200
        third.close()


def test_a_full_server_does_not_turn_for_those_who_wait() -> None:
    with Loop(bounds=Bounds(connection_limit=1)) as loop, loop.connect(), Client(loop.listener.socket.getsockname()):
        loop.settle()
        loop.time += 5
        loop.turn()
        loop.poller.asked.clear()
        loop.turn()
        assert loop.poller.asked[0] != 0


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EINVAL])
def test_exhaustion_is_weather(number: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loop() as loop, loop.connect() as kept:
        with monkeypatch.context() as kernel:

            def fail() -> None:
                raise exhausted(number)

            kernel.setattr(loop.listener, "accept", fail)  # what the kernel says through it
            with Client(loop.listener.socket.getsockname(), timeout=5) as client:
                client.send(GET)
                loop.settle()
                loop.request(kept, GET)
                assert kept.receive().status == 200  # whoever is there is served
                loop.poller.asked.clear()
                loop.turn()
                assert loop.poller.asked == [pytest.approx(ACCEPT_PAUSE_SECONDS)]
                for _ in range(20):
                    loop.time += ACCEPT_PAUSE_SECONDS
                    loop.turn(3)
                kernel.undo()
                loop.time += ACCEPT_PAUSE_SECONDS
                loop.settle()
                assert client.receive().status == 200
        assert len(caplog.records) == 1
        assert caplog.records[0].levelno == logging.WARNING
        assert "cannot accept" in caplog.text


def test_a_poller_that_cannot_take_a_listener_back_is_asked_again() -> None:
    with Loop() as loop:
        acceptor = loop.dispatcher._acceptor
        acceptor._pause(exhausted(), loop.time)
        before = loop.poller.add

        def fail(fd: object, eventmask: int = 0) -> None:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        loop.poller.add = fail
        loop.time += 1
        loop.turn()
        assert (acceptor._heard, acceptor.resume_at) == (set(), loop.time + ACCEPT_PAUSE_SECONDS)
        loop.poller.add = before
        loop.time += 1
        loop.turn()
        assert (acceptor._heard, acceptor.resume_at) == ({loop.listener.fd}, NEVER)
        with loop.connect() as client:
            loop.request(client, GET)
            assert client.receive().status == 200


def test_one_client_may_have_its_share_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    with Loop(bounds=Bounds(per_client_connection_limit=2)) as loop, loop.connect() as first, loop.connect() as second:
        with loop.connect() as third:
            third.expect_closed()
        assert "127.0.0.1 has 2 connections already" in caplog.text
        second.close()
        loop.settle()
        with loop.connect() as fourth:
            loop.request(fourth, GET)
            assert fourth.receive().status == 200
        first.close()
        loop.settle()
        assert loop.dispatcher._acceptor._counts == {}


def test_hosts_are_counted_whatever_their_address_looks_like() -> None:
    with Loop(bounds=Bounds(per_client_connection_limit=1)) as loop:
        acceptor = loop.dispatcher._acceptor
        for address in [("::1", 5, 0, 0), ("10.0.0.1", 5)]:
            peer = peer_of(address)
            assert acceptor.admit(peer)
            assert not acceptor.admit(Peer(peer.address, 6))
            acceptor.release(peer, 0.0)
            assert acceptor.admit(peer)
            assert not acceptor.admit(peer)
        assert acceptor.admit(UNIX)
        assert acceptor.admit(UNIX)


def test_closing_is_final_and_harmless_twice() -> None:
    with Loop() as loop:
        acceptor = loop.dispatcher._acceptor
        acceptor._pause(exhausted(), loop.time)
        acceptor.close()
        acceptor.close()
        assert acceptor.backlogs() == []
        assert not acceptor.is_open
        assert not acceptor.is_accepting()
        assert acceptor.resume_at == NEVER
        assert loop.listener.socket.fileno() == -1


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")
def test_a_stop_lets_nobody_new_into_the_backlog_and_gives_the_last_handshakes_a_moment() -> None:
    with Loop() as loop, Client(loop.listener.address):
        loop.turn()
        loop.serve()
        loop.dispatcher.stop()
        loop.turn()
        with begin_connection(loop.listener.address) as late:
            assert not is_answered(late, 0.1)
        assert loop.listener.socket.fileno() >= 0
        loop.time += LAST_HANDSHAKES_SECONDS
        loop.turn()
        assert loop.listener.socket.fileno() == -1


def test_nobody_is_waited_for_where_nobody_has_come_lately() -> None:
    with Loop() as loop:
        loop.dispatcher.stop()
        loop.turn()
        assert loop.listener.socket.fileno() == -1
        assert loop.dispatcher.finished


def test_a_backlog_that_others_serve_stays_open_to_everybody() -> None:
    with Loop() as loop, loop.listener.socket.dup() as sibling:
        loop.dispatcher.stop(takes_backlog=False)
        loop.turn()
        assert loop.listener.socket.fileno() == -1
        with socket.create_connection(sibling.getsockname(), 5):
            sibling.accept()[0].close()
