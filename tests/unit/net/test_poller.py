"""One contract for every poller: what the dispatcher may count on, whatever the platform has."""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from waitressd.net import poller as module
from waitressd.net.poller import (
    GONE,
    HANGUP,
    ONCE,
    PARKED,
    PEER_CLOSED,
    READ,
    WRITE,
    EpollPoller,
    KqueuePoller,
    Poller,
    SelectPoller,
    build_poller,
)

KINDS: list[Callable[[], Poller]] = [
    pytest.param(EpollPoller, marks=pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")),  # type: ignore[list-item]  # a parameter
    pytest.param(KqueuePoller, marks=pytest.mark.skipif(not hasattr(select, "kqueue"), reason="no kqueue here")),  # type: ignore[list-item]  # the same
    SelectPoller,
]

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=KINDS)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    built: Poller = request.param()
    yield built
    built.close()


@pytest.fixture(params=["unix", "tcp"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Our end and the client's; ours does not block."""
    if request.param == "unix":
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait(poller: Poller, seconds: float = 5.0) -> list[tuple[int, int]]:
    return poller.wait(seconds)


def test_nothing_is_ready_and_the_timeout_ends_the_wait(poller: Poller, pair: Pair) -> None:
    poller.add(pair[0].fileno(), READ)
    begun = time.monotonic()
    assert poller.wait(0.05) == []
    assert time.monotonic() - begun >= 0.045
    assert poller.wait(0) == []


def test_a_wait_without_a_timeout_ends_with_an_event_or_a_wake_up(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ)
    theirs.send(b"x")
    assert poller.wait(None) == [(ours.fileno(), READ)]
    ours.recv(1)
    poller.wake()
    assert poller.wait(None) == []


def test_readable_is_told_again_and_again_until_it_is_read(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ)
    theirs.send(b"x")
    for _ in range(3):
        assert wait(poller) == [(ours.fileno(), READ)]
    ours.recv(10)
    assert poller.wait(0) == []


def test_writable(poller: Poller, pair: Pair) -> None:
    poller.add(pair[0].fileno(), WRITE)
    assert wait(poller) == [(pair[0].fileno(), WRITE)]


def test_what_is_asked_for_can_be_changed(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ)
    poller.modify(ours.fileno(), WRITE)
    theirs.send(b"x")
    assert wait(poller) == [(ours.fileno(), WRITE)]
    poller.modify(ours.fileno(), READ | WRITE)
    found = dict(wait(poller))
    assert found[ours.fileno()] & READ


def test_once_is_once_until_it_is_asked_for_again(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ | ONCE)
    theirs.send(b"x")
    assert wait(poller) == [(ours.fileno(), READ)]
    assert poller.wait(0.02) == []
    poller.modify(ours.fileno(), READ | ONCE)
    assert wait(poller) == [(ours.fileno(), READ)]


def test_a_removed_descriptor_is_silent(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ)
    poller.remove(ours.fileno())
    theirs.send(b"x")
    assert poller.wait(0.02) == []
    poller.add(ours.fileno(), READ)
    assert wait(poller) == [(ours.fileno(), READ)]


def test_the_end_of_what_the_client_sends_is_readable(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ)
    theirs.shutdown(socket.SHUT_WR)
    assert dict(wait(poller))[ours.fileno()] & READ


def test_a_parked_descriptor_is_silent_about_bytes(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ)
    theirs.send(b"the next request")
    assert wait(poller)
    for _ in range(3):
        poller.modify(ours.fileno(), PARKED)
        assert poller.wait(0.02) == []
    poller.modify(ours.fileno(), READ)
    assert wait(poller) == [(ours.fileno(), READ)]


def test_a_parked_descriptor_tells_once_that_its_client_left(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), PARKED)
    theirs.close()
    assert dict(wait(poller))[ours.fileno()] & (PEER_CLOSED | GONE)
    assert poller.wait(0.02) == []


def test_a_parked_descriptor_tells_once_of_a_reset(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), PARKED)
    reset(theirs)
    assert dict(wait(poller))[ours.fileno()] & (PEER_CLOSED | GONE)
    # This is trap 4: without ONCE a dead peer would be reported for ever, whatever the mask.
    assert poller.wait(0.02) == []


def test_a_parked_descriptor_tells_that_it_takes_output(poller: Poller, pair: Pair) -> None:
    ours, _ = pair
    poller.add(ours.fileno(), PARKED | WRITE)
    assert wait(poller) == [(ours.fileno(), WRITE)]
    assert poller.wait(0.02) == []


def test_a_wake_up_before_the_wait_is_not_lost(poller: Poller) -> None:
    poller.wake()
    poller.wake()
    begun = time.monotonic()
    assert poller.wait(30) == []
    assert time.monotonic() - begun < 5
    assert poller.wait(0.01) == []  # and it is used up


@pytest.mark.parametrize("seconds", [None, 30.0])
def test_a_wake_up_ends_a_wait_of_another_thread(poller: Poller, seconds: float | None) -> None:
    found: list[list[tuple[int, int]]] = []
    thread = threading.Thread(target=lambda: found.append(poller.wait(seconds)))
    thread.start()
    time.sleep(0.02)
    poller.wake()
    thread.join(5)
    assert found == [[]]


def test_a_wake_up_hides_no_event(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.add(ours.fileno(), READ)
    theirs.send(b"x")
    poller.wake()
    assert wait(poller) == [(ours.fileno(), READ)]


def test_another_thread_may_register_while_one_waits(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    found: list[tuple[int, int]] = []

    def run() -> None:
        while not found:
            found.extend(poller.wait(5))

    thread = threading.Thread(target=run)
    thread.start()
    theirs.send(b"x")
    poller.add(ours.fileno(), READ)
    thread.join(5)
    assert found == [(ours.fileno(), READ)]


def test_a_wake_up_after_the_end_touches_no_descriptor_of_others(poller: Poller) -> None:
    """A task that outlives its server wakes a poller whose numbers belong to somebody else by then."""
    poller.close()
    strangers = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(8)] if hasattr(os, "eventfd") else []
    poller.wake()
    for fd in strangers:
        with pytest.raises(BlockingIOError):
            os.read(fd, 8)
        os.close(fd)


def test_closing_twice_is_harmless(poller: Poller) -> None:
    poller.close()


def test_the_best_poller_of_the_platform_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built = build_poller()
    assert isinstance(built, EpollPoller | KqueuePoller | SelectPoller)
    built.close()
    for name in ("epoll", "kqueue"):
        monkeypatch.delattr(select, name, raising=False)
    built = build_poller()
    assert isinstance(built, SelectPoller)
    built.close()


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="this is the only waker here")
def test_where_there_is_no_eventfd_a_socket_pair_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "eventfd")
    built = SelectPoller()
    for _ in range(100_000):
        built.wake()  # a full pipe means that a wake-up is on its way
    assert built.wait(5) == []
    while built.wait(0.01):
        pass
    built.close()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll only")
def test_epoll_reports_a_dead_peer_for_ever_where_it_is_not_told_once(pair: Pair) -> None:
    """The reason for ONCE in PARKED: the trap is real."""
    ours, theirs = pair
    poller = module.EpollPoller()
    poller.add(ours.fileno(), 0)
    reset(theirs)
    for _ in range(5):
        assert dict(poller.wait(5))[ours.fileno()] & HANGUP
    poller.close()
