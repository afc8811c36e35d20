"""Documents of several workers as one."""

from typing import Any

import pytest

from waitressd.insight.merging import add_silent, can_merge, merge, page


def request(request_id: str, age: float) -> dict[str, Any]:
    return {"id": request_id, "age_seconds": age}


def test_requests_are_put_together_the_oldest_first() -> None:
    one = {"total": 2, "stacks_missing": None, "requests": [request("1-1-1", 5.0), request("1-2-1", 1.0)]}
    two = {"total": 9, "stacks_missing": "why", "requests": [request("2-1-1", 3.0)]}
    merged = merge("/requests", [(1, one), (2, two)], {})
    assert (merged["total"], merged["stacks_missing"]) == (11, "why")
    assert [row["id"] for row in merged["requests"]] == ["1-1-1", "2-1-1", "1-2-1"]
    assert len(merge("/requests", [(1, one), (2, two)], {"limit": "2"})["requests"]) == 2


def test_places_are_counted_together() -> None:
    def document(place: str, count: int, oldest: float, first: str) -> dict[str, Any]:
        places = [{"place": place, "count": count, "oldest_seconds": oldest, "ids": [first]}]
        return {"total": count, "stacks_missing": None, "requests": [], "places": places}

    documents = [
        (1, document("a", 2, 5.0, "1-1-1")),
        (2, document("b", 3, 1.0, "2-1-1")),
        (3, document("a", 2, 9.0, "3-1-1")),
    ]
    assert merge("/requests", documents, {})["places"] == [
        {"place": "a", "count": 4, "oldest_seconds": 9.0, "ids": ["1-1-1", "3-1-1"]},
        {"place": "b", "count": 3, "oldest_seconds": 1.0, "ids": ["2-1-1"]},
    ]


def connections(number: int, oldest: float | None) -> dict[str, Any]:
    return {
        "total": number,
        "limit_count": 100,
        "states": {"idle": {"count": number, "oldest_seconds": oldest}},
        "clients": [{"client": "10.0.0.1", "count": number}],
        "connections": [{"id": f"{number}-{each}"} for each in range(number)],
    }


def test_connections_are_added_by_state_and_client() -> None:
    merged = merge("/connections", [(1, connections(2, None)), (2, connections(3, 7.0))], {})
    assert (merged["total"], merged["limit_count"]) == (5, 200)
    assert merged["states"] == {"idle": {"count": 5, "oldest_seconds": 7.0}}
    assert merged["clients"] == [{"client": "10.0.0.1", "count": 5}]
    assert len(merged["connections"]) == 5


def test_a_page_of_all_is_cut_from_the_beginnings_of_each() -> None:
    parameters = {"limit": "2", "offset": "1", "state": "idle"}
    assert page(parameters) == {"limit": "3", "offset": "0", "state": "idle"}
    assert page({"limit": "2"}) == {"limit": "2"}
    merged = merge("/connections", [(1, connections(2, 1.0)), (2, connections(2, 1.0))], parameters)
    assert [row["id"] for row in merged["connections"]] == ["2-1", "2-0"]


def test_threads_say_whose_they_are_also_while_two_have_one_number() -> None:
    documents = [
        (1, {"stacks_missing": None, "threads": [{"name": "a"}]}),
        (1, {"stacks_missing": None, "threads": [{"name": "b"}]}),
    ]
    assert merge("/threads", documents, {})["threads"] == [{"name": "a", "worker": 1}, {"name": "b", "worker": 1}]


def test_slow_requests_come_the_last_first() -> None:
    one = {"threshold_seconds": 1.0, "slow": [{"at": "b"}], "failed": []}
    two = {"threshold_seconds": 1.0, "slow": [{"at": "c"}, {"at": "a"}], "failed": [{"at": "x"}]}
    merged = merge("/slow", [(1, one), (2, two)], {})
    assert [row["at"] for row in merged["slow"]] == ["c", "b", "a"]
    assert (merged["threshold_seconds"], merged["failed"]) == (1.0, [{"at": "x"}])


