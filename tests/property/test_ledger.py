"""Whatever becomes of requests, each is counted once, and the sums are those of the clients."""

from collections import Counter
from typing import BinaryIO

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ledgers import counts, ended
from tests.support.loop import DATE, GET, Loop
from waitressd.http.events import Request
from waitressd.http.response import build_head
from waitressd.net.exchange import Exchange
from waitressd.net.ledger import BUCKETS, FAST, QUEUE, TOTAL, TOTAL_SUM, Ledger

WHOLE = st.tuples(
    st.just("whole"),
    st.sampled_from([200, 204, 301, 404, 500, 503]),
    st.sampled_from([0.0, 0.0, 0.0004, 0.001, 0.0011, 0.3, 7.0]),
    st.sampled_from(["", "/a", "/b", "/c"]),
)
OTHERS = st.tuples(st.sampled_from(["bad", "cut", "gone", "queued and gone", "head and gone"]))
STEPS = st.lists(st.one_of(WHOLE, WHOLE, OTHERS), max_size=30)


def compare(ledger: Ledger, wanted: Counter[str], told: Counter[tuple[str, int]], total_seconds: float) -> None:
    """Hold what was counted against what happened."""
    found = ended([ledger])
    by_ending: Counter[str] = Counter()
    for (_, ending), count in found.items():
        by_ending[ending] += count
    assert by_ending == wanted
    rows = [ledger.row(key) for key in ledger.all_keys()]
    assert sum(row[FAST] + sum(row[TOTAL : TOTAL + BUCKETS]) for row in rows) == wanted.total()
    assert all(sum(row[QUEUE : QUEUE + BUCKETS]) <= sum(row[TOTAL : TOTAL + BUCKETS]) for row in rows)
    assert abs(sum(row[1] + row[TOTAL_SUM] for row in rows) - total_seconds) < 1e-6 * (1 + wanted.total())
    kinds = counts(ledger)
    assert len([key for key in kinds if key[0] != "other"]) <= 4
    for status in (200, 204, 301, 404, 500, 503):
        assert sum(count for key, count in kinds.items() if key[2] == status) == sum(
            count for (_, code), count in told.items() if code == status
        )


@settings(max_examples=60)
@given(STEPS)
def test_every_request_is_counted_once(steps: list[tuple[object, ...]]) -> None:
    told: Counter[tuple[str, int]] = Counter()
    plan: tuple[object, ...] = ()

    def handle(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        if plan[0] == "cut":
            exchange.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            return
        _, status, seconds, route = plan
        assert isinstance(seconds, float)
        exchange.environ = {"wsgi.url_scheme": "http", "waitressd.route": route}
        loop.time += seconds
        exchange.write(exchange.encoder.encode_response(build_head(f"{status} X", []), b"", DATE))
        told[str(route), int(str(status))] += 1

    wanted: Counter[str] = Counter()
    total_seconds = 0.0
    with Loop(handle) as loop:
        loop.dispatcher.ledger = ledger = Ledger(limit=4)
        for plan in steps:
            client = loop.connect()
            loop.dispatcher.blocking.share = 0.0  # the test keeps the role, however slow its requests are
            if plan[0] in {"whole", "cut"}:
                loop.request(client)
                wanted["complete" if plan[0] == "whole" else "error"] += 1
                total_seconds += float(str(plan[2])) if plan[0] == "whole" else 0.0
            elif plan[0] == "bad":
                loop.request(client, b"GET / HTTP/9.9\r\n\r\n")
                wanted["refused"] += 1
            elif plan[0] == "queued and gone":
                with loop.busy():
                    loop.request(client)
                    client.reset()
                    loop.settle()
                wanted["client"] += 1
            elif plan[0] == "head and gone":
                loop.request(client, GET[:9])
            client.close()
            loop.settle()
        compare(ledger, wanted, told, total_seconds)
