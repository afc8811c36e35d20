"""Responses that end badly on a listener that speaks TLS: whatever breaks, no octet of them is ever in clear.

Every client here is its own wiretap: it keeps each octet that came to it, before it decrypts, and looks there for the
words that all responses, files, errors and redirects of this application are made of.
"""

import contextlib
import os
import random
import signal
import socket
import struct
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from tests.faults.encrypted import SecureTarget, secure_target
from tests.faults.report import Report, scenario
from tests.support.tls import Wiretap, client_context

CANARY: Final = b"canary-in-the-clear"
CLIENTS: Final = 64
RUNS: Final = 10_000
RUNS_OF_A_SERVER: Final = 500  # then it is stopped in their middle
_CLEAR: Final = (CANARY, b"HTTP/1.", b"waitressd", b"Content-")
_BLOCK: Final = CANARY * 1000
_RESET: Final = struct.pack("ii", 1, 0)

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]


# -- the application


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Serve canaries in the way that the path names, and break off as the query says."""
    fields = [("Content-Type", "text/plain"), ("X-Canary", CANARY.decode())]
    way, breaks = environ["PATH_INFO"].strip("/"), environ["QUERY_STRING"] == "breaks"
    if way == "refused":
        raise RuntimeError(CANARY.decode())
    if way == "list":
        start_response("200 OK", [*fields, ("Content-Length", str(len(_BLOCK) * (9 if breaks else 8)))])
        return [_BLOCK] * 8
    if way == "write":
        write = start_response("200 OK", fields)
        return _written(write, breaks=breaks)
    start_response("200 OK", fields)
    if way == "file":
        return _file(environ["wsgi.file_wrapper"], breaks=breaks)
    return _generated(breaks=breaks)


def _written(write: Callable[[bytes], None], *, breaks: bool) -> Iterable[bytes]:
    for number in range(8):
        write(_BLOCK)
        if breaks and number == 4:
            raise RuntimeError(CANARY.decode())
    return []


def _generated(*, breaks: bool) -> Iterator[bytes]:
    for number in range(20):
        yield _BLOCK
        if breaks and number == 10:
            raise RuntimeError(CANARY.decode())


def _file(wrapper: Callable[..., Iterable[bytes]], *, breaks: bool) -> Iterable[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
    file.write(_BLOCK * 30)
    file.seek(0)
    if breaks:  # while the server sends it, the file becomes shorter
        threading.Timer(0.002, _cut, (os.dup(file.fileno()),)).start()
    return wrapper(file)


def _cut(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.ftruncate(fd, len(_BLOCK) * 3)
    os.close(fd)


# -- the clients


class Runner:
    """Clients in threads, each with a chance of its own; they count what they saw."""

    def __init__(self, server: SecureTarget, first: int, runs: int) -> None:
        self.seen: Counter[str] = Counter()
        self._server = server
        self._numbers = iter(range(first, first + runs))
        self._context = client_context()
        self._lock = threading.Lock()  # guards the counts and the numbers
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wait_for(self, runs: int) -> None:
        """Wait until so many runs have ended."""
        while self.seen["runs"] < runs:
            time.sleep(0.01)

    def join(self) -> None:
        """Wait for all runs."""
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            wire = b""
            with socket.socket() as sock:
                sock.settimeout(10)
                tap = Wiretap(sock.sendall, self._context)
                with contextlib.suppress(OSError):  # also of TLS; the server may be stopped at any moment
                    sock.connect(self._server.address)
                    _meet(random.Random(number), sock, tap)
                with contextlib.suppress(OSError):
                    tap.read()
                wire = tap.on_wire
            with self._lock:
                self.seen["runs"] += 1
                self.seen["octets"] += len(wire)
                self.seen["plaintext"] += CANARY in tap.plaintext
                self.seen["in clear"] += any(word in wire for word in _CLEAR)


def _meet(dice: random.Random, sock: socket.socket, tap: Wiretap) -> None:
    """Shake hands, ask, and leave in one way or another."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, dice.choice((2048, 16384, 262144)))
    if dice.random() < 0.05:
        return  # without a word
    if dice.random() < 0.05:
        sock.sendall(tap.hello()[: dice.randrange(1, 200)])
        tap.feed(sock.recv(65536))
        return
    while not tap.shake_hands():
        tap.feed(_receive(sock))
    way = dice.choice(("list", "write", "file", "generated", "refused"))
    query = dice.choice(("", "breaks"))
    version = dice.choice(("1.0", "1.1"))
    tap.send(f"GET /{way}?{query} HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    if dice.random() < 0.1:  # what is no TLS, in the middle of it
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    wanted = dice.choice((0, 1, 2000, 70_000, 1_000_000))
    while len(tap.on_wire) < wanted:
        tap.feed(_receive(sock))
        if dice.random() < 0.02:
            time.sleep(0.005)
    _leave(dice.choice(("close", "reset", "half", "wait")), sock, tap)


def _leave(ending: str, sock: socket.socket, tap: Wiretap) -> None:
    if ending == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    elif ending == "half":
        sock.shutdown(socket.SHUT_WR)
    if ending in ("half", "wait"):
        sock.settimeout(0.2)
        while True:
            tap.feed(_receive(sock))


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(262144)
    if not data:
        raise ConnectionError("the end")
    return data


@scenario("tls-canary", 900)
def tls_canary(report: Report) -> None:
    """10,000 responses that abort, break, time out, are reset or stopped, and a wiretap at each."""
    seen: Counter[str] = Counter()
    settings = ("--channel-timeout=1", "--send-timeout=1", "--shutdown-timeout=1", "--expose-tracebacks")
    for first in range(0, RUNS, RUNS_OF_A_SERVER):
        with secure_target(*settings, application="tests.faults.canary:application") as server:
            runner = Runner(server, first, RUNS_OF_A_SERVER)
            runner.start()
            runner.wait_for(random.Random(first).randrange(RUNS_OF_A_SERVER * 4 // 5, RUNS_OF_A_SERVER))
            os.kill(server.pid, signal.SIGTERM)
            runner.join()
            seen.update(runner.seen)
    report.equal("runs", seen["runs"], RUNS)
    report.at_least("of them that decrypted a canary", seen["plaintext"], RUNS / 4, "")
    report.at_least("octets on the wire", seen["octets"] / 1e6, 100, "MB")
    report.equal("runs with a clear octet", seen["in clear"], 0)
