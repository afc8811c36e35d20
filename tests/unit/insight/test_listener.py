"""The thread of the admin address: whom it serves, in which order, and what it does with those that keep it from it."""

import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.admin import CONTROL_TOKEN, READ_TOKEN, ask, echo, head, listening, opened
from tests.support.client import Client
from tests.support.waiting import wait_until
from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.listener import MOST_CLIENTS
from waitressd.insight.tokens import TokenFile
from waitressd.net.listener import open_tcp, open_unix

LIVE = Endpoint("/live", "probes", echo)
STATS = Endpoint("/stats", "stats", echo)


def address_of(client: Client) -> tuple[str, int]:
    host, port = client.sock.getpeername()[:2]
    return str(host), int(port)


def test_one_connection_asks_often() -> None:
    with listening(LIVE, STATS) as client:
        for number in range(5):
            response = ask(client, f"/live?n={number}")
            assert (response.status, response.body) == (200, b"/live\nn=%d\n" % number)
        assert ask(client, "/live", method="HEAD").status == 200
        assert ask(client, "/nothing").status == 404
        client.send(head("GET", "/live") + head("GET", "/stats") + head("GET", "/nothing") + head("GET", "/live"))
        assert [client.receive().status for _ in range(4)] == [200, 200, 404, 200]


def test_equal_questions_get_the_same_bytes() -> None:
    asked: list[int] = []
    gate = threading.Event()

    def count(query: Query) -> Answer:
        asked.append(len(asked))
        return Answer(200, "text/plain", [b"%d" % len(asked)])

    def wait(query: Query) -> Answer:
        gate.wait(10)
        return count(query)

    slow = Endpoint("/slow", "stats", wait, is_slow=True)
    with listening(Endpoint("/stats", "stats", count), slow) as client, Client(address_of(client)) as other:
        client.send(head("GET", "/slow"))
        other.send(head("GET", "/slow"))
        gate.set()
        assert client.receive().body == other.receive().body
        assert len(asked) <= 2, "one answer for both, or the second came after it was stale"
        first = ask(client, "/stats?a=1&b=2")
        if (second := ask(other, "/stats?b=2&a=1")).body != first.body:  # the machine took longer than it is good for
            assert second.body == b"%d" % len(asked)
        assert ask(client, "/stats?a=2").body != first.body


def test_others_are_answered_while_a_long_answer_is_made() -> None:
    made: list[int] = []

    def long(query: Query) -> Answer:
        def pieces() -> Iterator[bytes]:
            for number in range(2000):
                made.append(number)
                end = time.perf_counter() + 0.0003
                while time.perf_counter() < end:
                    pass
                yield b"x"

        return Answer(200, "text/plain", pieces())

    with listening(LIVE, Endpoint("/stats", "stats", long)) as client, Client(address_of(client)) as probe:
        client.send(head("GET", "/stats"))
        assert wait_until(lambda: made)
        assert ask(probe, "/live").status == 200
        assert len(made) < 2000
        assert len(client.receive().body) == 2000


def test_what_nobody_waits_for_any_more_is_not_made() -> None:
    made: list[int] = []

    def endless(query: Query) -> Answer:
        def pieces() -> Iterator[bytes]:
            while True:
                made.append(0)
                yield b""

        return Answer(200, "text/plain", pieces())

    with listening(LIVE, Endpoint("/stats", "stats", endless)) as client, Client(address_of(client)) as other:
        other.send(head("GET", "/stats"))
        assert wait_until(lambda: made)
        other.reset()
        ask(client, "/live")

        def has_stopped() -> bool:
            before = len(made)
            ask(client, "/live")
            return len(made) == before

        assert wait_until(has_stopped)


@pytest.mark.parametrize("leave", [Client.reset, Client.close])
def test_a_slow_answer_ends_when_its_client_leaves(leave: Callable[[Client], None]) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(query: Query) -> Answer:
        def pieces() -> Iterator[bytes]:
            try:
                while True:
                    begun.set()
                    time.sleep(0.001)
                    yield b""
            finally:
                ended.set()

        return Answer(200, "text/plain", pieces())

    with listening(LIVE, Endpoint("/slow", "stats", endless, is_slow=True)) as client:
        with Client(address_of(client)) as other:
            other.send(head("GET", "/slow"))
            assert begun.wait(10)
            leave(other)
        assert ended.wait(10)
        assert ask(client, "/live").status == 200


def test_what_a_client_wants_that_says_no_more_it_gets() -> None:
    with listening(LIVE) as client, Client(address_of(client)) as other:
        other.send(head("GET", "/live"))
        other.finish_sending()
        assert other.receive().status == 200


def test_a_slow_answer_goes_on_for_those_that_still_wait() -> None:
    begun, gate = threading.Event(), threading.Event()

    def hang(query: Query) -> Answer:
        begun.set()
        gate.wait(30)
        return echo(query)

    with listening(LIVE, Endpoint("/slow", "stats", hang, is_slow=True)) as client:
        first, second = Client(address_of(client)), Client(address_of(client))
        try:
            for each in (first, second):
                each.send(head("GET", "/slow"))
                ask(client, "/live")
            assert begun.wait(10)
            first.close()
            ask(client, "/live")
            gate.set()
            assert second.receive().status == 200
        finally:
            gate.set()
            first.close()
            second.close()


def test_silent_clients_keep_nobody_out() -> None:
    with listening(LIVE) as client, ExitStack() as crowd:
        silent = [crowd.enter_context(Client(address_of(client))) for _ in range(5 * MOST_CLIENTS)]
        for number, each in enumerate(silent[-MOST_CLIENTS:]):
            if number % 2:
                each.send(b"GET /l")
        with Client(address_of(client)) as probe:
            assert ask(probe, "/live").status == 200
            assert ask(probe, "/live").status == 200
        silent[0].expect_closed()
        client.expect_closed()


