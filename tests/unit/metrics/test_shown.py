"""Counters as values."""

from waitressd.metrics import layout
from waitressd.metrics.figures import Figures
from waitressd.metrics.layout import COUNTERS, SLOT, SLOTS
from waitressd.metrics.shown import Picture, Totals, together
from waitressd.net.ledger import BUCKETS


def totals(**places: int) -> Totals:
    numbers = [0] * (layout.row_numbers(2) - COUNTERS)
    for number, value in places.items():
        numbers[int(number[1:]) - COUNTERS] = value
    return Totals(numbers, [("/", "GET", 200, "http")])


def test_what_was_not_seen_is_not_there() -> None:
    empty = totals()
    assert empty.requests == {}
    assert empty.phase("total", "2xx").count == empty.series(0).count == empty.delays.count == 0


def test_each_number_is_found_by_its_names() -> None:
    first = layout.histogram_at(2, "queue")
    found = totals(
        **{
            f"_{layout.CLASSES + 2 * layout.CLASS + 3}": 1,
            f"_{first + BUCKETS - 1}": 2,
            f"_{first + BUCKETS}": 3 << 20,
            f"_{SLOTS + SLOT - 2}": 4,
            f"_{layout.TIMED_OUT + 1}": 5,
            f"_{layout.COUNTERS + 4}": 6,
        }
    )
    assert found.requests == {("2xx", "deadline"): 1}
    assert (found.phase("queue", "2xx").count, found.phase("queue", "2xx").total_seconds) == (2, 3.0)
    assert found.series(0).counts[-1] == 4
    assert found.timeouts["cut"] == 5
    assert found.count("sent_bytes") == 6


def test_several_processes_are_added_up() -> None:
    one = Figures(busy_threads=1, oldest_wait_seconds=2.0, rss_bytes=5, connections={"idle": 1}, findings=frozenset())
    two = Figures(
        busy_threads=3, oldest_wait_seconds=1.0, connections={"idle": 2, "head": 1}, certificate_ends={"a": 2.0}
    )
    both = together([one, two])
    assert (both.busy_threads, both.oldest_wait_seconds, both.rss_bytes, both.fds) == (4, 2.0, 5, None)
    assert (both.connections, both.certificate_ends) == ({"idle": 3, "head": 1}, {"a": 2.0})
    assert both.findings == frozenset()
    assert together([two]).findings is None


def test_a_picture_is_of_one_process_or_of_several() -> None:
    one = Figures()
    assert Picture(0.0, totals(), one).processes == [(0, one)]
    assert Picture(0.0, totals(), workers={2: one}).processes == [(2, one)]
