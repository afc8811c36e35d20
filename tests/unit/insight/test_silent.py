"""What is shown of a worker that does not answer: the documents that it would have given, from what it has written."""

import os
import subprocess
import sys
import threading
from typing import Any, Final

import pytest

from waitressd.inhand import InHand
from waitressd.insight.inspector import RequestView
from waitressd.insight.merging import merge
from waitressd.insight.silent import REQUEST_KEYS, THREAD_KEYS, Held, Silence
from waitressd.insight.threads import ThreadView

OWN: Final = os.path.abspath("shop/reports.py")  # noqa: PTH100 - as text
LIBRARY: Final = threading.__file__
WRITTEN: Final = f"""\
Thread 0x00000000000000ff [GET /a, 2.5 s] (most recent call first):
  File "{LIBRARY}", line 30 in sleep
  File "{OWN}", line 214 in totals
  File "{OWN}", line 10 in application

Current thread 0x00000000000000fe (most recent call first):
  File "{LIBRARY}", line 31 in wait"""
ONE: Final = InHand(10.0, 0xFF, 14, 3, "GET", "http://user:word@a.test/a?secret=1")
TWO: Final = InHand(11.0, 0xAA, 15, 1, "POST", "/b")


def silence(written: str = WRITTEN, **held: Any) -> Silence:
    return Silence(2, Held(requests=(ONE, TWO), **held), 12.5, written, None if written else "why")


def rows(found: Silence, **parameters: str) -> list[dict[str, Any]]:
    document = found.document("/requests", parameters)
    assert document is not None
    shown: list[dict[str, Any]] = document["requests"]
    assert document["total"] == len(shown)
    return shown


def test_the_keys_are_those_of_a_worker_that_answers() -> None:
    assert set(REQUEST_KEYS) == set(RequestView._fields)
    assert set(THREAD_KEYS) == set(ThreadView._fields)
    (one, _) = rows(silence())
    assert set(one) == set(REQUEST_KEYS)


def test_a_request_is_known_by_what_was_written_when_it_began() -> None:
    one, two = rows(silence())
    assert (one["id"], one["worker"], one["phase"], one["age_seconds"]) == ("2-14-3", 2, "application", 2.5)
    assert (one["method"], one["target"], one["has_query"]) == ("GET", "http://***@a.test/a", True)
    assert (one["place"], one["stack"]) == (f"{OWN.removeprefix(os.getcwd() + os.sep)}:214 totals", None)  # noqa: PTH109 - as text
    assert (two["target"], two["has_query"], two["place"], two["client"]) == ("/b", False, None, None)


def test_the_query_is_shown_where_the_operator_wants_it() -> None:
    assert rows(silence(shows_query=True))[0]["target"] == "http://***@a.test/a?secret=1"


def test_the_stack_is_there_where_it_is_asked_for_the_innermost_call_last() -> None:
    one, two = rows(silence(), stack="1")
    assert [(frame["line"], frame["function"], frame["own"]) for frame in one["stack"]] == [
        (10, "application", True),
        (214, "totals", True),
        (30, "sleep", False),
    ]
    assert two["stack"] is None


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"older": "2"}, 1),
        ({"older": "nonsense"}, 2),  # those who answer say so
        ({"phase": "application"}, 2),
        ({"phase": "queued"}, 0),
        ({"route": ""}, 2),
        ({"route": "/a"}, 0),
    ],
)
def test_those_are_shown_that_are_wanted(parameters: dict[str, str], count: int) -> None:
    assert len(rows(silence(), **parameters)) == count


def test_the_documents_are_merged_with_those_of_workers_that_answer() -> None:
    answered = {"total": 1, "stacks_missing": None, "requests": [{"id": "1-1-1", "age_seconds": 1.0}], "places": []}
    document = silence().document("/requests", {"group": "1"})
    assert document is not None
    merged = merge("/requests", [(1, answered), (2, document)], {})
    assert [row["id"] for row in merged["requests"]] == ["2-14-3", "2-15-1", "1-1-1"]
    assert [(row["count"], row["ids"]) for row in merged["places"]] == [(1, ["2-14-3"])]


def test_each_thread_is_listed_with_its_request() -> None:
    document = silence().document("/threads", {"stack": "1"})
    assert document is not None
    assert [(row["name"], row["role"], row["request"], row["busy_seconds"]) for row in document["threads"]] == [
        ("0xff", "task", "2-14-3", 2.5),
        ("0xaa", "task", "2-15-1", 1.5),
        ("0xfe", "other", None, None),
    ]
    assert [len(row["stack"] or ()) for row in document["threads"]] == [3, 0, 1]
    assert all(set(row) == set(THREAD_KEYS) for row in document["threads"])


def test_without_stacks_it_is_said_why() -> None:
    document = silence("").document("/threads", {})
    assert document is not None
    assert document["stacks_missing"] == "why"
    assert [row["place"] for row in document["threads"]] == [None, None]


def test_one_request_is_found_by_its_id() -> None:
    found = silence().request("2-14-3")
    assert found is not None
    assert (found["id"], len(found["stack"]), found["stacks_missing"]) == ("2-14-3", 3, None)
    assert silence().request("2-14-4") is None


def test_what_only_the_worker_knows_is_not_made_up() -> None:
    assert silence().document("/connections", {}) is None


def test_a_worker_is_lost_when_it_has_not_looked_for_a_while() -> None:
    assert [Held({"looked_seconds": looked}).is_lost for looked in (None, 0.5, 2.0)] == [False, False, True]
    assert not Held().is_lost


def test_what_this_interpreter_writes_is_understood() -> None:
    """Its form is nobody's promise."""
    text = (
        "import faulthandler, threading\nprint(threading.get_ident())\n"
        "def here():\n    faulthandler.dump_traceback()\nhere()"
    )
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    thread = int(ended.stdout)
    found = Silence(1, Held(requests=(InHand(1.0, thread, 1, 1, "GET", "/"),)), 2.0, ended.stderr)
    document = found.document("/threads", {"stack": "1"})
    assert document is not None
    assert [frame["function"] for frame in document["threads"][0]["stack"]] == ["<module>", "here"]
