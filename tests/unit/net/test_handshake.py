"""waitressd.net.handshake: how connections to a listener that speaks TLS begin, on an event loop turned by hand."""

import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Loop, answer, hello
from tests.support.proxyheaders import v1, v2
from tests.support.tls import FixedCredentials, Wiretap, client_context, drain, server_context
from tests.support.waiting import wait_until
from waitressd.net.exchange import Exchange
from waitressd.net.handshake import RESULTS, SHARE_SECONDS, Handshakes, TlsProtocol
from waitressd.net.poller import READ, WRITE
from waitressd.net.preface import ProxyProtocol
from waitressd.net.progress import Deadlines
from waitressd.net.recorder import Fault
from waitressd.net.states import ChannelState
from waitressd.operatorlog import operator_log

TIMEOUT_SECONDS: Final = 10.0


@dataclass
class Clock:
    """Time that passes with each look at it, by as much as a test wants."""

    step_seconds: float = 0.0
    now: float = 0.0

    def __call__(self) -> float:
        self.now += self.step_seconds
        return self.now


@dataclass
class Secure:
    """A loop whose one listener speaks TLS."""

    loop: Loop
    handshakes: Handshakes
    clients: list[Client] = field(default_factory=list)

    def open(self, **options: Any) -> Client:
        """Connect, and say nothing."""
        client = self.loop.connect(**options)
        self.clients.append(client)
        return client

    def connect(self, context: ssl.SSLContext | None = None) -> Wiretap:
        """Connect and complete the handshake."""
        client = self.open()
        tap = Wiretap(client.send, context)
        while not tap.shake_hands():
            self.hear(tap, client)
        self.hear(tap, client)
        return tap

    def hear(self, tap: Wiretap, client: Client | None = None) -> bytes:
        """Let the loop turn, and the client read; return all plaintext that it has got."""
        self.loop.settle()
        tap.feed(drain((client or self.clients[-1]).sock))
        return tap.read()

    @property
    def results(self) -> dict[str, int]:
        """How handshakes have ended."""
        return {result: count for result, count in self.handshakes.tally.counts.items() if count}


@contextlib.contextmanager
def secure(handler: Any = hello, *, limit: int = 1000, clock: Any = None, **settings: Any) -> Iterator[Secure]:
    handshakes = Handshakes(limit)
    credentials = FixedCredentials(server_context())
    tls = TlsProtocol(credentials, handshakes, TIMEOUT_SECONDS, "127.0.0.1:443", 443)
    with operator_log.running(), Loop(handler, tls=tls, **settings) as loop:
        handshakes.clock = clock or (lambda: loop.time)  # one clock for a turn and for what it spends
        found = Secure(loop, handshakes)
        try:
            yield found
        finally:
            for client in found.clients:
                client.close()


def is_closed(client: Client) -> bool:
    """Whether the server has ended the connection; what it sent before is dropped."""
    client.sock.settimeout(5)
    try:
        while client.sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def wait_for_line(caplog: pytest.LogCaptureFixture, text: str) -> str:
    """Return the one line that has the text, once it was written."""
    assert wait_until(lambda: text in caplog.text)
    (line,) = [line for line in caplog.messages if text in line]
    return line


# What goes well.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_is_answered(version: ssl.TLSVersion) -> None:
    with secure() as server:
        tap = server.connect(client_context(version))
        for _ in range(2):
            tap.send(GET)
            server.hear(tap)
        assert tap.plaintext.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert b"HTTP/1.1" not in tap.on_wire
        assert server.results == {"full": 1}
        assert server.handshakes.tally.open_count == 0
        (channel,) = server.loop.channels
        assert channel.origin.tls is not None
        assert channel.exchange.origin.tls is channel.origin.tls
        assert channel.mask == READ


def test_a_request_that_comes_with_the_end_of_the_handshake_needs_no_further_event() -> None:
    with secure() as server:
        client = server.open()
        held: list[bytes] = []
        tap = Wiretap(held.append)
        client.send(tap.hello())
        server.hear(tap)
        tap.shake_hands()
        tap.send(GET)
        client.send(b"".join(held))
        assert b"200 OK" in server.hear(tap)


