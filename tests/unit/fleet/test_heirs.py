"""To whom a worker passes connections, by what the board says, and what it takes back."""

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from waitressd.fleet.board import Board, Field, to_ms
from waitressd.fleet.heirs import FRESH_SECONDS, LONG_SECONDS, LOOK_SECONDS, NEVER, PATIENCE_SECONDS, Heirs
from waitressd.net.handover import Arrival, Kept
from waitressd.net.mailbox import Mailbox
from waitressd.peer import Peer

PEER = Peer("127.0.0.1", 5)
KEPT = Kept("x", PEER)
ADDRESSES = 77


class Fleet:
    """Workers on one board, with a clock that a test moves."""

    def __init__(self, count: int, stack: contextlib.ExitStack) -> None:
        self.time = 1000.0
        self.board = stack.enter_context(contextlib.closing(Board.create(count + 1)))
        self.boxes = {place: stack.enter_context(contextlib.closing(Mailbox.create())) for place in range(1, count + 1)}
        self.workers = [self._worker(place) for place in self.boxes]
        self.sock, self.client = map(stack.enter_context, socket.socketpair())

    def _worker(self, place: int) -> Heirs:
        index = self.board.claim(place)
        assert index is not None
        self.board.row(index)[Field.PLACE] = place
        heirs = Heirs(self.board, index, self.boxes, lambda: self.time)
        heirs.serve(ADDRESSES, 4, 100)
        heirs.note_turn(self.time, 0, 0)
        return heirs

    def load(self, *connections: int) -> None:
        """Say how many connections each worker has."""
        for worker, count in zip(self.workers, connections, strict=True):
            worker.note_turn(self.time, 0, 0)
            worker.note_connections(count)

    def lies(self) -> list[int]:
        """Return the places in whose mailboxes something lies."""
        return [place for place, box in self.boxes.items() if not box.is_empty()]


MakeFleet = Callable[[int], Fleet]


@pytest.fixture
def make() -> Iterator[MakeFleet]:
    with contextlib.ExitStack() as stack:
        yield lambda count: Fleet(count, stack)


def taken(heirs: Heirs) -> int:
    """Take everything; return how many there were."""
    count = 0
    while arrival := heirs.take():
        arrival[0].close()
        count += 1
    return count


def test_a_new_connection_goes_to_the_one_with_the_fewest(make: MakeFleet) -> None:
    fleet = make(3)
    fleet.load(10, 5, 4)
    first, _, third = fleet.workers
    assert first.place(fleet.sock, PEER, "x", 11)
    assert fleet.lies() == [3]
    arrival = third.take()
    assert arrival is not None
    with arrival[0]:
        assert arrival[1] == Kept("x", PEER, opened_at=1000.0, idle_since=1000.0, is_new=True)
    rows = [fleet.board.row(index) for index in range(3)]
    assert [row[Field.ACCEPTED] for row in rows] == [1, 0, 0]
    assert [row[Field.PASSED_ON] for row in rows] == [1, 0, 0]
    assert [row[Field.TAKEN_OVER] for row in rows] == [0, 0, 1]


def test_what_is_on_its_way_counts(make: MakeFleet) -> None:
    fleet = make(2)
    fleet.load(10, 5)
    passed = 0
    while fleet.workers[0].place(fleet.sock, PEER, "x", 11):
        passed += 1
    assert passed == 3  # with these the other one has 8, more than 11 - 2 - 11/8 are
    assert taken(fleet.workers[1]) == 3


def test_where_all_threads_are_busy_a_free_one_is_looked_for(make: MakeFleet) -> None:
    fleet = make(2)
    first, second = fleet.workers
    fleet.load(1, 9)
    first.note_turn(fleet.time, 4, 0)
    second.note_turn(fleet.time, 3, 0)
    assert first.place(fleet.sock, PEER, "x", 1)
    assert not first.place(fleet.sock, PEER, "x", 1)  # its last thread has something to do now


@pytest.mark.parametrize("other", ["another code", "leaving", "full", "dead", "without a mailbox"])
def test_one_that_cannot_take_it_gets_nothing(make: MakeFleet, other: str) -> None:
    fleet = make(2)
    fleet.load(90, 0)
    first, second = fleet.workers
    match other:
        case "another code":
            second.serve(ADDRESSES + 1, 4, 100)
        case "leaving":
            second.leave()
        case "full":
            first.serve(ADDRESSES, 4, 0)
        case "dead":
            fleet.board.free(1)
        case _:  # without a mailbox
            fleet.board.row(1)[Field.PLACE] = 9
    assert not first.has_heir()
    assert not first.place(fleet.sock, PEER, "x", 91)
    assert not first.give(fleet.sock, KEPT)
    assert not first.share(fleet.sock, KEPT)
    assert fleet.lies() == []


