"""The words about settings that mean something else with several workers."""

from waitressd.config.effective import EffectiveSettings
from waitressd.config.fleetadvice import limits_per_worker, many_threads, unshared_log_files

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
