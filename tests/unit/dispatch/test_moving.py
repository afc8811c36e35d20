"""Connections go on in another event loop, and their clients notice nothing."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.loop import BEGIN, GET, Loop
from tests.support.siblings import Mate
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.dispatcher import DRAIN_IDLE_SECONDS
from waitressd.dispatch.moving import HEIR_SECONDS, PATIENCE_SECONDS
from waitressd.dispatch.states import DispatcherState
from waitressd.net.ledger import Ledger
from waitressd.net.preface import ProxyProtocol
from waitressd.net.states import ChannelState, ExchangeState


class Two:
    """Two loops with a mailbox each. The second one has no clients of its own."""

    def __init__(self, **options: Any) -> None:
        self.first, self.second = Loop(**options), Loop(**options)
        self.mates = Mate(), Mate()
        for mate, other, loop in zip(self.mates, reversed(self.mates), (self.first, self.second), strict=True):
            mate.other = other
            loop.dispatcher.ledger = Ledger()
            loop.listener.is_shared = True
            loop.dispatcher.join(mate)

    def settle(self) -> None:
        """Let both loops turn until nothing happens."""
        for loop in (self.first, self.second):
            if not loop.dispatcher.finished:
                loop.settle()


@contextlib.contextmanager
def two(**options: Any) -> Iterator[Two]:
    both = Two(**options)
    with contextlib.closing(both.mates[0]), contextlib.closing(both.mates[1]), both.first, both.second:
        yield both


def ask(loop: Loop, client: Client) -> int:
    client.send(GET)
    loop.settle()
    answer = client.receive()
    assert not answer.closes
    return answer.status


def test_an_idle_connection_goes_on_in_another_loop() -> None:
    with two() as both, both.first.connect() as client:
        assert ask(both.first, client) == 200
        assert ask(both.first, client) == 200
        before = both.first.channels[0]
        both.first.time += 5
        both.first.turn()
        assert both.first.dispatcher.share(1) == 1
        assert before.state is ChannelState.CLOSED
        assert both.first.channels == []
        both.second.time = BEGIN + 6
        both.second.settle()
        (after,) = both.second.channels
        assert after.origin == before.origin
        assert after.opened_at == before.opened_at
        assert after.exchange.number == 3
        assert after.deadline == BEGIN + both.second.dispatcher.idle_seconds  # it goes on, and does not begin anew
        assert ask(both.second, client) == 200


def test_in_the_books_it_is_neither_closed_nor_new() -> None:
    with two() as both, both.first.connect() as client:
        ask(both.first, client)
        both.first.dispatcher.share(1)
        both.second.settle()
        ask(both.second, client)
        ledgers = [loop.dispatcher.ledger for loop in (both.first, both.second)]
        assert [ledger.accepted for ledger in ledgers if ledger] == [1, 0]
        assert [ledger.received_bytes for ledger in ledgers if ledger] == [len(GET), 0]
        (channel,) = both.second.channels
        assert channel.received_bytes == len(GET)


def test_bytes_that_nobody_has_read_go_with_it() -> None:
    with two() as both, both.first.connect() as client:
        ask(both.first, client)
        client.send(GET)
        assert both.first.dispatcher.share(1) == 1
        both.settle()
        assert client.receive().status == 200
        assert len(both.second.requests) == 1


@pytest.mark.parametrize("sent", [b"G", GET[:-1], b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na"])
def test_a_request_that_was_read_in_part_stays(sent: bytes) -> None:
    with two() as both, both.first.connect() as client:
        both.first.request(client, sent)
        assert both.first.dispatcher.share(1) == 0
        assert len(both.first.channels) == 1


def test_without_room_it_stays_as_it_was() -> None:
    with two() as both, both.first.connect() as client:
        both.mates[1].is_serving = False
        assert both.first.dispatcher.share(1) == 0
        assert ask(both.first, client) == 200


def test_what_a_balancer_has_said_goes_with_it() -> None:
    proxy = ProxyProtocol("any", lambda _address: True)
    bounds = Bounds(per_client_connection_limit=1)
    with two(proxy_protocol=proxy, bounds=bounds) as both, both.first.connect() as client:
        both.first.request(client, b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n" + GET)
        assert client.receive().status == 200
        (before,) = both.first.channels
        assert both.first.dispatcher.share(1) == 1
        both.second.settle()
        (after,) = both.second.channels
        assert after.origin == before.origin
        assert str(after.peer) == "192.0.2.7:5555"
        assert both.first.dispatcher._acceptor._counts == {}
        assert both.second.dispatcher._acceptor._counts == {"192.0.2.7": 1}
        assert ask(both.second, client) == 200


def test_a_new_connection_that_is_passed_begins_at_its_beginning() -> None:
    proxy = ProxyProtocol("any", lambda _address: True)
    with two(proxy_protocol=proxy) as both:
        both.mates[0].places = True
        with Client(both.first.listener.socket.getsockname(), timeout=5) as client:
            client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n" + GET)
            both.settle()
            assert client.receive().status == 200
            assert both.first.channels == []
            (channel,) = both.second.channels
            assert str(channel.peer) == "192.0.2.7:5555"
            ledgers = [loop.dispatcher.ledger for loop in (both.first, both.second)]
            assert [ledger.accepted for ledger in ledgers if ledger] == [0, 1]


def test_a_connection_is_passed_once() -> None:
    with two() as both:
        for mate in both.mates:
            mate.places = True
        with Client(both.first.listener.socket.getsockname(), timeout=5) as client:
            both.settle()
            assert (len(both.first.channels), len(both.second.channels)) == (0, 1)
            assert ask(both.second, client) == 200


def test_one_client_counts_where_its_connection_is() -> None:
    with two(bounds=Bounds(per_client_connection_limit=2)) as both:
        both.mates[0].places = True
        with Client(both.first.listener.socket.getsockname(), timeout=5) as client:
            both.settle()
            assert both.first.dispatcher._acceptor._counts == {}
            assert both.second.dispatcher._acceptor._counts == {"127.0.0.1": 1}
            assert ask(both.second, client) == 200
        both.settle()
        assert both.second.dispatcher._acceptor._counts == {}


def test_a_mailbox_rests_with_the_listeners_at_the_limit() -> None:
    with two(bounds=Bounds(connection_limit=1)) as both, both.first.connect() as one:
        assert both.first.dispatcher.share(1) == 1
        both.settle()
        with both.first.connect() as two_:
            assert both.first.dispatcher.share(1) == 1
            both.second.settle()
            assert len(both.second.channels) == 1
            one.close()
            both.second.settle()
            assert ask(both.second, two_) == 200


# -- a drain


def drain(both: Two) -> None:
    both.first.dispatcher.stop(takes_backlog=False)


def test_a_drain_gives_everything_away() -> None:
    with two() as both, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(both.first.connect()) for _ in range(20)]
        ask(both.first, clients[0])
        drain(both)
        both.first.turn(2)
        assert both.first.channels == []
        assert not both.first.dispatcher.finished  # what lies in the mailbox may have to come back
        both.second.settle()
        both.first.turn(2)
        assert both.first.dispatcher.state is DispatcherState.FINISHED
        assert [ask(both.second, client) for client in clients] == [200] * 20


def test_an_answer_on_its_way_does_not_end_its_connection() -> None:
    with two() as both, both.first.connect() as client, both.first.busy():
        both.first.request(client, GET)
        exchange = both.first.exchanges[0]
        assert exchange.state is ExchangeState.QUEUED
        drain(both)
        both.first.turn()
        assert len(both.first.channels) == 1
        both.first.role.withdraw(exchange)
        exchange.begin()
        exchange.run()
        exchange.settle()
        both.first.turn(2)
        answer = client.receive()
        assert answer.status == 200
        assert not answer.closes
        both.second.settle()
        assert ask(both.second, client) == 200


def test_a_request_that_is_half_here_is_answered_here_and_its_connection_goes_on() -> None:
    with two() as both, both.first.connect() as client:
        both.first.request(client, GET[:10])
        drain(both)
        both.first.turn(2)
        assert len(both.first.channels) == 1
        client.send(GET[10:])
        both.first.turn(3)
        assert client.receive().status == 200
        assert len(both.first.requests) == 1
        both.second.settle()
        assert ask(both.second, client) == 200


def test_what_siblings_have_passed_goes_on_to_others() -> None:
    with two() as both, both.first.connect() as client:
        kept = both.first
        assert kept.dispatcher.share(1) == 1
        both.second.dispatcher.stop(takes_backlog=False)  # it lies in its mailbox
        both.second.turn(3)
        both.first.settle()
        assert ask(both.first, client) == 200


def test_without_an_heir_a_drain_ends_them_as_ever() -> None:
    with two() as both, both.first.connect() as client, both.first.connect() as other:
        both.mates[1].is_serving = False
        drain(both)
        both.first.turn()
        both.first.time += HEIR_SECONDS
        both.first.turn()
        both.first.request(client, GET)
        answer = client.receive()
        assert answer.closes
        client.close()
        both.first.settle()
        both.first.time += DRAIN_IDLE_SECONDS + 0.1
        both.first.turn(3)
        assert both.first.dispatcher.finished
        assert other.sock.recv(1) == b""


def test_an_heir_may_come_a_moment_later() -> None:
    with two() as both, both.first.connect() as client, both.first.connect() as other:
        both.mates[1].is_serving = False
        drain(both)
        both.first.turn()
        assert ask(both.first, client) == 200
        assert len(both.first.channels) == 2
        both.mates[1].is_serving = True
        both.first.turn(2)
        assert both.first.channels == []
        both.second.settle()
        assert [ask(both.second, each) for each in (client, other)] == [200, 200]


def test_the_stop_of_all_passes_nothing() -> None:
    with two() as both, both.first.connect():
        both.first.dispatcher.stop()
        both.first.turn(2)
        assert both.mates[1].own.is_empty()
        assert len(both.first.channels) == 1


def test_an_heir_that_goes_too_leaves_it_to_the_one_who_gave() -> None:
    with two() as both, both.first.connect() as client:
        drain(both)
        both.first.turn()
        assert both.first.channels == []
        both.mates[1].is_serving = False
        both.first.turn(2)
        assert len(both.first.channels) == 1
        both.first.time += HEIR_SECONDS
        both.first.turn()
        both.first.request(client, GET)
        assert client.receive().closes


def test_one_that_nobody_has_room_for_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with two() as both, both.first.connect() as client:

        def refuse(_sock: socket.socket, _kept: object) -> bool:
            return False

        monkeypatch.setattr(both.mates[0], "give", refuse)
        drain(both)
        both.first.turn()
        (channel,) = both.first.channels
        assert channel.deadline > both.first.time + DRAIN_IDLE_SECONDS
        both.first.poller.asked.clear()
        both.first.turn()
        assert both.first.poller.asked[0] is not None
        assert both.first.poller.asked[0] < 0.01  # it tries again soon
        both.first.time += PATIENCE_SECONDS
        both.first.turn(2)
        both.first.time += DRAIN_IDLE_SECONDS + 0.1
        both.first.turn(3)
        assert both.first.dispatcher.finished
        assert client.sock.recv(1) == b""


def test_siblings_are_told_how_many_there_are() -> None:
    with two() as both, both.first.connect(), both.first.connect():
        assert both.mates[0].connections == 2
        both.first.dispatcher._sweep(both.first.time)
        assert both.mates[0].idle == 2
        both.first.dispatcher.share(1)
        assert both.mates[0].connections == 1
