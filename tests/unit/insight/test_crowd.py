"""One question to several processes at once: who answers in time is heard, and nobody is waited for longer."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.admin import echo, opened
from waitressd.insight.addresses import MASTERS
from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.crowd import Member, ask_all
from waitressd.insight.listener import AdminListener


def member_of(admin: AdminListener, worker: int) -> Member:
    """Make a member whose thread of the admin address is one of this process."""

    def pass_on(fd: int) -> bool:
        admin.adopt(socket.socket(fileno=os.dup(fd)), MASTERS)
        return True

    return Member(worker, 1000 + worker, 1, pass_on)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def test_all_are_asked_the_same() -> None:
    with ExitStack() as stack:
        members = [
            member_of(stack.enter_context(opened([], Endpoint("/requests", "requests", echo))), number)
            for number in (1, 2, 3)
        ]
        replies = ask_all(members, "GET", "/requests?a=1", "text/plain", 10)
        assert [(reply.member.worker, reply.status, reply.body) for reply in replies] == [
            (number, 200, b"/requests\na=1\n") for number in (1, 2, 3)
        ]
        assert {reply.content_type for reply in replies} == {"text/plain"}


def test_who_is_late_or_gone_keeps_nobody(gate: threading.Event) -> None:
    def hang(query: Query) -> Answer:
        gate.wait(30)
        return echo(query)

    with (
        opened([], Endpoint("/requests", "requests", echo)) as quick,
        opened([], Endpoint("/requests", "requests", hang, is_slow=True)) as slow,
    ):
        gone = Member(3, 1003, 1, lambda fd: False)
        deaf = Member(4, 1004, 1, lambda fd: True)  # it takes the connection, and closes it
        members = [member_of(quick, 1), member_of(slow, 2), gone, deaf]
        replies = ask_all(members, "GET", "/requests", "", 0.5)
        assert [reply.status for reply in replies] == [200, 0, 0, 0]
        gate.set()
        assert ask_all(members[:2], "GET", "/requests", "", 10)[1].status == 200


def test_what_is_wrong_is_an_answer_too() -> None:
    with opened([], Endpoint("/requests", "requests", echo)) as admin:
        (reply,) = ask_all([member_of(admin, 1)], "GET", "/nothing", "", 10)
        assert reply.status == 404


def test_what_was_cut_is_no_answer() -> None:
    threads = []

    def cut(fd: int) -> bool:
        sock = socket.socket(fileno=os.dup(fd))

        def answer() -> None:
            with sock:
                sock.recv(1000)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf")

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return True

    (reply,) = ask_all([Member(1, 1, 1, cut)], "GET", "/requests", "", 10)
    assert reply.status == 0
    threads[0].join(10)
