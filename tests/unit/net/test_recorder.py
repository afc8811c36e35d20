"""A channel with a recorder: what its observer is told, and when."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pytest

from tests.support.loop import BEGIN, DATE, GET, Loop, answer, hello
from waitressd.dispatch.bounds import Bounds
from waitressd.http.connection import Connection
from waitressd.http.errors import ClientDisconnected
from waitressd.http.events import Request
from waitressd.http.limits import Limits
from waitressd.http.response import build_head
from waitressd.net.exchange import Exchange
from waitressd.net.progress import Deadlines
from waitressd.net.recorder import Fault
from waitressd.peer import Origin
from waitressd.requestlog.record import RequestRecord

BIG = 20_000_000
POST = b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


class Watching:
    """An observer that keeps what it hears, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.records: list[RequestRecord] = []
        self.connections = 0

    def connect(self) -> int:
        self.connections += 1
        return self.connections

    def open(self, origin: Origin, connection: int, number: int, request: Request | None, /) -> RequestRecord:
        self.heard.append("open")
        return RequestRecord(origin, connection, number, request)

    def enter(self, notes: Any, /) -> None:
        self.heard.append("enter" if notes is not None else "leave")

    def finish(self, notes: Any, /) -> None:
        self.heard.append("finish")
        self.records.append(notes)

    def finish_soon(self, notes: Any, /) -> None:
        self.heard.append("finish soon")
        self.records.append(notes)

    @property
    def only(self) -> RequestRecord:
        """The one record that there is."""
        (record,) = self.records
        return record


@contextlib.contextmanager
def watched(handler: Any = hello, **settings: Any) -> Iterator[tuple[Loop, Watching]]:
    watching = Watching()
    with Loop(handler, observer=watching, **settings) as loop:
        yield loop, watching