def test_clients_that_do_not_read_keep_nobody_out() -> None:
    large = Endpoint("/stats", "stats", lambda query: Answer(200, "text/plain", [b"x" * 5_000_000]))
    with listening(LIVE, large) as client, ExitStack() as crowd:
        for _ in range(MOST_CLIENTS + 8):
            crowd.enter_context(Client(address_of(client), receive_buffer_bytes=4096)).send(head("GET", "/stats"))
        with Client(address_of(client)) as probe:
            assert ask(probe, "/live").status == 200


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="which descriptors are open is not known here")
def test_a_process_without_descriptors_still_answers() -> None:
    import resource

    with listening(LIVE) as client, socket.socket() as probe, ExitStack() as held:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        probe.settimeout(10)
        probe.connect(address_of(client))
        probe.sendall(head("GET", "/live"))
        assert probe.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_who_changes_something_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"read {READ_TOKEN}\ncontrol {CONTROL_TOKEN}\n", encoding="ascii")
    path.chmod(0o600)
    drain = Endpoint("/control/drain", "control", lambda query: Answer(202, "text/plain", [b"it drains"]))
    fields = (f"Authorization: Bearer {CONTROL_TOKEN}", "X-Waitressd-Control: 1", "Content-Length: 2")
    caplog.set_level(logging.WARNING)
    with listening(drain, tokens=TokenFile(str(path)), control=frozenset({"drain"})) as client:
        name = "{}:{}".format(*address_of(client))
        peer = "{}:{}".format(*client.sock.getsockname()[:2])
        client.send(head("POST", "/control/drain", *fields) + b"ok")
        assert client.receive().status == 202
        assert ask(client, "/control/drain", fields[1], method="POST").status == 401
    done, refused = caplog.messages
    assert done == f"admin: POST /control/drain by {peer} at {name}: 202 it drains"
    assert refused.startswith(f"admin: POST by {peer} at {name} was refused: 401 ")
    assert CONTROL_TOKEN not in caplog.text


def test_a_socket_is_for_its_account(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    listener = open_unix(str(path), 8, mode=0o600)
    drain = Endpoint("/control/drain", "control", lambda query: Answer(202, "text/plain", [b"it drains"]))
    with opened([listener], LIVE, drain, control=frozenset({"drain"})), Client(str(path)) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert ask(client, "/live", host="localhost").status == 200
        if hasattr(socket, "SO_PEERCRED"):
            answer = ask(client, "/control/drain", "X-Waitressd-Control: 1", method="POST", host="localhost")
            assert answer.status == 202
    assert not path.exists()


def test_too_many_slow_questions_are_told_to_come_again() -> None:
    gate = threading.Event()

    def hang(query: Query) -> Answer:
        gate.wait(30)
        return echo(query)

    with listening(LIVE, Endpoint("/slow", "stats", hang, is_slow=True)) as client, ExitStack() as crowd:
        try:
            askers = [crowd.enter_context(Client(address_of(client))) for _ in range(5)]
            for number, asker in enumerate(askers[:4]):
                asker.send(head("GET", f"/slow?n={number}"))
                ask(client, "/live")  # so that they come in that order
            refused = ask(askers[4], "/slow?n=5")
            assert (refused.status, refused.get("Retry-After")) == (503, "1")
        finally:
            gate.set()
        assert [asker.receive().status for asker in askers[:4]] == [200] * 4


def test_what_has_begun_is_answered_at_the_end() -> None:
    begun, gate = threading.Event(), threading.Event()

    def hang(query: Query) -> Answer:
        begun.set()
        gate.wait(0.1)
        return echo(query)

    listener = open_tcp("127.0.0.1", 0, 8)[0]
    address = listener.address
    with opened([listener], Endpoint("/slow", "stats", hang, is_slow=True)) as admin, Client(address) as client:
        client.send(head("GET", "/slow"))
        assert begun.wait(10)
        admin.close()
        assert client.receive().status == 200
        client.expect_closed()
        with pytest.raises(ConnectionRefusedError):
            Client(address)
        admin.close()  # twice is harmless


def test_what_was_never_started_closes_its_addresses() -> None:
    listener = open_tcp("127.0.0.1", 0, 8)[0]
    with opened([listener]) as admin:
        pass
    assert admin._doors == {}
    assert not [thread for thread in threading.enumerate() if thread.name == "waitressd-insight"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_nothing_of_it() -> None:
    listener = open_tcp("127.0.0.1", 0, 8)[0]
    with opened([listener], LIVE) as admin, Client(listener.address) as client:
        ask(client, "/live")
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(int(bool(admin._doors or admin._clients or listener.socket.fileno() >= 0)))
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert ask(client, "/live").status == 200


def test_a_defect_is_logged_and_the_thread_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from waitressd.insight import client as module

    with listening(LIVE) as client, caplog.at_level(logging.CRITICAL):
        ask(client, "/live")
        monkeypatch.setattr(module.Client, "read", lambda self, now: 1 / 0)
        client.send(head("GET", "/live"))
        assert wait_until(lambda: caplog.messages)
        monkeypatch.undo()
        assert client.receive().status == 200
    assert "the thread of the admin address failed and goes on; please report this" in caplog.messages


def test_states_are_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from waitressd.insight import client as module

    monkeypatch.setattr(module, "HEAD_SECONDS", 0.05)
    with listening(LIVE) as client:
        client.expect_closed()
