"""How a worker joins its siblings. What they do for each other is in `test_fleet_sharing.py`, with real fleets."""

import contextlib
import socket

from waitressd.fleet.fellow import Errand, addresses_of
from waitressd.net.listener import HTTPS, Listener, open_tcp


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


def test_an_errand_is_done_once() -> None:
    done: list[str] = []
    errand = Errand(lambda: done.append("done"))
    errand.settle()
    errand.close()
    assert done == ["done"]
