"""How a worker joins its siblings. What they do for each other is in `test_fleet_sharing.py`, with real fleets."""

import contextlib
import os
import socket

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.fleet.board import Board, Field
from waitressd.fleet.fellow import Errand, Fellow, addresses_of
from waitressd.fleet.link import Message
from waitressd.fleet.mailboxes import NAME
from waitressd.net.listener import HTTPS, Listener, open_tcp
from waitressd.net.mailbox import Mailbox
from waitressd.server import Server


def test_equal_addresses_have_equal_numbers_and_others_do_not() -> None:
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(contextlib.closing(open_tcp("127.0.0.1", 0, 8)[0])) for _ in range(2))
        same = Listener(socket.socket(fileno=socket.dup(one.fd)))
        stack.callback(same.close)
        assert addresses_of([one]) == addresses_of([same]) != 0
        assert addresses_of([one, other]) == addresses_of([other, same])
        numbers = {addresses_of([one]), addresses_of([other]), addresses_of([one, other]), addresses_of([])}
        same.service = HTTPS
        numbers.add(addresses_of([same]))
        same.service, same.proxy_protocol = one.service, "v2"
        numbers.add(addresses_of([same]))
        assert len(numbers) == 6


def test_a_worker_that_was_not_given_its_own_mailbox_does_without_siblings() -> None:
    with contextlib.closing(Board.create(1)) as board, contextlib.closing(Mailbox.create()) as box:
        own = board.claim(1)
        assert own is not None
        board.row(own)[Field.PLACE] = 1
        fellow = Fellow(Server(Adjustments(), lambda _environ, _start_response: []), board, own)
        ends = tuple(map(os.dup, box.descriptors))
        fellow.learn(Message(NAME, {"places": [2]}, ends), ())
        fellow.on_tick(1.0)
        fellow.leave()
        for end in ends:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(end)


def test_an_errand_is_done_once() -> None:
    done: list[str] = []
    errand = Errand(lambda: done.append("done"))
    errand.settle()
    errand.close()
    assert done == ["done"]
