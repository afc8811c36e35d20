"""Figures as they are shown. Whether they agree with what clients did is in tests/functional/test_insight_stats.py."""

import json
from typing import Any, Final

import pytest

from tests.support.readings import Counters
from waitressd.insight.history import PHASES, STEPS, History, Window
from waitressd.insight.slow import Unusual
from waitressd.insight.summaries import history, phase_row, rates, route_rows, unusual_row
from waitressd.net.ledger import BUCKETS
from waitressd.net.stacks import Frame

START: Final = 1000.5


@pytest.fixture
def kept() -> History:
    """Two seconds: three good requests of two seconds each, then a bad one."""
    kept, counters = History(START), Counters()
    counters.add(3, seconds=2)
    kept.take(START + 1, counters.read(busy_threads=3))
    counters.add(status="5xx", route="/basket", seconds=10)
    kept.take(START + 2, counters.read(queue_depth=7))
    return kept


@pytest.fixture
def window(kept: History) -> Window:
    return kept.window(10)


def test_rates_are_requests_a_second_of_the_window(window: Window) -> None:
    expected = {"requests": 2.0, "none": 0.0, "2xx": 1.5, "3xx": 0.0, "4xx": 0.0, "5xx": 0.5, "refused": 0.0}
    assert rates(window) == expected
    assert rates(None) == dict.fromkeys(expected)


def test_a_phase_has_its_mean_its_percentiles_and_its_buckets(window: Window) -> None:
    row = phase_row(window, "application")
    assert (row["count"], row["mean"], row["p50"], row["p90"], row["p99"]) == (4, 4.0, 2.0, 10.0, 10.0)
    assert [pair for pair in row["buckets"] if pair[1]] == [[2.0, 3], [10.0, 1]]
    assert len(row["buckets"]) == BUCKETS
    assert row["buckets"][-1] == [None, 0]


def test_a_phase_of_which_nothing_is_known_has_all_its_keys() -> None:
    empty = phase_row(History(START).window(10), "total")
    assert (empty["count"], empty["mean"], empty["p99"]) == (0, None, None)
    assert phase_row(None, "total") == dict.fromkeys(empty)


def test_routes_come_with_the_most_requests_first(window: Window) -> None:
    first, second = route_rows(window)
    mean = dict.fromkeys((phase for phase in PHASES if phase != "total"), 0.0)
    assert first == {
        "route": "/", "requests": 3, "failed": 0, "p50": 2.0, "p90": 2.0, "p99": 2.0,
        "mean": mean | {"application": 2.0},
    }  # fmt: skip
    assert second == {
        "route": "/basket", "requests": 1, "failed": 1, "p50": 10.0, "p90": 10.0, "p99": 10.0,
        "mean": mean | {"application": 10.0},
    }  # fmt: skip


def test_a_chart_has_five_minutes_and_nothing_from_before_the_start(kept: History) -> None:
    chart = history(kept.steps())
    assert chart.pop("step_seconds") == 2
    assert {name: (len(line), line[-1]) for name, line in chart.items()} == {
        "requests": (STEPS, 2.0), "2xx": (STEPS, 1.5), "3xx": (STEPS, 0.0), "4xx": (STEPS, 0.0), "5xx": (STEPS, 0.5),
        "p50": (STEPS, 2.0), "p90": (STEPS, 10.0), "p99": (STEPS, 10.0), "busy_threads": (STEPS, 3),
        "queue": (STEPS, 7),
    }  # fmt: skip
    assert {tuple(line[:-1]) for line in chart.values()} == {(None,) * (STEPS - 1)}


def test_a_chart_of_nothing_has_all_its_places() -> None:
    assert {tuple(line) for name, line in history([]).items() if name != "step_seconds"} == {(None,) * STEPS}


def unusual(**others: Any) -> Unusual:
    values: dict[str, Any] = {
        "at": 1795662767.1144, "id": "1-88-2", "request_id": None, "method": "GET", "target": "/", "route": None,
        "status": 200, "ended_by": "complete", "client": "10.0.4.17", "receive_seconds": 0.0, "queue_seconds": 1 / 3,
        "application_seconds": None, "flush_seconds": None, "total_seconds": 1.25, "received_bytes": 0, "sent_bytes": 5,
        "detail": "It waited for a thread.", "exception": None, "place": None, "stack": None,
    }  # fmt: skip
    return Unusual(**(values | others))


def test_an_unusual_request_is_shown_with_its_time_as_text() -> None:
    row = unusual_row(unusual())
    assert row["at"] == "2026-11-26T03:12:47.114Z"
    assert row["queue_seconds"] == 0.333333
    assert (row["application_seconds"], row["stack"], row["total_seconds"]) == (None, None, 1.25)
    json.dumps(row, allow_nan=False)


def test_its_stack_is_shown_frame_by_frame() -> None:
    row = unusual_row(unusual(stack=(Frame("shop/reports.py", 214, "totals", own=True),)))
    assert row["stack"] == [{"file": "shop/reports.py", "line": 214, "function": "totals", "own": True}]