def test_a_hello_in_octets() -> None:
    with secure() as server:
        client = server.open()
        tap = Wiretap(client.send)
        for octet in tap.hello():
            client.send(bytes([octet]))
            server.loop.turn(2)
        server.hear(tap)
        assert tap.shake_hands()


@pytest.mark.parametrize("size", [1, 64, 512, 1400])
def test_a_body_in_small_segments_arrives(size: int) -> None:
    """An event that brings a part of a record is no busy loop, however many of them a record takes."""

    def count(_request: Any, body: Any, exchange: Exchange) -> None:
        answer(exchange, str(len(body.read())).encode())

    with secure(count) as server:
        tap = server.connect()
        client = server.clients[-1]
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sock.settimeout(5)
        length = 100_000 if size > 1 else 17_000
        octets = tap.encrypt(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)
        for start in range(0, len(octets), size):
            client.send(octets[start : start + size])
            server.loop.turn()
        assert server.hear(tap).endswith(str(length).encode())


def test_a_client_that_reads_a_record_in_small_pieces_is_served() -> None:
    """An event that moves a part of a record is progress: none would come if the kernel had not had room."""
    body = b"x" * 300_000

    def large(_request: Any, _body: Any, exchange: Exchange) -> None:
        answer(exchange, body)

    with secure(large) as server:
        tap = server.connect()
        client = server.clients[-1]
        (channel,) = server.loop.channels
        channel.wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, (4608).to_bytes(4, "little"))
        tap.send(GET)
        server.loop.settle()
        client.sock.setblocking(False)
        for _ in range(20_000):
            server.loop.turn()
            with contextlib.suppress(BlockingIOError):
                tap.feed(client.sock.recv(1000))
            if tap.read().endswith(body):
                break
        assert tap.read().endswith(body)


# What costs nobody else.


def test_who_says_nothing_is_closed_when_its_time_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with secure() as server:
        silent, half, whole = server.open(), server.open(), server.open()
        hello_octets = Wiretap(whole.send).hello()
        half.send(hello_octets[:7])
        whole.send(hello_octets)
        server.loop.settle()
        assert server.handshakes.tally.open_count == 3
        assert server.loop.phases == ["idle"] * 3
        server.loop.pass_time(TIMEOUT_SECONDS - 1.1)
        assert len(server.loop.channels) == 3
        server.loop.pass_time(2)
        assert server.loop.channels == []
        assert all(is_closed(client) for client in (silent, half, whole))
        assert server.results == {"timeout": 3}
        line = wait_for_line(caplog, "no TLS handshake was complete within 10 s")
        assert "to the TLS listener 127.0.0.1:443" in line


def test_activity_does_not_make_the_time_longer() -> None:
    with secure() as server:
        client = server.open()
        for octet in Wiretap(client.send).hello()[:8]:
            client.send(bytes([octet]))
            server.loop.pass_time(1)
        server.loop.pass_time(TIMEOUT_SECONDS - 7)
        assert is_closed(client)


def test_one_handshake_too_many_ends_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    with secure(limit=3) as server:
        first, second, third = server.open(), server.open(), server.open()
        second.send(b"\x16")
        tap = server.connect()
        assert is_closed(first)
        assert server.handshakes.tally.open_count == 2
        tap.send(GET)
        assert b"200 OK" in server.hear(tap)
        server.open()
        server.open()
        assert is_closed(second)
        assert third.is_silent(0.01)
        assert server.results == {"full": 1, "evicted": 2}
        assert "more than 3 TLS handshakes are under way" in wait_for_line(caplog, "TLS handshakes are under way")


def test_a_turn_has_a_share_for_handshakes_and_what_is_left_comes_next() -> None:
    clock = Clock()
    with secure(clock=clock) as server:
        taps = []
        for _ in range(5):
            client = server.open()
            tap = Wiretap(client.send)
            tap.flush()
            taps.append((tap, client))
        clock.step_seconds = SHARE_SECONDS  # each step takes the whole share
        for tap, client in taps:
            client.send(tap.hello())
        server.loop.poller.patience_seconds = 0.05
        answered = []
        for _ in range(12):
            server.loop.time += 0.001  # each turn has a time of its own
            server.loop.turn()
            server.loop.poller.patience_seconds = 0.0
            answered.append(sum(not client.is_silent(0.001) for _, client in taps if not client.buffer))
        assert answered[0] <= 1
        assert all(client.buffer for _, client in taps)


