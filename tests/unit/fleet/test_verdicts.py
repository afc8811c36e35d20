"""What is thought of a worker: a table of stories."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from waitressd.fleet.verdicts import Case, Kind, Limits, Looks, Reading, Verdict

BUSY = Reading(turned_at=1.0, threads=4, busy=4, queued=3, ended_at=1.0, requests=10)
LIMITS = Limits(stall_seconds=5.0, stuck_seconds=5.0)


def judge(story: Iterable[tuple[float, Reading]], limits: Limits = LIMITS) -> tuple[float, Verdict] | None:
    """Look at the times of a story; return the first verdict and when it was."""
    looks, case = Looks(), Case()
    for now, reading in story:
        looks.look(now, limits.look_seconds)
        verdict = case.look(looks, reading, limits)
        if verdict is not None:
            return now, verdict
    return None


def ticking(seconds: float, step: float = 0.5, start: float = 100.0) -> list[float]:
    """Return the times of looks."""
    return [start + step * count for count in range(int(seconds / step) + 1)]


def test_a_worker_that_does_not_turn_has_stalled() -> None:
    found = judge((now, Reading(turned_at=min(now, 110.0))) for now in ticking(60))
    assert found is not None
    assert found[1] == Verdict(Kind.STALLED, "its event loop has not turned for 6.5 s")
    assert found[0] == 116.5


def test_one_whose_row_is_not_written_is_not_judged_by_it() -> None:
    assert judge((now, Reading()) for now in ticking(600)) is None


def test_a_worker_with_nothing_to_do_is_well() -> None:
    assert judge((now, Reading(turned_at=int(now) - 0.2, threads=4)) for now in ticking(600)) is None


def test_all_threads_busy_requests_waiting_and_none_ends_is_stuck() -> None:
    found = judge((now, replace(BUSY, turned_at=now)) for now in ticking(60))
    assert found is not None
    text = "its threads are all busy and have ended no request for 5.0 s, and 3 more wait"
    assert found == (105.0, Verdict(Kind.STUCK, text))


@pytest.mark.parametrize(
    "reading",
    [
        replace(BUSY, queued=0),  # streams, and nobody waits
        replace(BUSY, busy=3),
        replace(BUSY, threads=0, busy=0),  # no row yet
    ],
)
def test_without_one_of_them_it_is_not(reading: Reading) -> None:
    assert judge((now, replace(reading, turned_at=now)) for now in ticking(60)) is None


def test_one_end_now_and_then_is_enough() -> None:
    looks = ((now, replace(BUSY, turned_at=now, ended_at=now // 4, requests=int(now // 4))) for now in ticking(60))
    assert judge(looks) is None


def test_a_pause_of_the_machine_condemns_nobody() -> None:
    early, late = ticking(10), ticking(10, start=400.0)
    story = [(now, replace(BUSY, queued=now % 2 < 1, turned_at=now)) for now in early + late]
    assert judge(story) is None


def test_a_pause_of_the_master_alone_condemns_nobody() -> None:
    story = [(now, replace(BUSY, turned_at=now, requests=int(now))) for now in [*ticking(10), 300.0, 300.5, 900.0]]
    assert judge(story) is None


@pytest.mark.parametrize(
    ("limits", "reading", "kind", "why"),
    [
        (Limits(max_requests=100), Reading(requests=99), None, ""),
        (Limits(max_requests=100), Reading(requests=100), Kind.TOO_MANY, "100 requests (worker_max_requests)"),
        (Limits(max_age_seconds=60), Reading(age_seconds=59), None, ""),
        (Limits(max_age_seconds=60), Reading(age_seconds=61.5), Kind.TOO_OLD, "it is 61 s old (worker_max_age)"),
        (Limits(max_memory_bytes=64 << 20), Reading(memory_bytes=63 << 20), None, ""),
        (Limits(max_memory_bytes=64 << 20), Reading(), None, ""),
        (Limits(), Reading(requests=1 << 40, age_seconds=1e9, memory_bytes=1 << 40), None, ""),
    ],
)
def test_limits(limits: Limits, reading: Reading, kind: Kind | None, why: str) -> None:
    found = judge([(1.0, reading)], limits)
    assert (found[1] if found else None) == (Verdict(kind, why) if kind else None)


def test_who_is_born_too_big_is_no_other_case_than_who_grows() -> None:
    big, limits = Reading(memory_bytes=70 << 20), Limits(max_memory_bytes=64 << 20)
    text = "70M of its own, and its place may have 64M (worker_max_memory)"
    assert judge([(1.0, replace(big, is_newborn=True))], limits) == (1.0, Verdict(Kind.BORN_TOO_BIG, text))
    assert judge([(1.0, big)], limits) == (1.0, Verdict(Kind.TOO_BIG, text))


def test_a_hang_comes_before_wear() -> None:
    found = judge(((now, replace(BUSY, turned_at=now)) for now in ticking(60)), replace(LIMITS, max_age_seconds=1.0))
    assert found is not None
    assert found[1].kind is Kind.STUCK


def test_limits_are_spread_by_place() -> None:
    limits = Limits(60.0, 60.0, 1000, 3600.0, 400)
    assert [limits.of_place(place, 4).max_requests for place in (1, 2, 3, 4)] == [937, 875, 812, 750]
    assert limits.of_place(4, 4) == Limits(60.0, 60.0, 750, 2700.0, 300)
    assert limits.of_place(9, 4) == limits.of_place(4, 4)  # its place is about to go
    assert Limits(max_requests=1).of_place(1, 1).max_requests == 1
    assert Limits().of_place(1, 2) == Limits()


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (Limits(), 1.0),
        (Limits(60, 60), 1.0),
        (Limits(10, 60), 0.5),
        (Limits(0, 5), 0.25),
        (Limits(1, 0), 0.25),
    ],
)
def test_short_timeouts_are_looked_at_more_often(limits: Limits, seconds: float) -> None:
    assert limits.look_seconds == seconds
