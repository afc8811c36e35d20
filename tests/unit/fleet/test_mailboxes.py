"""Each worker learns of every mailbox once, and what lies in one outlives its worker."""

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from waitressd.fleet.link import Link
from waitressd.fleet.mailboxes import Mailboxes, mailboxes_in
from waitressd.net.handover import Kept
from waitressd.peer import UNIX

if TYPE_CHECKING:
    from waitressd.net.mailbox import Mailbox


class Worker:
    """A worker as the master has it, and its own end of the link."""

    def __init__(self, place: int) -> None:
        self.place = place
        self._ours, self._theirs = Link.pair()
        self._ours.socket.setblocking(False)
        self._theirs.socket.setblocking(False)
        self.boxes: dict[int, Mailbox] = {}
        self.firsts: list[int] = []  # of each message

    def tell(self, name: str, descriptors: list[int], **fields: object) -> None:
        """Send a message."""
        assert self._ours.send(name, descriptors, **fields)

    def hear(self) -> list[int]:
        """Take what was sent; return the new places."""
        new: dict[int, Mailbox] = {}
        while messages := self._theirs.receive():  # what comes with descriptors is read one by one
            for message in messages:
                self.firsts.append(message.fields["places"][0])
                new |= mailboxes_in(message)
        assert not new.keys() & self.boxes.keys()
        self.boxes |= new
        return sorted(new)

    def close(self) -> None:
        """Close everything."""
        self._ours.close()
        self._theirs.close()
        for box in self.boxes.values():
            box.close()


@pytest.fixture
def boxes() -> Iterator[Mailboxes]:
    with contextlib.closing(Mailboxes()) as boxes:
        yield boxes


def test_everybody_learns_of_everybody(boxes: Mailboxes) -> None:
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(contextlib.closing(Worker(place))) for place in (1, 2, 1)]
        first, second, successor = workers
        boxes.introduce(first, [])
        boxes.introduce(second, [first])
        assert first.hear() == [1, 2]
        assert second.hear() == [1, 2]
        boxes.introduce(successor, [first, second])
        assert successor.hear() == [1, 2]
        assert first.hear() == second.hear() == []


def test_what_lies_there_goes_to_the_next_of_the_place(boxes: Mailboxes) -> None:
    here, there = socket.socketpair()
    with here, there, contextlib.closing(Worker(1)) as first, contextlib.closing(Worker(1)) as next_one:
        boxes.introduce(first, [])
        first.hear()
        assert first.boxes[1].put(here, Kept("x", UNIX))
        first.close()
        boxes.introduce(next_one, [])
        next_one.hear()
        arrival = next_one.boxes[1].take()
        assert arrival is not None
        arrival[0].close()


def test_many_places_need_more_than_one_message(boxes: Mailboxes) -> None:
    with contextlib.ExitStack() as stack:
        last = None
        for place in range(1, 131):
            last = stack.enter_context(contextlib.closing(Worker(place)))
            boxes.introduce(last, [])
        assert last is not None
        assert last.hear() == list(range(1, 131))
        assert len(last.firsts) > 1
        assert last.firsts[0] == 130  # its own, which it needs first
