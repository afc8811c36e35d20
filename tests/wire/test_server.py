"""The same cases against a real server on a real socket, and what its application saw of them."""

import contextlib
from typing import Any, Final

import pytest

from tests.support.client import Client, Response
from tests.wire.casefiles import Case, read_cases
from tests.wire.stage import PROBE, Call, Stage

SEGMENTS: Final = 300
"""Into how many segments a case is cut; most are shorter, and then each octet has one."""

ACCEPTED: Final = [pytest.param(case, id=case.name) for case in read_cases("accepted")]
REJECTED: Final = [pytest.param(case, id=case.name) for case in read_cases("rejected")]
UNFINISHED: Final = [pytest.param(case, id=case.name) for case in read_cases("unfinished")]

NEXT: Final = b"GET /probe HTTP/1.1\r\nHost: localhost\r\n\r\n"


def send_segments(client: Client, data: bytes) -> None:
    """Send in small segments; a server that has refused already takes no more, which is its right."""
    step = -(-len(data) // SEGMENTS)
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(data), step):
            client.send(data[start : start + step])


def check_call(call: Call, wanted: dict[str, Any]) -> None:
    """Compare what the application saw with what a case says."""
    environ = call.environ
    assert environ["REQUEST_METHOD"] == wanted["method"]
    assert environ["SCRIPT_NAME"] + environ["PATH_INFO"] == wanted["path"]
    assert environ["QUERY_STRING"] == wanted.get("query", "")
    assert environ["SERVER_PROTOCOL"] == wanted.get("version", "HTTP/1.1")
    assert call.body == wanted.get("body", "").encode("latin-1")
    assert wanted.get("fields", {}).items() <= environ.items()
    assert wanted.get("environ", {}).items() <= environ.items()
    assert not environ.keys() & set(wanted.get("absent", ()))


@pytest.mark.parametrize("sent", ["whole", "segments"])
@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(stage: Stage, case: Case, sent: str) -> None:
    stage.set()
    wanted = case.expected["requests"]
    keeps = case.expected.get("keep", True)
    with stage.connect() as client:
        if sent == "segments":
            send_segments(client, case.request)
        else:
            client.send(case.request)
        answers = [client.receive(each["method"]) for each in wanted]
        assert [answer.status for answer in answers] == [200] * len(wanted)
        assert answers[-1].closes != keeps
        if keeps:
            assert client.get(PROBE).body == b"still here"
        else:
            client.expect_closed()
    assert len(stage.calls) == len(wanted)
    for call, each in zip(stage.calls, wanted, strict=True):
        check_call(call, each)


@pytest.mark.parametrize("sent", ["whole", "segments", "followed"])
@pytest.mark.parametrize("case", REJECTED)
def test_rejected(stage: Stage, case: Case, sent: str) -> None:
    stage.set()
    with stage.connect() as client:
        if sent == "segments":
            send_segments(client, case.request)
        else:
            client.send(case.request + (NEXT if sent == "followed" else b""))
        for _ in range(case.expected.get("before", 0)):
            assert client.receive().status == 200
        refusal = client.receive(case.expected.get("method", "GET"))
        check_refusal(refusal, case)
        client.expect_closed()
    assert len(stage.calls) == case.expected.get("before", 0)


def check_refusal(refusal: Response, case: Case) -> None:
    assert refusal.status == case.expected["status"]
    assert refusal.get("Connection") == "close"
    assert refusal.get("Content-Type") == "text/plain; charset=utf-8"
    assert refusal.get("Content-Length") is not None
    assert refusal.get("Date") is not None
    assert case.expected.get("never", "\0").encode() not in refusal.body
    assert not [interim for interim in refusal.interim if interim.status == 100]


@pytest.mark.parametrize("case", UNFINISHED)
def test_unfinished(stage: Stage, case: Case) -> None:
    stage.set()
    before = case.expected.get("before", 0)
    with stage.connect() as client:
        client.send(case.request)
        client.finish_sending()
        for _ in range(before):
            assert client.receive().status == 200
        if case.expected.get("answer", 400):
            assert client.receive().status == case.expected.get("answer", 400)
        client.expect_closed()
    assert len(stage.calls) == before
