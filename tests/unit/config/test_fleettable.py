"""The settings about the health of workers: their defaults, and what they take."""

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError


def test_hangs_are_looked_for_and_nobody_is_renewed_unless_it_is_asked_for() -> None:
    plain = Adjustments.from_keywords()
    assert (plain.worker_stall_timeout, plain.worker_stuck_timeout) == (60.0, 60.0)
    assert (plain.worker_max_requests, plain.worker_max_age, plain.worker_max_memory) == (0, 0.0, 0)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("worker_stall_timeout", "0", 0.0),
        ("worker_stuck_timeout", "2m", 120.0),
        ("worker_max_requests", "10000", 10000),
        ("worker_max_age", "12h", 43200.0),
        ("worker_max_memory", "512M", 512 << 20),
        ("worker_max_memory", "0", 0),
    ],
)
def test_what_they_take(name: str, text: str, value: float) -> None:
    assert getattr(Adjustments.from_strings({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("worker_stall_timeout", "0.5"),
        ("worker_stuck_timeout", "-1"),
        ("worker_max_requests", "-1"),
        ("worker_max_requests", "many"),
        ("worker_max_age", "9"),
        ("worker_max_memory", "a lot"),
    ],
)
def test_what_they_do_not_take(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Adjustments.from_strings({name: text})
