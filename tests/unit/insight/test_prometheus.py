"""The endpoints of what was counted."""

import json

import pytest

from tests.support.ledgers import Server, count, lane_with
from waitressd.insight.answers import BadQuestion, Query
from waitressd.insight.prometheus import metrics_endpoints
from waitressd.metrics.collector import ServerCounts
from waitressd.net.ledger import Ledger


def test_text_and_json_in_small_pieces() -> None:
    ledger = Ledger()
    for number in range(50):
        count(ledger, route=f"/{number}")
    server = Server(lane_with(ledger))
    text, document = metrics_endpoints(ServerCounts(server))
    assert (text.path, text.group, document.path) == ("/metrics", "metrics", "/metrics.json")
    answer = text.answer(Query("GET", "/metrics", {}, ""))
    assert (answer.status, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    pieces = list(answer.body)
    assert len(pieces) > 100
    assert b'http_route="/49"' in b"".join(pieces)
    answer = document.answer(Query("GET", "/metrics.json", {}, ""))
    assert answer.content_type == "application/json"
    assert json.loads(b"".join(answer.body))["requests"] == {"2xx": {"complete": 50}}
    with pytest.raises(BadQuestion):
        text.answer(Query("GET", "/metrics", {"format": "x"}, ""))
    server.close()