def big(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
    answer(exchange, b"x" * BIG)


def test_nothing_is_written_down_where_nobody_listens() -> None:
    with Loop() as loop, loop.connect():
        assert loop.exchanges[0].recorder is None
    with watched() as (loop, _), loop.connect():
        assert loop.exchanges[0].recorder is not None


def test_an_answer_that_the_kernel_took_is_told_in_the_task() -> None:
    with watched() as (loop, watching), loop.connect() as client:
        loop.request(client, GET)
        loop.request(client, GET)
        assert watching.heard == ["open", "enter", "finish", "leave"] * 2
        assert [record.number for record in watching.records] == [1, 2]
    record = watching.records[0]
    assert (record.status, record.body_bytes_sent, record.ended_by) == (200, 5, "")
    assert record.began_at == record.complete_at <= record.started_at
    assert record.started_at <= record.answered_at <= record.returned_at == record.ended_at
    assert len(watching.records) == 2


def test_an_answer_that_waits_for_its_client_is_told_when_it_is_out() -> None:
    with watched(big) as (loop, watching), loop.connect(receive_buffer_bytes=8192) as client:
        loop.request(client, GET)
        assert watching.heard == ["open", "enter", "leave"]
        client.sock.setblocking(False)
        while not watching.records:
            with contextlib.suppress(BlockingIOError):
                client.sock.recv(1 << 20)
            loop.turn()
        assert watching.heard == ["open", "enter", "leave", "finish soon"]
    assert (watching.only.body_bytes_sent, watching.only.ended_by) == (BIG, "")
    assert watching.only.ended_at > watching.only.returned_at


def test_a_client_that_resets_while_its_answer_waits() -> None:
    with watched(big) as (loop, watching), loop.connect(receive_buffer_bytes=8192) as client:
        loop.request(client, GET)
        client.reset()
        loop.settle()
        assert watching.only.ended_by == "client"
        assert 0 < watching.only.body_bytes_sent < BIG


def test_a_client_that_takes_too_long() -> None:
    deadlines = Deadlines(send_timeout=5)
    with watched(big, deadlines=deadlines) as (loop, watching), loop.connect(receive_buffer_bytes=8192) as client:
        loop.request(client, GET)
        loop.pass_time(60)
        assert watching.only.ended_by == "deadline"


def test_a_task_that_finds_its_client_gone() -> None:
    caught: list[BaseException] = []

    def late(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        exchange.give_up(Fault.STOP)
        try:
            answer(exchange)
        except ClientDisconnected as error:
            caught.append(error)

    with watched(late) as (loop, watching), loop.connect() as client:
        loop.request(client, GET)
        assert len(caught) == 1
        assert (watching.only.ended_by, watching.only.body_bytes_sent) == ("stop", 0)
        assert watching.heard == ["open", "enter", "finish", "leave"]


def test_a_write_that_fails_is_the_clients_doing_though_the_answer_seems_complete() -> None:
    def swallowed(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        exchange.wire.shutdown(2)
        with contextlib.suppress(ClientDisconnected):
            answer(exchange)

    with watched(swallowed) as (loop, watching), loop.connect() as client:
        loop.request(client, GET)
        assert (watching.only.ended_by, watching.only.status, watching.only.body_bytes_sent) == ("client", 200, 0)


def test_an_answer_that_never_came() -> None:
    with watched(lambda *_: None) as (loop, watching), loop.connect() as client:
        loop.request(client, GET)
        assert (watching.only.ended_by, watching.only.status) == ("error", 0)


def test_a_file_that_is_too_short() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * BIG)
        file.flush()

        def shrinking(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
            connection = exchange.connection
            head = build_head("200 OK", [("Content-Length", str(BIG))])
            exchange.write(connection.encoder.encode_head(head, DATE))
            count = connection.encoder.account_file(BIG)
            exchange.write_file(file, 0, count, lambda: None)
            connection.encoder.encode_end()
            file.truncate(BIG // 2)

        with watched(shrinking) as (loop, watching), loop.connect(receive_buffer_bytes=8192) as client:
            loop.request(client, GET)
            assert watching.records == []
            client.sock.setblocking(False)
            while not watching.records:
                with contextlib.suppress(BlockingIOError):
                    client.sock.recv(1 << 20)
                loop.turn()
            assert watching.only.ended_by == "error"
            assert watching.only.body_bytes_sent == BIG // 2


@pytest.mark.parametrize(
    ("data", "status", "line"),
    [(b"NONSENSE\r\n\r\n", 400, b"NONSENSE"), (b"\xff" * 5000 + b"\r\n\r\n", 400, b"\xff" * 1024)],
)
def test_a_refused_head_is_kept_as_it_came(data: bytes, status: int, line: bytes) -> None:
    with watched() as (loop, watching), loop.connect() as client:
        loop.request(client, data)
        assert watching.heard == ["open", "finish soon"]
        assert (watching.only.status, watching.only.refused_line) == (status, line)
        assert (watching.only.ended_by, watching.only.request) == ("refused", None)
        assert watching.only.complete_at == watching.only.started_at == 0.0


def test_a_body_that_does_not_come() -> None:
    with watched() as (loop, watching), loop.connect() as client:
        loop.request(client, POST + b"12")
        loop.pass_time(200)
        assert client.receive().status == 408
        record = watching.only
    assert (record.ended_by, record.body_bytes_received, record.target) == ("deadline", 2, "/up")
    assert record.complete_at == 0.0


@pytest.mark.parametrize("pieces", [[POST + b"12345"], [POST, b"123", b"45"], [POST + b"1", b"2345"]])
def test_a_body_is_counted_however_it_comes(pieces: list[bytes]) -> None:
    with watched() as (loop, watching), loop.connect() as client:
        for piece in pieces:
            loop.request(client, piece)
        assert watching.only.body_bytes_received == 5
        assert watching.only.began_at <= watching.only.complete_at


def test_a_queued_request_is_told_with_its_wait() -> None:
    with watched(bounds=Bounds()) as (loop, watching), loop.connect() as client:
        with loop.busy():
            loop.request(client, GET)
            assert watching.heard == []
            loop.pass_time(40)
        assert client.receive().status == 503
        assert (watching.only.ended_by, watching.only.target) == ("deadline", "/")
        assert watching.only.complete_at == watching.only.began_at == BEGIN


@pytest.mark.parametrize("part", [b"GET / HT", POST + b"12"])
def test_a_client_that_leaves_before_its_request_is_complete(part: bytes) -> None:
    with watched() as (loop, watching), loop.connect() as client:
        loop.request(client, part)
        client.reset()
        loop.settle()
        assert (watching.only.ended_by, watching.only.status) == ("client", 0)


def test_a_connection_that_asks_for_nothing_is_not_told_about() -> None:
    with watched() as (loop, watching):
        with loop.connect():
            pass
        loop.settle()
        with loop.connect() as client:
            loop.request(client, GET)
            loop.pass_time(200)
    assert len(watching.records) == 1


def test_what_runs_when_the_server_ends_is_told_once() -> None:
    watching = Watching()
    with Loop(hello, observer=watching) as loop, loop.connect() as client:

        def ending(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
            exchange.revoke(Fault.STOP)
            with contextlib.suppress(ClientDisconnected):
                answer(exchange)

        loop._handler = ending
        loop.request(client, GET)
        assert watching.only.ended_by == "stop"
        assert watching.heard == ["open", "enter", "finish soon", "leave"]


def connection(data: bytes) -> Connection:
    found = Connection(Limits(), "")
    found.reader.feed(data)
    assert isinstance(found.next_event(), Request)
    return found


def whole(one: Connection, fields: list[tuple[str, str]], status: str = "200 OK") -> None:
    one.encoder.encode_response(build_head(status, fields), b"12345", DATE)


def streamed(one: Connection, fields: list[tuple[str, str]], status: str = "200 OK") -> None:
    one.encoder.encode_head(build_head(status, fields), DATE)
    one.encoder.encode_data(b"123")
    one.encoder.encode_data(b"")
    one.encoder.encode_data(b"45")


@pytest.mark.parametrize("way", [whole, streamed])
@pytest.mark.parametrize(
    ("head", "fields", "status", "sent"),
    [
        (GET, [], "200 OK", 5),
        (GET, [("Content-Length", "5")], "200 OK", 5),
        (GET, [("Content-Length", "4")], "200 OK", 4),
        (GET, [("Content-Length", "9")], "200 OK", 5),
        (GET, [], "204 No Content", 0),
        (GET, [], "304 Not Modified", 0),
        (GET.replace(b"GET", b"HEAD"), [("Content-Length", "5")], "200 OK", 0),
        (GET.replace(b"1.1", b"1.0"), [], "200 OK", 5),
    ],
)
def test_the_octets_of_a_body_are_those_that_go_out(
    way: Callable[..., None], head: bytes, fields: list[tuple[str, str]], status: str, sent: int
) -> None:
    one = connection(head)
    way(one, fields, status)
    assert one.encoder.body_bytes == sent
    assert one.encoder.response_head is not None
    assert one.encoder.response_head.code == int(status[:3])


def test_the_octets_of_a_file_are_counted() -> None:
    one = connection(GET)
    one.encoder.encode_head(build_head("200 OK", [("Content-Length", "5")]), DATE)
    assert one.encoder.account_file(9) == 5
    assert (one.encoder.body_bytes, one.encoder.piece_bytes) == (5, 5)
