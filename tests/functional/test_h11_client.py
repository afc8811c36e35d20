"""h11 as a client: a second, independent reader of what the server sends."""

import socket

import h11
import pytest

from tests.apps import plain
from tests.support.servers import RunningServer, running_server


class Talk:
    """One connection spoken by h11."""

    def __init__(self, server: RunningServer) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.connection = h11.Connection(h11.CLIENT)

    def ask(self, method: str, target: str, body: bytes = b"", *, chunked: bool = False) -> tuple[h11.Response, bytes]:
        """Send one request and return its answer."""
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
        request = h11.Request(method=method, target=target, headers=[("Host", "a"), framing])
        for part in (request, h11.Data(data=body), h11.EndOfMessage()):
            if data := self.connection.send(part):
                self.sock.sendall(data)
        head = self.next_event()
        assert isinstance(head, h11.Response)
        pieces = []
        while not isinstance(event := self.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            pieces.append(bytes(event.data))
        return head, b"".join(pieces)

    def next_event(self) -> object:
        """Return the next event, reading as needed."""
        while (event := self.connection.next_event()) is h11.NEED_DATA:
            self.connection.receive_data(self.sock.recv(65536))
        return event


@pytest.mark.parametrize("chunked", [False, True])
def test_many_exchanges_on_one_connection(chunked: bool) -> None:  # noqa: FBT001 - the parameter is the case
    with running_server(plain.mirror) as server:
        talk = Talk(server)
        with talk.sock:
            for size in (0, 1, 1000, 300_000):
                head, body = talk.ask("POST", "/", b"x" * size, chunked=chunked and size > 0)
                assert (head.status_code, body) == (200, b"x" * size)
                talk.connection.start_next_cycle()


@pytest.mark.parametrize("application", [plain.hello, plain.streamed, plain.echo, plain.named])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_every_kind_of_answer_is_read_to_its_end(application: object, method: str) -> None:
    with running_server(application) as server:
        talk = Talk(server)
        with talk.sock:
            for _ in range(3):
                head, body = talk.ask(method, "/path")
                assert head.status_code == 200
                assert (body == b"") == (method == "HEAD")
                talk.connection.start_next_cycle()
