"""Questions and answers of the admin address are values."""

from dataclasses import FrozenInstanceError

import pytest

from waitressd.insight.answers import Answer, Endpoint, Query


def test_an_endpoint_answers_a_question() -> None:
    endpoint = Endpoint("/echo", "probes", lambda query: Answer(200, "text/plain", [query.path.encode()]))
    answer = endpoint.answer(Query("GET", "/echo", {}, ""))
    assert (answer.status, list(answer.body), answer.fields) == (200, [b"/echo"], ())
    assert (endpoint.has_children, endpoint.is_slow) == (False, False)


def test_they_do_not_change() -> None:
    query = Query("GET", "/live", {}, "")
    with pytest.raises(FrozenInstanceError):
        query.method = "POST"  # type: ignore[misc]  # what is tested: nobody can make a POST of it
