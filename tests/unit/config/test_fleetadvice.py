"""The words about settings that mean something else with several workers."""

from waitressd.config.adjustments import Adjustments
from waitressd.config.effective import EffectiveSettings
from waitressd.config.fleetadvice import (
    limits_per_worker,
    many_threads,
    stuck_in_time,
    too_much_memory,
    unshared_log_files,
    without_workers,
)

FOUR = EffectiveSettings(workers=4, threads=64, connection_limit=1000)


def test_each_is_said_with_its_figures() -> None:
    assert list(limits_per_worker(FOUR, 1)) == [("connection_limit", "connection_limit is 1000 in each of 4 workers")]
    assert list(many_threads(FOUR, 1)) == [("threads", "64 threads in each of 4 workers are 256")]
    assert list(unshared_log_files(FOUR, 1, ["RotatingFileHandler rotates /a"])) == [
        ("workers", "RotatingFileHandler rotates /a, and so does every other process of the fleet")
    ]


def test_one_process_hears_nothing_of_it() -> None:
    one = EffectiveSettings(threads=250, connection_limit=1000)
    assert [*limits_per_worker(one, 8), *many_threads(one, 8), *unshared_log_files(one, 8, ["a"])] == []


def test_what_only_a_master_follows_has_no_effect_without_one() -> None:
    settings = Adjustments.from_keywords(worker_max_age=3600, worker_max_requests=0)
    said = [("worker_max_age", "worker_max_age is set, and everything happens in one process")]
    assert list(without_workers(settings, 8)) == said
    assert list(without_workers(Adjustments.from_keywords(worker_max_age=3600, supervise=True), 8)) == []


def test_a_request_may_take_longer_than_a_worker_may_be_stuck() -> None:
    settings = Adjustments.from_keywords(workers=2, request_timeout=50, request_timeout_routes="/a 90")
    text = "worker_stuck_timeout is 60 s, and request_timeout_routes allows 90 s"
    assert list(stuck_in_time(settings, 1)) == [("worker_stuck_timeout", text)]
    assert list(stuck_in_time(Adjustments.from_keywords(workers=2), 1)) == []
    assert list(stuck_in_time(Adjustments.from_keywords(request_timeout=90), 8)) == []


def test_limits_together_are_compared_with_the_machine() -> None:
    settings = Adjustments.from_keywords(workers=4, worker_max_memory="300M")
    text = "worker_max_memory is 300M in each of 4 workers, and there are 1G"
    assert list(too_much_memory(settings, 1, (1 << 30) + 5)) == [("worker_max_memory", text)]
    assert list(too_much_memory(settings, 1, 2 << 30)) == []
    assert list(too_much_memory(settings, 1, 0)) == []
