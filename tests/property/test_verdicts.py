"""Laws of the verdicts on workers, in any story: who is condemned, when, and who never is."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fleet.test_verdicts import BUSY, judge
from waitressd.fleet.verdicts import SILENT_SECONDS, Limits, Reading


class Story:
    """A worker that turns once a second, but for stops; a machine and a master that stand still now and then."""

    def __init__(self, timeout: float, stops: list[tuple[float, float]], pauses: list[tuple[float, float]]) -> None:
        self.limits = Limits(stall_seconds=timeout, stuck_seconds=timeout)
        self.looks: list[tuple[float, float]] = []  # when, and when the worker had turned last
        now = turned = next_turn = next_look = 50.0
        stops, pauses = list(stops), list(pauses)
        while len(self.looks) < 400 and (stops or pauses or now < 90):
            now = min(next_turn, next_look)
            if pauses and now >= pauses[0][0]:  # both stand still
                seconds = pauses.pop(0)[1]
                next_turn, next_look, now = next_turn + seconds, next_look + seconds, now + seconds
                stops = [(begin + seconds, length) for begin, length in stops]
                pauses = [(begin + seconds, length) for begin, length in pauses]
            if now >= next_turn:
                turned, next_turn = now, now + 1.0
                if stops and next_turn >= stops[0][0]:
                    begin, length = stops.pop(0)
                    next_turn = max(next_turn, begin + length)
            if now >= next_look:
                self.looks.append((now, turned))
                next_look = now + self.limits.look_seconds


TIMEOUTS = st.sampled_from([1.0, 2.0, 5.0, 60.0])


@given(TIMEOUTS, st.lists(st.tuples(st.floats(1, 8), st.floats(0.01, 0.99)), max_size=5), st.data())
def test_whoever_stops_for_less_than_the_timeout_is_not_condemned(
    timeout: float, stops: list[tuple[float, float]], data: st.DataObject
) -> None:
    begin, plan = 52.0, []
    for pause, share in stops:  # each a while after the one before
        begin += pause + 2.5
        plan.append((begin, share * timeout))
        begin += share * timeout
    pauses = sorted(data.draw(st.lists(st.tuples(st.floats(50, 90), st.floats(0.01, 1000)), max_size=4)))
    story = Story(timeout, plan, pauses)
    assert judge([(now, Reading(turned_at=turned, threads=2)) for now, turned in story.looks], story.limits) is None


@given(TIMEOUTS, st.floats(51, 60), st.floats(0.0, 1.0))
def test_whoever_stops_for_good_is_found_in_time(timeout: float, begin: float, phase: float) -> None:
    limits = Limits(stall_seconds=timeout)
    step = limits.look_seconds
    story = [(50 + phase + step * n, Reading(turned_at=min(50 + phase + step * n, begin))) for n in range(700)]
    found = judge(story, limits)
    assert found is not None
    assert timeout < found[0] - begin <= timeout + SILENT_SECONDS + step + 0.01


@given(TIMEOUTS, st.lists(st.floats(0.0, 0.4), min_size=100, max_size=100), st.sampled_from(["queued", "busy"]))
def test_a_crowd_that_gets_on_is_never_stuck(timeout: float, delays: list[float], field: str) -> None:
    """As soon as something ends, or nobody waits for a moment, the count begins anew."""
    limits = Limits(stuck_seconds=timeout)
    most = int(timeout / limits.look_seconds) - 1
    now, story = 10.0, []
    for step, delay in enumerate(delays * 4):
        now += limits.look_seconds + delay * 0.1
        reading = replace(BUSY, turned_at=now)
        if step % max(1, most - most // 8) == 0:
            reading = replace(reading, queued=0) if field == "queued" else replace(reading, busy=3)
        story.append((now, reading))
    assert judge(story, limits) is None
