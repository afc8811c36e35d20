"""A table of the worker processes: what each has written of itself, and how long one has not answered."""

from waitressd.tools.documents import Document
from waitressd.tools.tables import Output
from waitressd.tools.workerviews import workers


def test_workers_are_a_table_where_they_have_written_of_themselves() -> None:
    assert workers(Document({"workers": [{"worker": 1, "pid": 5, "answered": True, "figures": None}]})) == []
    known = {
        "stage": "serving", "age_seconds": 61.0, "busy_threads": 8, "threads_limit": 8, "queue_depth": 2,
        "connections": 40, "accepted": 90, "passed_on": 3, "rebalanced": 4, "taken_over": 5,
    }  # fmt: skip
    rows = [
        {"worker": 1, "pid": 5, "answered": False, "silent_seconds": 12.0, "figures": known},
        {"worker": 2, "pid": 6, "answered": True, "silent_seconds": 0.0, "figures": known | {"threads_limit": None}},
    ]
    _, one, two = Output().parts(workers(Document({"workers": rows})))
    assert " ".join(one.split()) == "1 5 serving 1 min 1 s 8/8 2 40 90 7 5 12 s"
    assert " ".join(two.split()) == "2 6 serving 1 min 1 s 8/- 2 40 90 7 5 -"