def test_a_drain_waits_for_a_handshake_no_longer_than_for_a_request() -> None:
    with secure() as server:
        silent = server.open()
        server.loop.dispatcher.stop()
        server.loop.pass_time(2)
        assert is_closed(silent)
        assert server.results == {"gone": 1}
        assert server.loop.dispatcher.finished


def test_who_leaves_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with secure() as server:
        server.open().close()
        halfway = server.open()
        halfway.send(Wiretap(halfway.send).hello()[:9])
        halfway.close()
        resetting = server.open()
        resetting.send(Wiretap(resetting.send).hello())
        resetting.reset()
        server.loop.settle()
        assert server.results == {"gone": 3}
        assert server.loop.channels == []
    assert caplog.messages == []


# Ends.


def test_what_openssl_says_of_a_handshake_that_failed_arrives(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with secure() as server:
        client = server.open()
        context = client_context(ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("AES256-SHA")
        tap = Wiretap(client.send, context)
        client.send(tap.hello() + b"and more that nobody reads")
        server.loop.settle()
        assert drain(client.sock)[:2] == b"\x15\x03"  # an alert
        assert server.loop.phases == ["lingering"]
        client.close()
        server.loop.settle()
        assert server.results in ({"no_cipher": 1}, {"full": 1})


def test_a_kept_connection_ends_with_a_farewell() -> None:
    with secure() as server:
        tap = server.connect()
        tap.send(GET)
        server.hear(tap)
        server.loop.pass_time(server.loop.dispatcher.idle_seconds + 2)
        server.hear(tap)
        assert tap.has_farewell
        assert server.loop.channels == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_that_ends_the_connection_ends_with_a_farewell(version: str) -> None:
    with secure() as server:
        tap = server.connect()
        tap.send(b"GET / HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n" % version.encode())
        assert b"hello" in server.hear(tap)
        assert tap.has_farewell


def test_a_refusal_ends_with_a_farewell() -> None:
    with secure() as server:
        tap = server.connect()
        tap.send(b"nonsense\r\n\r\n")
        assert b"400 Bad Request" in server.hear(tap)
        assert tap.has_farewell


def test_a_farewell_waits_until_the_kernel_has_room() -> None:
    """A client that is slow gets its farewell as any other does, and one that takes nothing is given up."""
    body = b"x" * 200_000

    def large(_request: Any, _body: Any, exchange: Exchange) -> None:
        answer(exchange, body)

    with secure(large) as server:
        tap = server.connect()
        client = server.clients[-1]
        tap.send(b"GET / HTTP/1.0\r\n\r\n")
        while not tap.has_farewell:
            server.loop.turn()
            with contextlib.suppress(BlockingIOError):
                client.sock.setblocking(False)
                tap.feed(client.sock.recv(1000))
            tap.read()
        assert tap.plaintext.endswith(body)


def _break_off(_request: Any, _body: Any, exchange: Exchange) -> None:
    """Answer a part of what was announced."""
    answer(exchange, b"a part", (("Content-Length", "1000"),))


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_cut_answer_has_no_farewell(version: bytes) -> None:
    with secure(_break_off) as server:
        tap = server.connect()
        tap.send(b"GET / HTTP/%b\r\nHost: x\r\n\r\n" % version)
        with contextlib.suppress(ConnectionResetError):
            server.hear(tap)
        server.loop.pass_time(5)
        with contextlib.suppress(ConnectionResetError):
            server.hear(tap)
        assert not tap.has_farewell
        assert server.loop.channels == []


@pytest.mark.parametrize("state", ["running", "flushing"])
def test_a_client_that_is_given_up_gets_no_farewell_and_no_octet_in_clear(state: str) -> None:
    secret = b"canary " * 3_000_000

    def large(_request: Any, _body: Any, exchange: Exchange) -> None:
        answer(exchange, secret)
        if state == "running":
            exchange.give_up(Fault.STOP)
            with contextlib.suppress(OSError):
                exchange.wire.send(secret)

    with secure(large, deadlines=Deadlines(send_timeout=3)) as server:
        tap = server.connect()
        tap.send(GET)
        server.loop.settle()
        server.loop.pass_time(20)
        assert server.loop.channels == []
        with contextlib.suppress(ConnectionResetError):
            server.hear(tap)
        assert not tap.has_farewell
        assert b"canary" not in tap.on_wire


# The wrong protocol.

PLAIN: Final = [
    (b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n", b"https://www.example.com/"),
    (b"OPTIONS * HTTP/1.1\r\nhost:  www.example.com:80 \r\n\r\n", b"https://www.example.com/"),
    (b"POST /x HTTP/1.1\r\nContent-Length: 5\r\nHost: [::1]:8443\r\n\r\nhello", b"https://[::1]/"),
    (b"GET / HTTP/1.0\r\n\r\n", b"https://shop.example/"),
    (b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", b"https://shop.example/"),
    (b"G", b"https://shop.example/"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"https://shop.example/"),
]


@pytest.mark.parametrize(("data", "address"), PLAIN)
def test_plain_http_is_told_where_https_is(data: bytes, address: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with secure() as server:
        for _ in range(3):
            client = server.open()
            client.send(data)
            server.loop.settle()
            found = client.receive()
            assert found.status == 400
            assert found.closes
            assert found.body.endswith(b"This port speaks HTTPS. Use " + address + b"\n")
            client.close()
            server.loop.settle()
        assert server.results == {"plain_http": 3}
        assert server.loop.requests == []
        assert server.loop.channels == []
        assert "spoke plain HTTP to the TLS listener 127.0.0.1:443" in wait_for_line(caplog, "plain HTTP")


@pytest.mark.parametrize("data", [b"\0\1\2", b"\x80\x2e\1", b"hello there\r\n", b"\x15\x03\x01", b"SSH-2.0-x\r\n"])
def test_what_is_neither_is_closed_without_a_word(data: bytes) -> None:
    with secure() as server:
        client = server.open()
        client.send(data)
        server.loop.settle()
        with contextlib.suppress(ConnectionResetError):
            client.expect_closed()
        assert server.results == {"error": 1}


@pytest.mark.parametrize("header", [v1(), v2()])
def test_a_proxy_header_that_is_not_expected_is_named(header: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with secure() as server:
        client = server.open()
        client.send(header)
        server.loop.settle()
        with contextlib.suppress(ConnectionResetError):
            client.expect_closed()
        assert "proxy_protocol" in wait_for_line(caplog, "PROXY header")


# Behind a balancer.


@pytest.mark.parametrize("header", [v1(), v2()])
@pytest.mark.parametrize("is_bytewise", [False, True])
def test_a_proxy_header_comes_before_the_handshake(header: bytes, *, is_bytewise: bool) -> None:
    proxy_protocol = ProxyProtocol("any", lambda _address: True)
    with secure(proxy_protocol=proxy_protocol) as server:
        client = server.open()
        assert server.handshakes.tally.open_count == 0  # its time begins behind the header
        tap = Wiretap(client.send)
        octets = header + tap.hello()
        for start in range(0, len(octets), 1 if is_bytewise else len(octets)):
            client.send(octets[start : start + (1 if is_bytewise else len(octets))])
            server.loop.turn(2)
        server.hear(tap)
        assert tap.shake_hands()
        tap.send(GET)
        assert b"200 OK" in server.hear(tap)
        (channel,) = server.loop.channels
        assert (channel.origin.peer.address, channel.origin.tls is not None) == ("203.0.113.7", True)


def test_what_comes_in_clear_behind_a_proxy_header_is_no_request() -> None:
    proxy_protocol = ProxyProtocol("any", lambda _address: True)
    with secure(proxy_protocol=proxy_protocol) as server:
        client = server.open()
        client.send(v1() + GET)
        server.loop.settle()
        assert client.receive().status == 400
        assert server.loop.requests == []


def test_every_result_is_counted_from_the_beginning() -> None:
    assert Handshakes(1).tally.counts == dict.fromkeys(RESULTS, 0)


def test_a_closed_connection_waits_for_nothing() -> None:
    with secure() as server:
        server.open()
        (channel,) = server.loop.channels
        assert channel.state is ChannelState.PREFACE
        assert not channel.mask & WRITE
        channel.close()
        assert server.handshakes.tally.open_count == 0
