"""One event in each interval, and a true count of the others."""

import threading

from waitressd.ratelimit import RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_event_in_an_interval_and_the_others_are_counted() -> None:
    clock = Clock()
    limiter = RateLimiter(10.0, clock)
    assert limiter.admit() == 0
    assert [limiter.admit() for _ in range(3)] == [None, None, None]
    clock.now += 9.9
    assert limiter.admit() is None
    clock.now += 0.1
    assert limiter.admit() == 4
    clock.now += 10.0
    assert limiter.admit() == 0


def test_an_event_may_count_for_several() -> None:
    clock = Clock()
    limiter = RateLimiter(10.0, clock)
    assert limiter.admit(5) == 0
    assert limiter.admit(3) is None
    clock.now += 10.0
    assert limiter.admit(7) == 3


def test_an_event_that_would_be_left_out_need_not_be_prepared() -> None:
    clock = Clock()
    limiter = RateLimiter(10.0, clock)
    assert not limiter.skip()
    assert limiter.admit() == 0
    assert [limiter.skip(), limiter.skip()] == [True, True]
    clock.now += 10.0
    assert not limiter.skip()
    assert limiter.admit() == 2


def test_what_was_left_out_is_taken_once() -> None:
    limiter = RateLimiter(10.0, Clock())
    assert limiter.take_left_out() == 0
    limiter.admit()
    limiter.admit(2)
    assert [limiter.take_left_out(), limiter.take_left_out()] == [2, 0]


def test_of_many_threads_one_is_let_through_and_none_is_forgotten() -> None:
    limiter = RateLimiter(10.0, Clock())
    admitted: list[int] = []

    def work() -> None:
        admitted.extend(left_out for _ in range(500) if (left_out := limiter.admit()) is not None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 1
    assert limiter.take_left_out() == 4 * 500 - 1
