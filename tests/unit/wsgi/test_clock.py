"""waitressd.wsgi.clock: the Date of an answer."""

import time
from email.utils import parsedate_to_datetime

import pytest

from waitressd.wsgi import clock


def test_the_date_is_now() -> None:
    before = int(time.time())
    assert before <= parsedate_to_datetime(clock.http_date()).timestamp() <= time.time()


def test_the_form_is_that_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "time", lambda: 784111777.9)
    assert clock.http_date() == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_the_text_is_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "time", lambda: 1000.0)
    first = clock.http_date()
    monkeypatch.setattr(clock, "time", lambda: 1000.99)
    assert clock.http_date() is first
    monkeypatch.setattr(clock, "time", lambda: 1001.0)
    assert clock.http_date() == "Thu, 01 Jan 1970 00:16:41 GMT"


def test_a_clock_that_is_set_back_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "time", lambda: 2000.0)
    clock.http_date()
    monkeypatch.setattr(clock, "time", lambda: 10.0)
    assert clock.http_date() == "Thu, 01 Jan 1970 00:00:10 GMT"
