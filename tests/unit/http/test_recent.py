"""What connections learn from each other makes them faster and nothing else."""

import pytest

from tests.unit.http.test_repeated_heads import BROKEN, DATE, HEAD, LINES, STARTS, describe, read_request
from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.http.limits import Limits
from waitressd.http.recent import Recent
from waitressd.http.repeated import KNOWN_BYTES
from waitressd.http.response import build_head

PLAIN = b"GET /a HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n\r\n"


def first_request(recent: Recent, head: bytes = PLAIN) -> Request:
    """Return what a new connection makes of its first head."""
    connection = Connection(Limits(), "", recent)
    connection.reader.feed(head)
    request = connection.next_event()
    assert isinstance(request, Request)
    return request


def learned(head: bytes = PLAIN) -> Recent:
    """Return what two connections leave that began with the same head."""
    recent = Recent()
    for _ in range(2):
        first_request(recent, head)
    return recent


@pytest.mark.parametrize("lines", LINES)
def test_every_first_head_after_every_other_means_what_it_means_alone(lines: bytes) -> None:
    known = STARTS[0] + lines + b"\r\n\r\n"
    for head in (start + other + b"\r\n\r\n" for start in STARTS for other in LINES):
        recent = learned(known)
        for data in (head, known, head, head, known):
            alone = read_request(Connection(Limits(), ""), data)
            assert read_request(Connection(Limits(), "", recent), data) == alone


def test_a_broken_request_line_is_refused_after_known_field_lines() -> None:
    for start in BROKEN:
        connection = Connection(Limits(), "", learned(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"))
        connection.reader.feed(start + b"\r\nHost: a.test\r\n\r\n")
        with pytest.raises(HttpError) as caught:
            connection.next_event()
        assert caught.value.status == 400


def test_field_lines_are_parsed_once_that_come_again() -> None:
    recent = Recent()
    first, second, third, fourth = (first_request(recent) for _ in range(4))
    assert first.fields is not second.fields
    assert third.fields is fourth.fields
    assert describe(first) == describe(fourth)
    other = PLAIN.replace(b"X-A: 1", b"X-A: 2")
    first_request(recent, other)
    assert first_request(recent).fields is third.fields  # one other client makes nothing forgotten
    first_request(recent, other)
    first_request(recent, other)
    assert first_request(recent, other).fields["HTTP_X_A"] == "2"
    assert first_request(recent).fields["HTTP_X_A"] == "1"


def test_what_was_made_for_one_connection_stays_with_it() -> None:
    """Else the application would be told another client's address."""
    recent = learned()
    for _ in range(3):
        connection = Connection(Limits(), "", recent)
        requests = []
        for _ in range(3):
            connection.reader.feed(PLAIN)
            request = connection.next_event()
            assert isinstance(request, Request)
            connection.encoder.encode_response(HEAD, b"", DATE)
            requests.append(request)
        assert requests[0].known is None
        for request in requests[1:]:
            assert request.known is requests[0]
        assert requests[0].basis is None
        requests[0].basis = {"REMOTE_ADDR": "192.0.2.1"}  # as the WSGI side does


def test_large_and_unusual_heads_are_not_kept() -> None:
    for head in (
        PLAIN.replace(b"1\r\n\r\n", b"1" * 2 * KNOWN_BYTES + b"\r\n\r\n"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ):
        recent = learned(head)
        assert first_request(recent, head).fields is not first_request(recent, head).fields


def test_a_first_answer_that_comes_again_is_built_once() -> None:
    recent = Recent()
    fields = [("Content-Type", "text/plain"), ("Content-Length", "13")]

    def answer(status: str, fields: object) -> object:
        encoder = Connection(Limits(), "", recent).encoder
        head = encoder.build_head(status, fields)  # type: ignore[arg-type]  # what an application might pass
        assert head.lines == build_head(status, fields).lines  # type: ignore[arg-type]  # the same
        assert encoder.build_head(status, fields).lines == head.lines  # type: ignore[arg-type]  # the same
        return head

    first = answer("200 OK", fields)
    assert answer("200 OK", list(fields)) is first
    assert answer("201 Created", fields) is not first
    fields[1] = ("Content-Length", "14")  # an application may use its list again
    assert answer("201 Created", fields) is not first


@pytest.mark.parametrize("recent", [None, Recent()])
def test_a_pair_that_the_application_changes_is_sent_as_it_is(recent: Recent | None) -> None:
    pair = ["X-Count", "1"]  # a tuple is asked for, but a list is taken
    encoder = Connection(Limits(), "", recent).encoder
    for count in "123":
        pair[1] = count
        assert encoder.build_head("200 OK", [pair]).lines == f"X-Count: {count}\r\n"  # type: ignore[list-item]  # see above
    assert Connection(Limits(), "", recent).encoder.build_head("200 OK", [("X-Count", "3")]).code == 200


class Pair(list[str]):
    """A pair that can be changed, of a class of its own."""


class Loose(str):
    """A text that is equal to others which are not the same."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


@pytest.mark.parametrize("recent", [None, Recent()])
def test_a_pair_of_any_class_is_sent_as_it_is(recent: Recent | None) -> None:
    pair = Pair(["X-User", "alice"])
    for users in (("alice", "bob"), ("carol", "dave")):
        encoder = Connection(Limits(), "", recent).encoder
        for pair[1] in users:
            assert encoder.build_head("200 OK", [pair]).lines == f"X-User: {pair[1]}\r\n"  # type: ignore[list-item]  # as above


def test_no_client_gets_the_answer_of_another_for_texts_that_only_say_that_they_are_equal() -> None:
    recent = Recent()
    answers: list[tuple[str, list[tuple[str, str]]]] = [
        ("200 OK", [("X-User", "alice")]),
        ("200 OK", [("X-User", Loose("bob"))]),
        ("200 OK", [("X-User", "carol")]),
        (Loose("404 Not Found"), [("X-User", "carol")]),
        ("200 OK", [("X-User", "carol")]),
    ]
    for status, fields in answers:
        head = Connection(Limits(), "", recent).encoder.build_head(status, fields)
        alone = build_head(str.__str__(status), fields)
        assert (head.start, head.lines) == (alone.start, alone.lines)