def stats(count: int, mean: float | None, buckets: list[int]) -> dict[str, Any]:
    phase = {"count": count, "mean": mean, "p50": None, "p90": None, "p99": None}
    return {
        "uptime_seconds": float(count),
        "window_seconds": 60,
        "rates": {"requests": count / 10, "5xx": None},
        "phases": {"total": phase | {"buckets": [[0.1, buckets[0]], [1.0, buckets[1]], [None, buckets[2]]]}},
        "routes": [
            {
                "route": "/a",
                "requests": count,
                "failed": 1,
                "p50": mean,
                "p90": mean,
                "p99": mean,
                "mean": {"queue": mean},
            }
        ],
        "threads": {"busy": 1, "idle": 3, "overdue": None, "limit": 4},
        "queue": {"depth": 2, "oldest_seconds": mean, "limit": 100},
        "connections": 5,
        "connection_limit": 50,
        "process": {"rss_bytes": 100, "cpu_share": 0.5, "fds": count, "fd_limit": 1024},
        "findings": [{"code": "WD05", "severity": "warn"}, {"code": f"WD0{count}", "severity": "bad"}],
        "history": {
            "step_seconds": 2,
            "requests": [None, 1.0, 2.0],
            "p99": [None, 0.5, mean],
            "busy_threads": [None, 1, 1],
        },
    }


def test_what_has_happened_is_added_and_percentiles_are_those_of_all() -> None:
    merged = merge("/stats", [(1, stats(3, 0.1, [3, 0, 0])), (2, stats(1, 0.5, [0, 1, 0]))], {})
    assert merged["rates"] == {"requests": pytest.approx(0.4), "5xx": None}
    total = merged["phases"]["total"]
    assert (total["count"], total["mean"]) == (4, pytest.approx(0.2))
    assert total["buckets"] == [[0.1, 3], [1.0, 1], [None, 0]]
    assert (total["p50"], total["p99"]) == (0.1, 1.0)
    (route,) = merged["routes"]
    assert (route["requests"], route["failed"], route["p99"]) == (4, 2, 0.5)
    assert route["mean"] == {"queue": pytest.approx(0.2)}
    assert merged["threads"] == {"busy": 2, "idle": 6, "overdue": None, "limit": 8}
    assert merged["queue"] == {"depth": 4, "oldest_seconds": 0.5, "limit": 200}
    assert (merged["connections"], merged["connection_limit"]) == (10, 100)
    assert merged["process"] == {"rss_bytes": 200, "cpu_share": 1.0, "fds": 3, "fd_limit": 1024}
    assert [row["code"] for row in merged["findings"]] == ["WD01", "WD03", "WD05", "WD05"]
    history = merged["history"]
    assert history == {
        "step_seconds": 2,
        "requests": [None, 2.0, 4.0],
        "p99": [None, 0.5, 0.5],
        "busy_threads": [None, 2, 2],
    }


def test_a_worker_that_counts_nothing_yet_changes_nothing() -> None:
    empty = stats(3, 0.1, [3, 0, 0])
    empty["phases"]["total"] = dict.fromkeys(("count", "mean", "p50", "p90", "p99", "buckets"))
    merged = merge("/stats", [(1, empty), (2, stats(3, 0.1, [3, 0, 0]))], {})
    assert merged["phases"]["total"]["count"] == 3
    assert merge("/stats", [(1, empty)], {})["phases"]["total"]["count"] is None


def test_the_configuration_is_the_same_everywhere() -> None:
    documents = [(1, {"settings": ["old"], "advice": []}), (1, {"settings": ["new"], "advice": []})]
    assert merge("/config", documents, {}) == {"settings": ["new"], "advice": []}


def test_what_is_no_document_has_no_rule() -> None:
    assert can_merge("/stats")
    assert not can_merge("/profile")
    assert not can_merge("/requests/1-2-3")


def test_the_threads_of_a_worker_that_does_not_answer_are_busy_all_the_same() -> None:
    stats = {
        "threads": {"busy": 1, "idle": 3, "overdue": 0, "limit": 4},
        "queue": {"depth": 0, "oldest_seconds": 0.0, "limit": 9},
        "connections": 5,
    }
    add_silent(stats, [{"busy_threads": 3, "threads_limit": 4, "queue_depth": 2, "connections": 7}])
    assert stats == {
        "threads": {"busy": 4, "idle": 4, "overdue": 0, "limit": 8},
        "queue": {"depth": 2, "oldest_seconds": 0.0, "limit": 9},
        "connections": 12,
    }
