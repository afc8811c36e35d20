"""Who gets a connection: nobody passes without a clear reason, and evening out comes to an end, whatever one sees."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitressd.fleet.sharing import GIFT_SHARE, SLACK, SLACK_SHARE, Load, fewest, gift, needs_placing, place, wants

LOADS = st.builds(Load, st.integers(0, 500), st.integers(0, 20), st.integers(1, 16))


def idle(connections: int) -> Load:
    return Load(connections, 0, 8)


@settings(deadline=None)
@given(LOADS, st.lists(LOADS, max_size=8))
def test_a_new_connection_goes_only_to_one_that_clearly_has_less_to_do(mine: Load, others: list[Load]) -> None:
    index = place(mine, others)
    if index is None:
        assert not mine.is_busy or all(load.is_busy for load in others)
        assert all(load.connections >= mine.connections - SLACK - mine.connections / SLACK_SHARE for load in others)
    else:
        assert needs_placing(mine)
        chosen = others[index]
        has_thread = mine.is_busy and not chosen.is_busy
        assert has_thread or chosen.connections < mine.connections - SLACK
        assert has_thread or chosen.connections == min(load.connections for load in others)


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(0, 200), st.randoms(use_true_random=False))
def test_connections_that_come_at_once_are_spread(workers: int, count: int, dice: random.Random) -> None:
    loads = [0] * workers
    for _ in range(count):
        taker = dice.choice([0, 0, 0, *range(workers)])  # who wakes up first takes most
        others = [index for index in range(workers) if index != taker]
        chosen = place(idle(loads[taker] + 1), [idle(loads[index]) for index in others])
        loads[taker if chosen is None else others[chosen]] += 1
    assert max(loads) - min(loads) <= SLACK + 1 + max(loads) / SLACK_SHARE


def test_without_others_everything_is_kept() -> None:
    assert place(Load(100, 8, 8), []) is None
    assert fewest([]) is None
    assert gift(1000, []) == 0


@settings(deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 1000), max_size=8))
def test_a_gift_leaves_the_giver_with_more_than_the_mean(mine: int, others: list[int]) -> None:
    mean = (mine + sum(others)) / (1 + len(others))
    count = gift(mine, others)
    assert count == 0 or mine - count > mean
    assert bool(count) == (mine > mean + SLACK + mean / SLACK_SHARE)
    missing = wants(mine, others)
    assert all(each >= 0 for each in missing)
    assert not count or count <= sum(missing) / GIFT_SHARE + 1


class Model:
    """Workers that even out what they have, each at its own moment, by numbers that may be old."""

    def __init__(self, loads: list[int], dice: random.Random, staleness: int) -> None:
        self.loads = loads
        self.seen = [list(loads) for _ in loads]  # what each worker knows of the others
        self.was_uneven = [False] * len(loads)
        self.moves = 0
        self._dice = dice
        self._staleness = staleness

    def round(self) -> int:
        """Let everybody look once, in any order; return how many connections have moved."""
        before = self.moves
        for worker in self._dice.sample(range(len(self.loads)), len(self.loads)):
            if self._dice.randrange(self._staleness + 1) == 0:
                self.seen[worker] = list(self.loads)
            self._look(worker)
        return self.moves - before

    def _look(self, worker: int) -> None:
        seen = self.seen[worker]
        seen[worker] = self.loads[worker]  # its own number it knows
        others = [index for index in range(len(seen)) if index != worker]
        count = gift(seen[worker], [seen[index] for index in others])
        was_uneven, self.was_uneven[worker] = self.was_uneven[worker], count > 0
        for _ in range(count if was_uneven else 0):
            weights = wants(seen[worker], [seen[index] for index in others])
            if not any(weights):
                return
            (heir,) = self._dice.choices(others, weights)
            self.loads[worker] -= 1
            self.loads[heir] += 1
            seen[worker] -= 1
            seen[heir] += 1
            self.moves += 1

    @property
    def excess(self) -> float:
        """How many connections are where they are too many."""
        mean = sum(self.loads) / len(self.loads)
        return sum(max(0.0, load - mean) for load in self.loads)


@pytest.mark.parametrize("staleness", [0, 1, 2])
@pytest.mark.parametrize("seed", range(60))
def test_evening_out_ends_and_moves_little_more_than_it_must(seed: int, staleness: int) -> None:
    dice = random.Random(seed)
    kind = seed % 3
    count = dice.randint(2, 24)
    loads = [dice.randint(0, 300) for _ in range(count)]
    if kind == 1:  # fresh workers among full ones
        loads = [0 if dice.random() < 0.3 else 200 for _ in range(count)]
    elif kind == 2:  # one has everything
        loads = [0] * (count - 1) + [dice.randint(1, 2000)]
    model = Model(loads, dice, staleness)
    must = model.excess
    quiet = 0
    for _ in range(200):
        quiet = 0 if model.round() else quiet + 1
        if quiet > 5 * (staleness + 1):
            break
    else:
        raise AssertionError(f"it never rests: {model.loads}")
    mean = sum(model.loads) / count
    assert max(model.loads) <= mean + SLACK + mean / SLACK_SHARE
    assert model.moves <= 1.5 * must + 1
