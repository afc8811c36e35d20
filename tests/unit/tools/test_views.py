"""Documents become tables that say what is in them; whatever is in them, text comes out."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import insightfake
from tests.support.insightfake import ended_request, one_request, request_row
from tests.unit.tools.test_texts import is_harmless
from waitressd.tools import views
from waitressd.tools.documents import Document
from waitressd.tools.tables import Output, Part
from waitressd.tools.texts import width_of

VIEWS: Final[dict[str, tuple[Callable[[Document], Sequence[Part]], insightfake.Document]]] = {
    "requests": (views.requests, insightfake.requests_document({"stack": "1", "group": "1"})),
    "request": (views.request, one_request("1-88102-14") or {}),
    "connections": (views.connections, insightfake.connections_document({})),
    "threads": (views.threads, insightfake.threads_document({"stack": "1"})),
    "slow": (lambda document: views.slow(document, with_stacks=True), insightfake.slow_document({})),
    "stats": (views.stats, insightfake.stats_document({})),
}
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just("\x1b[2J\u202e" * 50_000)
)


def lines(parts: Sequence[Part], width: int | None = None) -> list[str]:
    return Output(width).parts(parts)


@pytest.mark.parametrize(("view", "document"), VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("width", [40, 80, 132])
def test_each_fits(view: Callable[[Document], Sequence[Part]], document: insightfake.Document, width: int) -> None:
    for line in lines(view(Document(document)), width):
        assert width_of(line) <= width


@pytest.mark.parametrize("view", [view for view, _ in VIEWS.values()], ids=VIEWS)
def test_an_empty_document_is_shown_too(view: Callable[[Document], Sequence[Part]]) -> None:
    lines(view(Document({})))


def spoiled(value: Any, data: st.DataObject) -> Any:
    """Replace values anywhere in a document."""
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(SCALARS)
    if isinstance(value, dict):
        return {key: spoiled(item, data) for key, item in value.items()}
    if isinstance(value, list):
        return [spoiled(item, data) for item in value[:2]]
    return value


@pytest.mark.parametrize(("view", "document"), VIEWS.values(), ids=VIEWS)
@settings(max_examples=30)
@given(data=st.data())
def test_any_values_become_text(
    view: Callable[[Document], Sequence[Part]], document: insightfake.Document, data: st.DataObject
) -> None:
    values = spoiled(document, data)
    for line in lines(view(Document(values if isinstance(values, dict) else {})), 100):
        assert width_of(line) <= 100
        assert is_harmless(line)


def one_row(**changes: Any) -> str:
    document = {"total": 1, "requests": [request_row(**changes)]}
    return lines(views.requests(Document(document)))[-1]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"age_seconds": 41.34}, "41.3  1-88101-14  application"),
        ({"place": "a/b.py:3 f", "unchanged_seconds": None}, " b.py:3 f"),
        ({"place": "a/b.py:3 f", "unchanged_seconds": 61.0}, " b.py:3 f for 1 min 1 s"),
        ({"phase": "queued", "queue_seconds": 1.0}, " 1st in the queue"),
        ({"phase": "body", "received_bytes": 6291456, "expected_bytes": 42047897}, " 6.0 MB of 40.1 MB in"),
        ({"phase": "body", "received_bytes": 6291456, "expected_bytes": None}, " 6.0 MB in"),
        ({"phase": "flush", "pending_bytes": 18874368}, " 18.0 MB to send"),
        ({"has_query": True}, " GET /reports/q3?... "),
        ({"answered_status": 504, "status": 200}, " 504 "),
        ({"cpu_share": 0.97}, " 97 % "),
        ({"thread": "waitressd-3", "worker": 2}, " 2-3 "),
        ({"thread": "pool", "client": None, "route": None}, " pool "),
    ],
)
def test_what_a_row_says(changes: dict[str, Any], shown: str) -> None:
    assert shown in f"{one_row(**changes)} "


def test_the_queue_is_numbered_in_its_own_order_and_for_each_worker() -> None:
    rows = [
        request_row(number, phase="queued", worker=worker, queue_seconds=waited)
        for number, (worker, waited) in enumerate([(1, 2.0), (1, 3.0), (2, 1.0)])
    ]
    document = Document({"requests": rows})
    assert views.queue_places(document) == {"1-88101-14": 1, "1-88100-14": 2, "1-88102-14": 1}
    shown = lines(views.requests(document, is_whole=False))
    assert all(line.endswith("in the queue") and "1st" not in line for line in shown[3:])
    assert [views.order(place) for place in (1, 2, 3, 4, 11, 12, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "112th",
    ]  # fmt: skip


def test_the_list_says_how_many_there_are() -> None:
    whole = insightfake.requests_document({})
    assert lines(views.requests(Document(whole)))[0] == (
        "21 requests in flight: 7 application, 1 flush, 12 queued, 1 body"
    )
    part = insightfake.requests_document({"limit": "3"})
    shown = lines(views.requests(Document(part)))
    assert shown[0] == "21 requests in flight"
    assert shown[-1] == "the 3 oldest requests of 21; see --limit"
    assert lines(views.requests(Document({"total": 0, "requests": []}))) == ["no requests in flight"]


def test_places_are_ordered_by_how_many_are_there() -> None:
    shown = lines(views.requests(Document(insightfake.requests_document({"group": "1"}))))
    assert shown[3].startswith("    6      41.3  shop/reports.py:214 totals  1-88101-14 1-88102-14")
    assert "views.py:88 product" in shown[4]


def test_a_stack_marks_the_place_and_shows_the_code() -> None:
    shown = lines(views.request(Document(one_request("1-88102-14") or {})))
    assert any(line.startswith("  > shop/reports.py:214 ") for line in shown)
    assert '        rows = session.execute(TOTALS, {"name": name}).all()' in shown
    assert sum(">" in line for line in shown) == 1


def test_a_server_that_cannot_show_stacks_says_why() -> None:
    reason = {"stacks_missing": "this Python has no lock"}
    for view in (views.requests, views.threads, views.request):
        document = {"total": 1, "requests": [request_row()], "threads": [], **reason}
        assert lines(view(Document(document)))[-1] == "no stacks: this Python has no lock"


def test_what_has_ended() -> None:
    document = {"threshold_seconds": 1.0, "slow": [], "failed": [
        ended_request(exception="KeyError: 'sku'", status=500),
        ended_request(detail="no thread in 30 s", place=None, status=503),
        ended_request(place=None, ended_by="client", status=None),
        ended_request(place=None, stack=None),
    ]}  # fmt: skip
    shown = lines(views.slow(Document(document)))
    assert shown[0] == "slow, over 1.00 s: none"
    assert shown[1] == "failed: 4"
    assert [line.rpartition("  ")[2] for line in shown[4:]] == ["KeyError: 'sku'", "no thread in 30 s", "client", "-"]
    assert shown[4].startswith("03:12:31  1-88090-3  500 ")
    assert len(lines(views.slow(Document(document), with_stacks=True))) == len(shown) + 3 * len(insightfake.STACK)


def test_figures() -> None:
    shown = "\n".join(lines(views.stats(Document(insightfake.stats_document({}))), 200))
    for text in (
        "shop  waitressd 2.0  2 workers x 8 threads  up 3 d 4 h  serving  03:12:47 UTC",
        "WD03 All 8 threads of worker 1 are busy, 12 requests wait (3.2 s)",
        "2xx 171  3xx 33  4xx 14  5xx 17   refused 0.4   threads [##############..] 14/16 (1 overdue)",
        "queue 12 (3.20 s)",
        "p50 41 ms  p90 608 ms  p99 4.67 s = queue 71 %  application 26 %  flush 3 %",
        "connections 2,431",
        "rss 412 MB   cpu 0.6",
        "/reports/{name}         3       1",
    ):
        assert text in shown


def test_connections() -> None:
    shown = lines(views.connections(Document(insightfake.connections_document({"limit": "2"}))))
    assert shown[0] == "2,417 connections of at most 10,000"
    assert "idle      2,370     118.0" in shown
    assert "10.0.4.17         1,200" in shown
    assert shown[-1] == "2 of 2,417 connections; see --limit and --offset"


def test_threads() -> None:
    shown = lines(views.threads(Document(insightfake.threads_document({}))))
    assert shown[0] == "4 threads: 1 task, 1 waiting, 1 dispatcher, 1 insight"
    assert any("1-88102-14" in line and line.endswith("shop/reports.py:214 totals") for line in shown)
