"""Whether event loops live."""

from waitressd.net.pulse import FRESH_SECONDS, Pulse


class Loop:
    """A loop that turns when a test says so."""

    is_whole = is_accepting = True
    has_ended = False

    def __init__(self) -> None:
        self.turned_at = 0.0
        self.poked = 0

    def wake(self) -> None:
        self.poked += 1


def test_a_loop_that_answers_each_poke_lives() -> None:
    loop = Loop()
    pulse = Pulse([loop])
    for now in (10.0, 11.0, 500.0):  # however long nobody has asked
        assert pulse.poke(now) == 0.0
        loop.turned_at = now + 0.001
    assert loop.poked == 3


def test_a_loop_that_turns_by_itself_is_left_alone() -> None:
    loop = Loop()
    pulse = Pulse([loop])
    loop.turned_at = 10.0
    assert pulse.poke(10.0 + FRESH_SECONDS / 2) == 0.0
    assert loop.poked == 0
    assert [pulse.poke(10.0 + FRESH_SECONDS), pulse.poke(13.0 + FRESH_SECONDS)] == [0.0, 3.0]
    assert loop.poked == 1


def test_the_time_counts_from_the_first_poke_that_is_not_answered() -> None:
    """And not from the last turn: a loop with nothing to do does not turn for hours."""
    one, two = Loop(), Loop()
    pulse = Pulse([one, two])
    assert pulse.poke(1000.0) == 0.0
    one.turned_at = 1000.5
    assert [pulse.poke(now) for now in (1001.0, 1002.5, 1012.0)] == [1.0, 2.5, 12.0]
    assert (one.poked, two.poked) == (1, 1)
    two.turned_at = 1012.0
    assert pulse.poke(1012.5) == 0.0
    assert (one.poked, two.poked) == (2, 2)


def test_a_loop_that_has_ended_need_not_turn_and_its_threads_end() -> None:
    loop = Loop()
    pulse = Pulse([loop])
    pulse.poke(1000.0)
    loop.has_ended, loop.is_whole, loop.is_accepting = True, False, False
    assert pulse.poke(1100.0) == 0.0
    assert pulse.is_whole
    assert not pulse.is_accepting


def test_all_loops_must_be_whole_and_accept() -> None:
    one, two = Loop(), Loop()
    pulse = Pulse([one, two])
    assert (pulse.is_whole, pulse.is_accepting) == (True, True)
    two.is_whole = two.is_accepting = False
    assert (pulse.is_whole, pulse.is_accepting) == (False, False)


def test_the_loop_that_has_rested_longest_says_when_all_have_turned() -> None:
    one, two = Loop(), Loop()
    pulse = Pulse([one, two])
    one.turned_at, two.turned_at = 5.0, 3.0
    assert pulse.turned_at == 3.0
    two.has_ended = True
    assert pulse.turned_at == 5.0
    one.has_ended = True
    assert pulse.turned_at is None
