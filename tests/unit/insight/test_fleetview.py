"""What is shown of the workers of a fleet, whether they were asked or not."""

from tests.support.insightfleet import Fleet
from waitressd.insight.crowd import Member
from waitressd.insight.fleetview import member_row, unasked_rows
from waitressd.insight.silent import Held


def member(held: Held | None = None) -> Member:
    return Member(3, 103, 2, lambda fd: True, lambda: held)


def test_a_row_names_the_worker_and_what_it_has_written_of_itself() -> None:
    row = member_row(member(Held({"requests": 7})), answered=True, silent_seconds=0.5)
    assert row == {
        "worker": 3,
        "pid": 103,
        "generation": 2,
        "answered": True,
        "silent_seconds": 0.5,
        "figures": {"requests": 7},
    }
    assert member_row(member(), answered=False, silent_seconds=None)["figures"] is None


def test_where_nobody_was_asked_nobody_has_answered_or_been_silent() -> None:
    fleet = Fleet()
    fleet.known.append(member())
    (row,) = unasked_rows(fleet)
    assert (row["worker"], row["answered"], row["silent_seconds"]) == (3, None, None)
