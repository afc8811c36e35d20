"""The cases against the protocol core alone: whole, octet by octet, and with a further request behind them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.wire.casefiles import Case, read_cases
from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError
from waitressd.http.events import CLOSED, NEED_DATA, Body, EndOfBody, Request
from waitressd.http.limits import Limits
from waitressd.http.response import build_head

DATE: Final = "Sun, 06 Nov 1994 08:49:37 GMT"
NEXT: Final = b"GET /probe HTTP/1.1\r\nHost: localhost\r\n\r\n"
NEXT_REQUEST: Final = {"method": "GET", "path": "/probe"}

ACCEPTED: Final = [pytest.param(case, id=case.name) for case in read_cases("accepted")]
REJECTED: Final = [pytest.param(case, id=case.name) for case in read_cases("rejected")]
UNFINISHED: Final = [pytest.param(case, id=case.name) for case in read_cases("unfinished")]


@dataclass
class Outcome:
    """What came out of a connection whose requests were all answered at once."""

    requests: list[tuple[Request, bytes]] = field(default_factory=list)
    errors: list[HttpError] = field(default_factory=list)
    refusal: bytes = b""
    open: bool = True
    closed_cleanly: bool = False


def serve(feeds: Iterable[bytes], *, ends: bool = False) -> Outcome:
    """Feed a connection, answer whatever comes out, and return what that was."""
    connection = Connection(Limits(), "waitressd")
    outcome = Outcome()
    for data in feeds:
        connection.reader.feed(data)
        drain(connection, outcome)
    if ends:
        connection.reader.feed_eof()
        drain(connection, outcome)
    outcome.closed_cleanly = connection.next_event() is CLOSED
    return outcome


def drain(connection: Connection, outcome: Outcome) -> None:
    """Take events until there are none, answering requests."""
    while True:
        try:
            event = connection.next_event()
        except HttpError as error:
            outcome.errors.append(error)
            outcome.refusal = connection.encode_error(error, DATE)
            outcome.open = False
            return
        if event is NEED_DATA:
            return
        if event is CLOSED:
            outcome.open = False
            return
        if isinstance(event, Request):
            outcome.requests.append((event, b""))
        elif isinstance(event, Body):
            request, body = outcome.requests[-1]
            outcome.requests[-1] = request, body + event.data
        if isinstance(event, EndOfBody) or (isinstance(event, Request) and event.complete):
            connection.encoder.encode_response(build_head("200 OK", []), b"", DATE)


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def check_request(request: Request, body: bytes, wanted: dict[str, Any]) -> None:
    """Compare a request with what a case says of it."""
    assert request.method == wanted["method"]
    assert request.path == wanted["path"]
    assert request.query == wanted.get("query", "")
    assert request.version == wanted.get("version", "HTTP/1.1")
    assert body == wanted.get("body", "").encode("latin-1")
    assert wanted.get("fields", {}).items() <= request.fields.items()
    assert not request.fields.keys() & set(wanted.get("absent", ()))


def check_requests(outcome: Outcome, wanted: Sequence[dict[str, Any]]) -> None:
    assert not outcome.errors
    assert [request.path for request, _ in outcome.requests] == [each["path"] for each in wanted]
    for (request, body), each in zip(outcome.requests, wanted, strict=True):
        check_request(request, body, each)


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: Case) -> None:
    wanted = case.expected["requests"]
    keeps = case.expected.get("keep", True)
    for feeds in ([case.request], bytewise(case.request)):
        outcome = serve(feeds)
        check_requests(outcome, wanted)
        assert outcome.open == keeps
    followed = [*wanted, NEXT_REQUEST] if keeps else wanted
    check_requests(serve([case.request + NEXT]), followed)
    check_requests(serve([case.request, *bytewise(NEXT)]), followed)


@pytest.mark.parametrize("case", REJECTED)
def test_rejected(case: Case) -> None:
    feeds = [[case.request], bytewise(case.request)]
    if not case.expected.get("alone"):
        feeds += [[case.request + NEXT], [case.request, NEXT], bytewise(case.request + NEXT)]
    for each in feeds:
        outcome = serve(each)
        assert [error.status for error in outcome.errors] == [case.expected["status"]]
        complete = [request for request, _ in outcome.requests if request.complete]
        assert len(complete) <= len(outcome.requests) <= case.expected.get("before", 0) + 1
        assert "/probe" not in [request.path for request, _ in outcome.requests]
        assert case.expected.get("says", "") in outcome.errors[0].detail
        assert outcome.closed_cleanly
        check_refusal(outcome.refusal, case)


def check_refusal(refusal: bytes, case: Case) -> None:
    head, _, body = refusal.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % case.expected["status"])
    for line in (b"Connection: close", b"Content-Type: text/plain; charset=utf-8", b"Date: " + DATE.encode()):
        assert line in head.split(b"\r\n")
    assert (body == b"") == (case.expected.get("method") == "HEAD")
    assert case.expected.get("never", "\0").encode() not in refusal


@pytest.mark.parametrize("case", UNFINISHED)
def test_unfinished(case: Case) -> None:
    for feeds in ([case.request], bytewise(case.request)):
        outcome = serve(feeds, ends=True)
        assert len([error for error in outcome.errors if error.status == 400]) == (
            case.expected.get("answer", 400) != 0
        )
        assert not outcome.open
        assert outcome.closed_cleanly
