"""A reading has what ledgers have counted, to the last request, and never less than the one before."""

from typing import Any, Final

from waitressd.dispatch.delays import Delays
from waitressd.insight.history import PHASES, REFUSALS, STATUSES, Sums
from waitressd.insight.reading import LedgerReader
from waitressd.net import ledger as rows
from waitressd.net.ledger import BUCKETS, ENDED_BY, Key, Ledger, Table

ROUTE: Final[Key] = ("/", "GET", 200, "http")


class Refused:
    """Who counts requests that were answered 503."""

    refused_full = 0
    refused_late = 0


def reader_of(*ledgers: Ledger, refused: Any = Refused, delays: Delays | None = None) -> LedgerReader:
    return LedgerReader(ledgers, refused, [delays or Delays()])


def count_fast(table: Table, key: Key = ROUTE, number: int = 1, seconds: float = 0.0005) -> None:
    """Count what took less than a millisecond, as the ledger does."""
    row = table.rows.setdefault(key, [0] * rows.ROW_NUMBERS)
    row[rows.FAST] += number
    row[rows.FAST_SUM] += number * seconds


def count_slow(table: Table, key: Key = ROUTE, ended_by: str = "complete") -> None:
    """Count one that took 1, 2, 3 and 4 seconds in its phases, as the ledger does."""
    row = table.rows.setdefault(key, [0] * rows.ROW_NUMBERS)
    row[rows.ENDINGS + ENDED_BY.index(ended_by)] += 1
    for place, seconds in (
        (rows.RECEIVE_SUM, 1.0),
        (rows.QUEUE_SUM, 2.0),
        (rows.APPLICATION_SUM, 3.0),
        (rows.FLUSH_SUM, 4.0),
        (rows.TOTAL_SUM, 10.0),
    ):
        row[place] += seconds
    for first in (rows.QUEUE, rows.APPLICATION, rows.TOTAL):
        row[first + 30] += 1
    of_class = table.classes[key[2] // 100]
    of_class[rows.RECEIVE + 20] += 1
    of_class[rows.FLUSH + 40] += 1


def test_what_was_fast_is_in_the_first_bucket_of_each_phase() -> None:
    ledger = Ledger()
    count_fast(ledger.inline, number=3)
    totals = Sums(reader_of(ledger).read().totals)
    assert (totals.count, totals["2xx"]) == (3, 3)
    assert {totals.buckets(phase)[0] for phase in PHASES} == {3}
    assert {sum(totals.buckets(phase)) for phase in PHASES} == {3}
    assert totals.seconds("total") == totals.seconds("application") == 0.0015
    assert totals.seconds("queue") == 0.0


def test_what_was_not_is_in_the_buckets_of_its_phases() -> None:
    ledger = Ledger()
    count_slow(ledger.inline)
    totals = Sums(reader_of(ledger).read().totals)
    assert [totals.seconds(phase) for phase in PHASES] == [10.0, 2.0, 3.0, 1.0, 4.0]
    assert [list(totals.buckets(phase)).index(1) for phase in PHASES] == [30, 30, 30, 20, 40]
    assert {sum(totals.buckets(phase)) for phase in PHASES} == {1}


def test_both_tables_of_all_ledgers_are_added_up() -> None:
    ledgers = [Ledger(), Ledger()]
    for ledger in ledgers:
        count_fast(ledger.inline, number=2)
        count_slow(ledger.aside)
    reading = reader_of(*ledgers).read()
    assert Sums(reading.totals).count == Sums(reading.routes["/"]).count == 6
    assert Sums(reading.totals).seconds("queue") == 4.0


def test_routes_are_added_up_over_methods_and_statuses() -> None:
    ledger = Ledger()
    for key in (ROUTE, ("/", "POST", 500, "https"), ("/x", "GET", 304, "http"), ("", "GET", 0, "http")):
        count_fast(ledger.inline, key)
    reading = reader_of(ledger).read()
    found = {route: {status: Sums(numbers)[status] for status in STATUSES} for route, numbers in reading.routes.items()}
    none = dict.fromkeys(STATUSES, 0)
    assert found == {"/": none | {"2xx": 1, "5xx": 1}, "/x": none | {"3xx": 1}, "": none | {"none": 1}}
    assert sum(Sums(reading.routes["/"]).buckets("total")) == 2


def test_a_reading_grows_and_the_one_before_stays_as_it_was() -> None:
    ledger = Ledger()
    reader = reader_of(ledger)
    before = reader.read(busy_threads=1)
    count_fast(ledger.inline)
    middle = reader.read(busy_threads=2)
    count_slow(ledger.aside)
    after = reader.read(queue_depth=3)
    assert [Sums(reading.totals).count for reading in (before, middle, after)] == [0, 1, 2]
    assert [Sums(reading.routes["/"]).count for reading in (middle, after)] == [1, 2]
    assert before.routes == {}
    assert (before.busy_threads, middle.busy_threads, after.queue_depth) == (1, 2, 3)


def test_refusals_are_counted_with_those_for_which_no_thread_was_free() -> None:
    class Late(Refused):
        refused_full = 2
        refused_late = 3

    ledger = Ledger()
    for _ in range(4):  # of which two found the queue full
        count_slow(ledger.inline, ("", "GET", 503, "http"), ended_by="refused")
    for _ in range(3):
        count_slow(ledger.inline, ("", "GET", 503, "http"), ended_by="deadline")
    totals = Sums(reader_of(ledger, refused=Late).read().totals)
    assert {kind: totals.refusals(kind) for kind in REFUSALS} == {"refused": 7, "refused_full": 2, "refused_late": 3}
    assert totals["5xx"] == totals.count == 7


def test_delays_of_timers_are_read_too() -> None:
    delays = Delays()
    delays.note(0.2)
    totals = Sums(reader_of(Ledger(), delays=delays).read().totals)
    assert totals.percentiles("timers") == (0.2, 0.2, 0.2)
    assert len(totals.buckets("timers")) == BUCKETS