def test_one_who_leaves_still_finds_heirs(make: MakeFleet) -> None:
    fleet = make(2)
    first, second = fleet.workers
    first.leave()
    assert first.has_heir()
    assert not second.has_heir()
    assert first.give(fleet.sock, KEPT)


def test_a_full_mailbox_is_passed_over(make: MakeFleet) -> None:
    fleet = make(3)
    fleet.load(50, 0, 20)
    while fleet.boxes[2].put(fleet.sock, KEPT):
        pass
    assert fleet.workers[0].give(fleet.sock, KEPT)
    assert fleet.lies() == [2, 3]


# -- what is not taken


def test_what_was_taken_is_forgotten(make: MakeFleet) -> None:
    fleet = make(2)
    first, second = fleet.workers
    assert first.due == NEVER
    assert first.give(fleet.sock, KEPT)
    assert first.due == fleet.time + PATIENCE_SECONDS
    assert taken(second) == 1
    fleet.time += PATIENCE_SECONDS
    assert list(first.recall(fleet.time)) == []
    assert first.due == NEVER


def test_what_one_that_hangs_does_not_take_comes_back_and_it_gets_no_more(make: MakeFleet) -> None:
    fleet = make(2)
    first, second = fleet.workers
    fleet.time += 5  # idle for long, like one that hangs: nobody can tell them apart
    assert first.give(fleet.sock, KEPT)
    assert first.give(fleet.sock, KEPT)
    fleet.time += PATIENCE_SECONDS
    back = list(first.recall(fleet.time))
    assert [kept for _, kept in back] == [KEPT, KEPT]
    for sock, _ in back:
        sock.close()
    assert first.due == NEVER
    assert not first.give(fleet.sock, KEPT)
    fleet.time += 1
    second.note_turn(fleet.time, 0, 0)  # it goes on
    assert first.give(fleet.sock, KEPT)


def test_one_that_turns_has_longer(make: MakeFleet) -> None:
    fleet = make(2)
    first, second = fleet.workers
    assert first.give(fleet.sock, KEPT)
    end = fleet.time + LONG_SECONDS
    back: list[Arrival] = []
    while not back and fleet.time < end:
        fleet.time = first.due
        second.note_turn(fleet.time, 0, 0)
        back = list(first.recall(fleet.time))
    back[0][0].close()
    assert fleet.time >= end - 2 * PATIENCE_SECONDS
    assert first.give(fleet.sock, KEPT)  # it is slow, but it lives


def test_what_lies_with_one_who_leaves_comes_back_at_once(make: MakeFleet) -> None:
    fleet = make(2)
    first, second = fleet.workers
    assert first.give(fleet.sock, KEPT)
    fleet.time += PATIENCE_SECONDS
    second.note_turn(fleet.time, 0, 0)
    second.leave()
    back = list(first.recall(fleet.time))
    assert len(back) == 1
    back[0][0].close()


def test_others_avoid_one_that_lets_lie_what_it_got(make: MakeFleet) -> None:
    fleet = make(3)
    first, second, third = fleet.workers
    fleet.load(50, 60, 0)
    assert first.give(fleet.sock, KEPT)
    fleet.time += 1
    first.note_turn(fleet.time, 0, 0)
    second.note_turn(fleet.time, 0, 0)
    assert second.give(fleet.sock, KEPT)
    assert fleet.lies() == [1, 3]
    third.note_turn(fleet.time, 0, 0)
    assert fleet.board.row(2)[Field.HINT] == 0


