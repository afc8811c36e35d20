"""Only time off the CPU counts as blocking."""

import time

from waitressd.dispatch.blocking import HAND_OVER_SHARE, BlockingShare


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def run(share: BlockingShare, wall_seconds: float, *, burns: float = 0.0) -> None:
    """Count a task of some wall time, of which `burns` were computed in this thread."""
    cpu_started = share.started()
    burn(burns)
    share.ended(wall_seconds, cpu_started)


def test_tasks_that_wait_raise_the_share_above_the_bound_where_the_role_is_given_away_before() -> None:
    share = BlockingShare()
    for _ in range(20):
        run(share, 0.001)
    assert share.share > HAND_OVER_SHARE


def test_tasks_that_compute_never_do() -> None:
    share = BlockingShare()
    for _ in range(40):
        run(share, 0.001, burns=0.001)
        assert share.share < HAND_OVER_SHARE


def test_one_slow_task_in_a_hundred_does_not() -> None:
    share = BlockingShare()
    for number in range(1000):
        run(share, 0.05 if number % 100 == 0 else 0.00001)
        assert share.share < HAND_OVER_SHARE


def test_fast_tasks_bring_the_share_down_to_nothing_and_nothing_is_measured_then() -> None:
    share = BlockingShare()
    for _ in range(50):
        run(share, 0.001)
    for _ in range(400):
        run(share, 0.00001)
    assert share.share == 0.0
    assert share.started() == 0.0
