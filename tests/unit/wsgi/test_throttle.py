"""waitressd.wsgi.throttle: how often something is logged that a client can cause."""

from waitressd.wsgi.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_line_in_an_interval_and_the_others_are_counted() -> None:
    clock = Clock()
    throttle = Throttle(10.0, clock)
    assert throttle.admit() == 0
    assert [throttle.admit() for _ in range(3)] == [None, None, None]
    clock.now += 9.9
    assert throttle.admit() is None
    clock.now += 0.1
    assert throttle.admit() == 4
    clock.now += 10.0
    assert throttle.admit() == 0
