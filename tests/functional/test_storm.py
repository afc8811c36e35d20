"""A storm of well and ill behaved clients: each answer goes to its own request, in order and whole, and nothing stays.

What a client does is drawn from a seed, so that a failure can be had again.
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import BrokenAnswerError, Client
from tests.support.servers import RunningServer, running_server

CLIENTS: Final = 6
TALKS: Final = 25
SETTINGS: Final = {
    "threads": 3,
    "outbuf_overflow": 200_000,
    "outbuf_high_watermark": 1_000_000,
    "inbuf_overflow": 5_000,
}
KINDS: Final = ("fast", "slow", "stream", "big", "file", "body", "chunked", "fail", "head", "none")
FILE_BYTES: Final = 400_000


class Application:
    """Answers in many ways; each answer begins with the number of its request."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"f" * FILE_BYTES)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kind, number = environ["PATH_INFO"].strip("/").split("/")
        fields = [("X-Number", number)]
        body = environ["wsgi.input"].read()
        if kind == "slow":
            time.sleep(random.random() / 200)
        if kind == "none":
            start_response("204 No Content", fields)
            return []
        if kind == "file":
            start_response("200 OK", fields)
            wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](self.path.open("rb"))
            return wrapped
        start_response("200 OK", fields)
        if kind in {"stream", "fail"}:
            return self.stream(number, kind)
        return [number.encode() + b":" + (b"b" * 300_000 if kind == "big" else body)]

    def stream(self, number: str, kind: str) -> Iterator[bytes]:
        for _ in range(20):
            yield number.encode() + b":" + b"s" * 5000
            if random.random() < 0.1:
                time.sleep(0.001)
        if kind == "fail":
            raise ValueError("on purpose")


class Talk:
    """What one client does on one connection."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self.rng = rng
        self.asked = [(rng.choice(KINDS), f"{number}-{index}") for index in range(rng.randint(1, 6))]
        self.end = rng.choice(["read", "read", "read", "half", "close", "reset", "garbage", "cut"])

    def requests(self) -> bytes:
        return b"".join(self.request(kind, number) for kind, number in self.asked)

    def request(self, kind: str, number: str) -> bytes:
        method = {"head": "HEAD", "body": "POST", "chunked": "POST"}.get(kind, "GET")
        head = f"{method} /{kind}/{number} HTTP/1.1\r\nHost: a\r\n".encode()
        if kind == "body":
            return head + b"Content-Length: 20000\r\n\r\n" + b"x" * 20000
        if kind == "chunked":
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"a\r\n0123456789\r\n" * 50 + b"0\r\n\r\n"
        return head + b"\r\n"

    def run(self, server: RunningServer) -> None:
        with server.connect(receive_buffer_bytes=self.rng.choice([0, 4096])) as client:
            data = self.requests()
            if self.end == "garbage":
                data += b"\0\1\2 no request\r\n\r\n"
            elif self.end == "cut":
                data = data[: self.rng.randint(1, len(data))]
            self.send(client, data)
            if self.end == "half":
                client.finish_sending()
            if self.end in {"close", "reset", "cut"}:
                self.leave(client)
            else:
                self.read(client)

    def send(self, client: Client, data: bytes) -> None:
        sender = client.sock
        while data:
            step = self.rng.choice([1, 10, 1000, len(data)])
            with contextlib.suppress(ConnectionError):
                sender.sendall(data[:step])
            data = data[step:]
            if self.rng.random() < 0.05:
                time.sleep(0.001)

    def leave(self, client: Client) -> None:
        with contextlib.suppress(ConnectionError):
            client.sock.settimeout(0.01 * self.rng.random() + 0.001)
            with contextlib.suppress(TimeoutError):
                client.sock.recv(self.rng.randint(1, 50_000))
        if self.end != "close":
            client.reset()

    def read(self, client: Client) -> None:
        for kind, number in self.asked:
            if kind == "fail":
                with pytest.raises(BrokenAnswerError):
                    client.receive()
                return
            answer = client.receive("HEAD" if kind == "head" else "GET")
            assert answer.get("X-Number") == number
            assert len(answer.body) == self.length(kind, number)
            assert kind in {"file", "none", "head"} or answer.body.startswith(number.encode() + b":")
            if self.rng.random() < 0.1:
                time.sleep(0.002)
        if self.end == "garbage":
            assert client.receive().status == 400
        if self.end in {"half", "garbage"}:
            client.expect_closed()

    @staticmethod
    def length(kind: str, number: str) -> int:
        prefix = len(number) + 1
        lengths = {"file": FILE_BYTES, "none": 0, "head": 0, "big": prefix + 300_000, "body": prefix + 20_000}
        return lengths.get(
            kind, prefix + 500 if kind == "chunked" else 20 * (prefix + 5000) if kind == "stream" else prefix
        )


def storm(server: RunningServer, seed: int, failures: list[BaseException]) -> None:
    """One client that talks again and again."""
    rng = random.Random(seed)
    for number in range(TALKS):
        talk = Talk(rng, number)
        try:
            talk.run(server)
        except BaseException as error:  # border: a thread's failure is the test's to raise
            error.add_note(f"seed {seed}, talk {number}: {talk.asked}, then {talk.end}")
            failures.append(error)
            return


@pytest.mark.parametrize("seed", range(3))
def test_a_storm(seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failures: list[BaseException] = []
    with caplog.at_level(logging.INFO), running_server(Application(tmp_path / "file"), **SETTINGS) as server:
        threads = [
            threading.Thread(target=storm, args=(server, 100 * seed + each, failures)) for each in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
        if failures:
            raise failures[0]
        with server.connect() as client:
            assert client.get("/fast/last").get("X-Number") == "last"
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.CRITICAL]
    assert {str(record.exc_info[1]) for record in caplog.records if record.exc_info} <= {"on purpose"}
