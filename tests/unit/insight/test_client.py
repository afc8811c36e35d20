"""One connection to an admin address: what it waits for, how long, and what it sends."""

import os
import socket
from collections.abc import Iterator

import pytest

from tests.support.admin import DATE, head
from tests.support.client import Client as Asker
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import Request
from waitressd.insight import client as module
from waitressd.insight.client import ALWAYS, CLIENT_TRANSITIONS, NEVER, Client, ClientState
from waitressd.insight.guard import Door
from waitressd.insight.rendering import Whole
from waitressd.net.poller import PARKED, READ, WRITE

PORT = Door("127.0.0.1:1", frozenset())
SOCKET = Door("unix:/a", frozenset(), is_unix=True)
ANSWER = Whole(200, "application/json", b"{}\n", (("X-More", "1"),))


class Pair:
    """A client of ours and the other end of its connection."""

    def __init__(self, door: Door = PORT) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.client = Client(ours, ("127.0.0.1", 5555), door, now=100.0)
        self.asker = object.__new__(Asker)
        self.asker.sock = theirs
        self.asker.buffer = b""
        theirs.settimeout(10)

    def sends(self, data: bytes, now: float = 100.0) -> Request | HttpError | None:
        self.asker.send(data)
        return self.client.read(now)

    def close(self) -> None:
        self.client.close()
        self.client.socket.close()
        self.asker.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_a_question_and_its_answer(pair: Pair) -> None:
    asked = pair.sends(head("GET", "/live"))
    assert isinstance(asked, Request)
    assert (asked.path, pair.client.state, pair.client.mask) == ("/live", ClientState.ASKED, PARKED)
    assert pair.client.deadline == NEVER
    pair.client.answer(ANSWER, DATE, 101.0)
    response = pair.asker.receive()
    assert (response.status, response.body) == (200, b"{}\n")
    assert set(ALWAYS) | {("X-More", "1"), ("Content-Type", "application/json")} <= set(response.fields)
    assert response.get("Server") is None
    assert (pair.client.state, pair.client.is_idle, pair.client.answered) == (ClientState.READING, True, 1)


def test_it_may_come_byte_by_byte_and_with_a_body(pair: Pair) -> None:
    data = head("POST", "/control/drain", "Content-Length: 4") + b"body"
    for index in range(len(data) - 1):
        assert pair.sends(data[index : index + 1]) is None
    asked = pair.sends(data[-1:])
    assert isinstance(asked, Request)
    assert asked.method == "POST"


def test_a_body_that_is_held_back_is_asked_for(pair: Pair) -> None:
    assert pair.sends(head("POST", "/control/drain", "Content-Length: 4", "Expect: 100-continue")) is None
    assert pair.asker.sock.recv(100).startswith(b"HTTP/1.1 100 ")
    assert isinstance(pair.sends(b"body"), Request)


def test_what_follows_waits_for_the_answer(pair: Pair) -> None:
    first = pair.sends(head("GET", "/a") + head("GET", "/b"))
    assert isinstance(first, Request)
    assert first.path == "/a"
    pair.client.answer(ANSWER, DATE, 100.0)
    second = pair.client.next_request(100.0)
    assert isinstance(second, Request)
    assert second.path == "/b"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (head("GET", "/live", host=""), 400),
        (head("GET", "/live", "Host: localhost"), 400),
        (head("GET", "/live", host="[::1].evil.example"), 400),
        (head("CONNECT", "127.0.0.1:80"), 405),
        (head("GET", "/" + "a" * 5000), 414),
        (head("GET", "/live", "A: " + "a" * 9000), 431),
        (head("GET", "/live", *["A: a"] * 70), 431),
        (head("POST", "/control/drain", "Content-Length: 4097"), 413),
        (head("POST", "/control/drain", "Content-Length: 1", "Transfer-Encoding: chunked"), 400),
    ],
)
def test_what_is_wrong_is_answered_and_then_the_connection_ends(pair: Pair, data: bytes, status: int) -> None:
    asked = pair.sends(data)
    assert isinstance(asked, HttpError)
    assert asked.status == status
    pair.client.answer(Whole(status, "application/json", b"{}\n"), DATE, 100.0)
    response = pair.asker.receive()
    assert (response.status, response.closes) == (status, True)
    states = [pair.client.state]
    pair.asker.expect_closed()
    pair.asker.finish_sending()
    pair.client.read(100.0)
    assert [*states, pair.client.state] == [ClientState.LINGERING, ClientState.CLOSED]


def test_every_state_has_its_time(pair: Pair) -> None:
    client = pair.client
    assert client.deadline == 100.0 + module.HEAD_SECONDS, "a client that says nothing"
    pair.sends(head("GET", "/live")[:10], now=103.0)
    assert client.deadline == 100.0 + module.HEAD_SECONDS, "a client that drips"
    pair.sends(head("GET", "/live")[10:], now=104.0)
    client.answer(ANSWER, DATE, 110.0)
    assert client.deadline == 110.0 + module.IDLE_SECONDS
    pair.sends(b"G", now=150.0)
    assert client.deadline == 150.0 + module.HEAD_SECONDS
    client.close()
    assert client.deadline == NEVER


def test_who_does_not_read_is_waited_for_from_the_last_byte_taken(pair: Pair) -> None:
    client = pair.client
    pair.sends(head("GET", "/connections"))
    client.answer(Whole(200, "text/plain", b"x" * 4_000_000), DATE, 100.0)
    assert (client.state, client.mask) == (ClientState.WRITING, WRITE)
    client.write(105.0)
    assert client.deadline == 100.0 + module.WRITE_SECONDS, "nothing was taken"
    pair.asker.sock.recv(1_000_000)
    client.write(106.0)
    assert client.deadline == 106.0 + module.WRITE_SECONDS
    assert client.mask == WRITE


def test_head_gets_no_body(pair: Pair) -> None:
    pair.sends(head("HEAD", "/live"))
    pair.client.answer(ANSWER, DATE, 100.0)
    response = pair.asker.receive("HEAD")
    assert (response.get("Content-Length"), response.body) == ("3", b"")


def test_who_has_gone_needs_no_answer(pair: Pair) -> None:
    pair.sends(head("GET", "/live"))
    pair.client.close()
    pair.client.answer(ANSWER, DATE, 100.0)
    assert pair.client.state is ClientState.CLOSED
    pair.asker.close()
    other = Pair()
    other.asker.close()
    assert other.client.read(100.0) is None
    assert other.client.state is ClientState.CLOSED
    other.close()


def test_the_system_says_who_is_at_a_socket() -> None:
    pair = Pair(SOCKET)
    if hasattr(socket, "SO_PEERCRED"):
        assert (pair.client.uid, pair.client.pid) == (os.geteuid(), os.getpid())
        assert pair.client.peer == f"pid {os.getpid()} of uid {os.geteuid()}"
    else:
        assert pair.client.uid == -1
    pair.close()


def test_at_a_port_nobody_is_known(pair: Pair) -> None:
    assert (pair.client.uid, pair.client.peer, pair.client.mask) == (-1, "127.0.0.1:5555", READ)


def test_a_move_that_is_not_in_the_table_is_refused(pair: Pair) -> None:
    for before in ClientState:
        for after in ClientState:
            pair.client.state = before
            if after in CLIENT_TRANSITIONS[before]:
                pair.client._become(after, 100.0)
            else:
                with pytest.raises(ProtocolMisuse):
                    pair.client._become(after, 100.0)
