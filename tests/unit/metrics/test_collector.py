"""What is counted of each record."""

import threading

from tests.support.samples import answered, refused, unanswered
from waitressd.dispatch.snapshot import EMPTY, Snapshot
from waitressd.metrics.collector import Metrics


class Server:
    def snapshot(self) -> Snapshot:
        return EMPTY


def test_requests_are_counted_by_status_and_by_who_ended_them() -> None:
    metrics = Metrics()
    for record in (answered(), answered(), answered(status="404 X"), refused(b"x"), unanswered("client")):
        metrics(record)
    totals = metrics.totals()
    assert totals.requests == {
        ("2xx", "complete"): 2, ("4xx", "complete"): 1, ("4xx", "refused"): 1, ("none", "client"): 1,
    }  # fmt: skip
    assert totals.body_bytes_sent == 13 * 3 + 40


def test_phases_are_counted_where_they_happened() -> None:
    metrics = Metrics()
    metrics(answered())
    metrics(refused(b"x"))
    assert {key: (histogram.count, histogram.total_seconds) for key, histogram in metrics.totals().phases.items()} == {
        ("queue", "2xx"): (1, 0.5),
        ("application", "2xx"): (1, 1.0),
        ("flush", "2xx"): (1, 0.25),
        ("total", "2xx"): (1, 1.875),
        ("total", "4xx"): (1, 0.5),
    }


def test_no_record_of_many_threads_is_lost() -> None:
    metrics, record = Metrics(), answered()

    def count() -> None:
        for _ in range(1000):
            metrics(record)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.totals().requests == {("2xx", "complete"): 4000}


def test_gauges_are_the_servers() -> None:
    metrics = Metrics()
    assert metrics.gauges() is None
    metrics.start(Server())
    assert metrics.gauges() is EMPTY
