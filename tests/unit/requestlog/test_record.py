"""What a record says of its request."""

import time

import pytest

from tests.support.origins import origin_of
from tests.support.samples import answered, refused, request_of
from waitressd.requestlog.record import RequestRecord


def test_durations_lie_between_the_moments() -> None:
    record = answered()
    assert record.receive_time == 0.125
    assert record.queue_time == 0.5
    assert record.application_time == 1.0
    assert record.first_byte_time == 1.0
    assert record.flush_time == 0.25
    assert record.duration == 1.875


def test_a_duration_whose_moments_did_not_come_is_none() -> None:
    record = refused(b"X")
    assert record.receive_time is None
    assert record.queue_time is None
    assert record.application_time is None
    assert record.flush_time is None
    assert (record.first_byte_time, record.duration) == (0.25, 0.5)


def test_a_new_record_has_begun_now() -> None:
    before = time.time(), time.monotonic()
    record = RequestRecord(origin_of(), 1, 1, None)
    assert before[0] <= record.time <= time.time()
    assert before[1] <= record.began_at <= time.monotonic()
    assert record.duration >= 0
    assert (record.status, record.method, record.target, record.version, record.user) == (0, "", "", "", "")
    assert record.request_field("Host") is None
    assert record.response_field("Date") is None
    assert (record.request_line, record.detail, record.trace_id) == ("", "", "")


def test_a_record_takes_no_further_attributes() -> None:
    assert not hasattr(answered(), "__dict__")


def test_the_request_by_its_parts() -> None:
    record = answered()
    assert (record.method, record.target, record.version) == ("GET", "/a?b=c", "HTTP/1.1")
    assert record.request_line == "GET /a?b=c HTTP/1.1"
    assert record.status == 200


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"GET /a HTTP/9.9", ("GET", "/a", "HTTP/9.9")),
        (b"GET /a", ("", "", "")),
        (b"GET  /a HTTP/1.1", ("", "", "")),
        (b"a b c", ("", "", "")),
        (b"\xff\x00", ("", "", "")),
        (b"", ("", "", "")),
    ],
)
def test_a_refused_line_is_taken_apart_where_it_has_three_parts(line: bytes, parts: tuple[str, str, str]) -> None:
    record = refused(line)
    assert record.request_line == line.decode("latin-1")
    assert (record.method, record.target, record.version) == parts
    assert record.detail == "The request is wrong."


def test_fields_are_found_in_any_case() -> None:
    record = answered()
    record.request = request_of(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nContent-Length: 0\r\nX-Y: 1\r\nX-Y: 2\r\n\r\n"
    )
    assert record.request_field("content-TYPE") == "a/b"
    assert record.request_field("Content-Length") == "0"
    assert record.request_field("x-y") == "1, 2"
    assert record.request_field("Missing") is None
    assert record.response_field("content-type") == "text/plain"
    assert record.response_field("X-A") == "1"
    assert record.response_field("X") is None


def test_the_user_is_who_the_application_says() -> None:
    assert answered(environ={"REMOTE_USER": "ann"}).user == "ann"
    assert answered(environ={"REMOTE_USER": None}).user == ""
    assert answered(environ={}).user == ""
