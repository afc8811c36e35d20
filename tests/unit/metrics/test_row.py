"""From ledgers to a row: everything is counted once, and nothing falls."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ledgers import count, ended
from waitressd.metrics.area import Area
from waitressd.metrics.figures import Figures
from waitressd.metrics.layout import COUNTERS, PHASES
from waitressd.metrics.pauses import finish
from waitressd.metrics.row import RowWriter
from waitressd.metrics.shown import Totals
from waitressd.net.ledger import Ledger


class Written:
    """A row that is kept up to date."""

    def __init__(self, series: int = 300) -> None:
        self.area = Area.private(series=series)
        self.row = self.area.row(self.area.claim(1) or 0)
        self.writer = RowWriter(self.row, self.area.series.slot)

    def totals(self, *ledgers: Ledger, figures: Figures | None = None) -> Totals:
        finish(self.writer.write(ledgers, figures or Figures()))
        return Totals(list(self.row[COUNTERS:]), self.area.series.keys())


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["/a", "/b", "/c", ""]),
        st.sampled_from([0, 200, 404, 503]),
        st.sampled_from([0.0001, 0.001, 0.02, 300.0]),
        st.sampled_from(["complete", "complete", "error", "timeout"]),
        st.booleans(),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(STEPS)
def test_the_row_has_what_the_ledgers_have(steps: list[tuple[int, str, int, float, str, bool]]) -> None:
    ledgers, written = (Ledger(), Ledger()), Written(series=2)
    seconds, before = 0.0, [0] * len(written.row[COUNTERS:])
    for number, route, status, duration, ending, looks in steps:
        count(ledgers[number], duration, ended_by=ending, route=route, status=status)
        seconds += duration
        if looks:
            written.totals(*ledgers)
            now = list(written.row[COUNTERS:])
            assert all(late >= early for early, late in zip(before, now, strict=True))
            before = now
    totals = written.totals(*ledgers)
    assert totals.requests == ended(ledgers)
    series = [totals.series(slot) for slot in totals.keys.values()]
    assert sum(histogram.count for histogram in series) == len(steps)
    assert abs(sum(histogram.total_seconds for histogram in series) - seconds) < 1e-4
    for phase in PHASES:
        counts = [totals.phase(phase, name).count for name in ("none", "2xx", "4xx", "5xx")]
        assert sum(counts) == len(steps)
    assert len([key for key in totals.keys if key[0] != "other"]) <= 2


def test_a_series_that_has_no_slot_yet_comes_later() -> None:
    ledger, written = Ledger(), Written()
    slots: list[int | None] = [None, 0]
    written.writer = RowWriter(written.row, lambda _key: slots[0])
    count(ledger)
    totals = written.totals(ledger)
    assert totals.requests == {("2xx", "complete"): 1}
    assert totals.series(0).count == 0
    del slots[0]
    assert written.totals(ledger).series(0).count == 1


def test_what_others_count_never_falls() -> None:
    written = Written()
    figures = Figures(accepted=5, received_bytes=10, sent_bytes=20, timeouts={"cut": 1}, reloads={"renewed": 2})
    totals = written.totals(figures=figures)
    assert (totals.count("accepted"), totals.count("received_bytes"), totals.count("sent_bytes")) == (5, 10, 20)
    assert (totals.timeouts["cut"], totals.reloads["renewed"]) == (1, 2)
    totals = written.totals(figures=Figures(accepted=6, received_bytes=7))  # one that has just closed was missed
    assert (totals.count("accepted"), totals.count("received_bytes")) == (6, 10)


def test_what_logs_have_lost_is_told_by_their_names() -> None:
    written = Written()
    totals = written.totals(figures=Figures(lost_records={"access": 2, "audit": 0}))
    assert totals.lost_records == {"access": 2, "audit": 0}
    assert totals.keys == {}
    assert written.totals(figures=Figures(lost_records={"access": 5})).lost_records == {"access": 5, "audit": 0}


def test_what_is_folded_is_counted() -> None:
    ledger, written = Ledger(), Written()
    ledger.aside.folded, ledger.inline.folded = 2, 3
    assert written.totals(ledger).count("folded") == 5