def test_what_there_is_no_descriptor_for_is_looked_at_again_after_a_while(
    make: MakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at once, or the loop would spin until there is one."""
    fleet = make(2)
    first = fleet.workers[0]
    assert first.give(fleet.sock, KEPT)
    fleet.time += PATIENCE_SECONDS

    def refuse(_fd: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            list(first.recall(fleet.time))
    assert first.due == fleet.time + LONG_SECONDS
    fleet.time = first.due
    ((sock, kept),) = first.recall(fleet.time)
    sock.close()
    assert kept == KEPT
    assert first.due == NEVER


def test_what_lies_with_one_that_has_died_is_not_lost_where_its_row_is_anothers(make: MakeFleet) -> None:
    fleet = make(3)
    first, _, third = fleet.workers
    third.leave()
    assert first.give(fleet.sock, KEPT)
    fleet.board.free(1)
    assert fleet.board.claim(9) == 1
    fleet.board.row(1)[Field.PLACE] = 3
    successor = Heirs(fleet.board, 1, fleet.boxes, lambda: fleet.time)
    successor.serve(ADDRESSES, 4, 100)
    successor.note_turn(fleet.time, 0, 0)
    assert first.give(fleet.sock, KEPT)
    assert fleet.lies() == [2, 3]
    fleet.time += PATIENCE_SECONDS
    back = list(first.recall(fleet.time))
    for sock, _ in back:
        sock.close()
    assert len(back) == 2
    assert (fleet.lies(), first.due) == ([], NEVER)


def test_nothing_goes_to_one_that_has_died_since_it_was_chosen(make: MakeFleet) -> None:
    fleet = make(2)
    first = fleet.workers[0]
    ((index, row, _),) = first._heirs(fleet.time)
    fleet.board.free(index)
    assert not first._pass(index, row, fleet.sock, KEPT, Field.DRAINED)
    assert (fleet.lies(), first.due) == ([], NEVER)


class Fast(Mailbox):
    """One whose owner takes what is put in before the other process goes on."""

    owner: Heirs

    def put(self, sock: socket.socket, kept: Kept) -> bool:
        """See Mailbox."""
        is_in = super().put(sock, kept)
        taken(self.owner)
        return is_in


def test_one_that_is_faster_than_who_gives_is_not_avoided_for_it(make: MakeFleet) -> None:
    fleet = make(2)
    first, second = fleet.workers
    with contextlib.closing(Fast.from_descriptors(*map(os.dup, fleet.boxes[2].descriptors))) as box:
        assert isinstance(box, Fast)
        box.owner = second
        first.add({2: box})
        assert first.give(fleet.sock, KEPT)
        fleet.time += 1  # it rests
        first.note_turn(fleet.time, 0, 0)
        assert first.give(fleet.sock, KEPT)


def test_who_takes_nothing_more_is_not_said_to_have_it(make: MakeFleet) -> None:
    fleet = make(2)
    while fleet.boxes[2].put(fleet.sock, KEPT):
        pass
    assert not fleet.workers[0].give(fleet.sock, KEPT)
    assert fleet.board.row(1)[Field.HINT] == 0


# -- evening out


def test_that_others_have_fewer_must_hold_for_two_looks(make: MakeFleet) -> None:
    fleet = make(2)
    fleet.load(40, 0)
    first = fleet.workers[0]
    assert first.gift(fleet.time) == 0
    assert first.gift(fleet.time) == 0  # too soon
    fleet.time += LOOK_SECONDS
    assert first.gift(fleet.time) == 10
    fleet.load(20, 20)
    fleet.time += LOOK_SECONDS
    assert first.gift(fleet.time) == 0


def test_a_new_worker_gets_its_share_at_once(make: MakeFleet) -> None:
    fleet = make(2)
    fleet.load(40, 0)
    fleet.board.row(1)[Field.BORN_AT] = to_ms(fleet.time - FRESH_SECONDS / 2)
    assert fleet.workers[0].gift(fleet.time) == 10


def test_only_those_with_fewer_than_the_mean_get_a_share(make: MakeFleet) -> None:
    fleet = make(3)
    fleet.load(60, 31, 2)
    first = fleet.workers[0]
    passed = 0
    while first.share(fleet.sock, KEPT):
        passed += 1
    assert passed == 29  # then it has the mean itself
    assert fleet.lies() == [3]
    assert taken(fleet.workers[2]) == 29
    assert fleet.board.row(0)[Field.REBALANCED] == 29


def test_what_is_given_is_counted_once_by_why(make: MakeFleet) -> None:
    fleet = make(2)
    fleet.load(40, 0)
    first = fleet.workers[0]
    assert first.place(fleet.sock, PEER, "x", 41)
    assert first.share(fleet.sock, KEPT)
    assert first.share(fleet.sock, KEPT)
    for _ in range(3):
        assert first.give(fleet.sock, KEPT)
    row = fleet.board.row(0)
    assert [row[field] for field in (Field.PASSED_ON, Field.REBALANCED, Field.DRAINED)] == [1, 2, 3]


def test_new_places_may_come(make: MakeFleet) -> None:
    fleet = make(1)
    (first,) = fleet.workers
    fleet.load(50)
    assert not first.give(fleet.sock, KEPT)
    with contextlib.closing(Mailbox.from_descriptors(*map(os.dup, fleet.boxes[1].descriptors))) as box:
        index = fleet.board.claim(2)
        assert index is not None
        fleet.board.row(index)[Field.PLACE] = 2
        second = Heirs(fleet.board, index, {1: fleet.boxes[1], 2: box}, lambda: fleet.time)
        second.serve(ADDRESSES, 4, 100)
        second.note_turn(fleet.time, 0, 0)
        fleet.time += 1
        first.note_turn(fleet.time, 0, 0)
        assert not first.give(fleet.sock, KEPT)
        first.add({2: box})
        assert first.give(fleet.sock, KEPT)
        assert taken(second) == 1
        assert second.mailbox == box.fd
