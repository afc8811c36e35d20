"""Nothing that was counted is lost between two readings, and percentiles hold the true value."""

from array import array
from bisect import bisect_left
from itertools import pairwise
from math import ceil
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from waitressd.insight.history import NUMBERS, ROUTE_NUMBERS, WINDOWS, History, Reading
from waitressd.insight.percentiles import percentile
from waitressd.net.ledger import BOUNDS

ROUTES: Final = ("", "/", "/reports/{name}")

durations = st.lists(st.floats(0, 200) | st.sampled_from(BOUNDS), min_size=1, max_size=200)
# What comes between two looks: seconds that pass, and how many requests of each route.
stories = st.lists(
    st.tuples(st.floats(0, 3) | st.floats(0, 400), st.dictionaries(st.sampled_from(ROUTES), st.integers(0, 9))),
    max_size=80,
)


@given(durations, st.floats(0, 1))
def test_a_percentile_is_the_upper_bound_of_the_bucket_with_the_true_value(values: list[float], share: float) -> None:
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    true = sorted(values)[max(1, ceil(share * len(values))) - 1]
    shown = percentile(counts, BOUNDS, share)
    assert shown is not None
    if true > BOUNDS[-1]:
        assert shown == BOUNDS[-1]
    else:
        assert true <= shown
        assert shown <= BOUNDS[0] or true > shown * 0.7  # a bucket is at most a third wider than where it begins


@given(durations)
def test_a_higher_share_is_never_lower(values: list[float]) -> None:
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    found = [percentile(counts, BOUNDS, share / 20) for share in range(21)]
    assert all(low <= high for low, high in pairwise(found) if low is not None and high is not None)


class Told:
    """A history, and beside it each reading with the second that it was taken for."""

    def __init__(self, story: list[tuple[float, dict[str, int]]]) -> None:
        now = 1000.25
        self.history = History(now)
        totals = array("q", bytes(8 * NUMBERS))
        routes = {route: array("q", bytes(8 * ROUTE_NUMBERS)) for route in ROUTES}
        self.looks = [(int(now), 0, dict.fromkeys(ROUTES, 0))]
        for passed, requests in story:
            now += passed
            for route, count in requests.items():
                totals[2] += count
                routes[route][2] += count
            if self.history.is_due(now):
                self.history.take(now, Reading(totals[:], {route: numbers[:] for route, numbers in routes.items()}))
                self.looks.append((int(now), totals[2], {route: numbers[2] for route, numbers in routes.items()}))


@given(stories)
def test_windows_add_up(story: list[tuple[float, dict[str, int]]]) -> None:
    told = Told(story)
    whole = told.history.window(300).totals.count
    for length in (10, 60, 300):
        window = told.history.window(length)
        parts = [told.history.window(seconds).totals.count for seconds in range(1, window.seconds + 1)]
        assert all(low <= high for low, high in pairwise([0, *parts]))  # each second adds what it had
        assert parts[-1] == window.totals.count <= whole


@given(stories)
def test_no_request_is_lost_between_two_readings(story: list[tuple[float, dict[str, int]]]) -> None:
    told = Told(story)
    last = told.looks[-1]
    for length in WINDOWS:
        begin = last[0] - length
        # Of the looks, those inside; the one before it may share what it counted with seconds inside.
        inside = [look for look in told.looks if look[0] >= begin]
        before = [look for look in told.looks if look[0] < begin]
        window = told.history.window(length)
        assert last[1] - inside[0][1] <= window.totals.count <= last[1] - (before[-1][1] if before else 0)


@given(stories)
def test_the_steps_of_a_chart_add_up(story: list[tuple[float, dict[str, int]]]) -> None:
    told = Told(story)
    steps = told.history.steps()
    if steps and told.looks[-1][0] % 2 == 0:  # else a second has ended that is in no step yet
        seconds = sum(step.seconds for step in steps)
        assert sum(step.sums.count for step in steps) == told.history.window(seconds).totals.count


@given(stories)
def test_the_routes_add_up_to_the_totals_of_a_short_window_if_somebody_looked_each_second(
    story: list[tuple[float, dict[str, int]]],
) -> None:
    told = Told([(1.0, requests) for _, requests in story])
    window = told.history.window(10)
    assert sum(sums.count for sums in window.routes.values()) == window.totals.count
