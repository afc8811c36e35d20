"""Events are values."""

import pytest

from waitressd.http.events import CLOSED, END_OF_BODY, NEED_DATA, PAUSED, Body, EndOfBody, Request, Signal


def test_a_request_without_more_is_complete() -> None:
    request = Request("GET", "/", "/", "", "HTTP/1.1", {})
    assert request.complete
    assert request.keep_alive
    assert not request.expects_continue
    assert request.content_length is None
    with pytest.raises(AttributeError):
        request.headers = {}  # type: ignore[attr-defined]  # that is the point


def test_events_compare_by_what_they_say() -> None:
    assert Body(b"a") == Body(b"a")
    assert EndOfBody() == END_OF_BODY
    assert len({NEED_DATA, PAUSED, CLOSED}) == len(Signal)
