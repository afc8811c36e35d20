"""waitressd.net.preface: a PROXY header at the beginning of a connection, over real sockets."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Client
from tests.support.proxyheaders import CLIENT, LOCAL, SERVER, UNKNOWN, UNSPEC, binary, tls, tlv, v1, v2, v2_unix
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until

FORGED: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Request-ID: forged\r\n"
)
IDENTITY: Final = ("REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT", "SERVER_PORT", "wsgi.url_scheme")
GET: Final = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
COMPLAINT_SECONDS: Final = 10.0


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Tell who the client is."""
    start_response("200 OK", [("Content-Type", "application/json")])
    kept = {key: value for key, value in environ.items() if isinstance(value, str) and not key.startswith("waitressd.")}
    return [json.dumps(kept).encode()]


Start = Callable[..., RunningServer]


@pytest.fixture(params=["plain", "observed"])
def records(request: pytest.FixtureRequest) -> list[Any] | None:
    """Where a request log puts its records; None without one."""
    return None if request.param == "plain" else []


@pytest.fixture
def start(records: list[Any] | None) -> Iterator[Start]:
    """Start servers behind a balancer on this machine, with and without a request log."""
    with ExitStack() as stack:

        def run(**settings: Any) -> RunningServer:
            defaults: dict[str, Any] = {"trusted_proxy": "127.0.0.1", "proxy_protocol": "any", "linger_timeout": 0}
            if records is not None:
                defaults["request_log"] = (records.append,)
            return stack.enter_context(running_server(application, **{**defaults, **settings}))

        yield run


def told(client: Client) -> dict[str, str]:
    """Return the environ that a request had."""
    answer = client.receive()
    assert answer.status == 200
    environ: dict[str, str] = json.loads(answer.body)
    return environ


def identity(environ: dict[str, str]) -> list[str | None]:
    return [environ.get(key) for key in IDENTITY]


def expect_end(client: Client) -> None:
    """Fail unless the server ends the connection, one way or another, without a byte."""
    try:
        client.expect_closed()
    except ConnectionResetError:
        return


def wait_for_line(caplog: pytest.LogCaptureFixture, text: str) -> str:
    """Return the one line that has the text, once it was written."""
    wait_until(lambda: text in caplog.text, COMPLAINT_SECONDS)
    (line,) = [line for line in caplog.messages if text in line]
    return line


HEADERS: Final = [
    pytest.param(v1(), ["203.0.113.7", "203.0.113.7", "4711", "443", "http"], id="v1"),
    pytest.param(v2(), ["203.0.113.7", "203.0.113.7", "4711", "443", "http"], id="v2"),
    pytest.param(v1(("2001:db8::7", 1), ("::1", 80)), ["2001:db8::7", "2001:db8::7", "1", "80", "http"], id="v1 v6"),
    pytest.param(v2(("2001:db8::7", 1), ("::1", 80)), ["2001:db8::7", "2001:db8::7", "1", "80", "http"], id="v2 v6"),
    pytest.param(v2(("::ffff:192.0.2.1", 1), ("::1", 80)), ["192.0.2.1", "192.0.2.1", "1", "80", "http"], id="mapped"),
    pytest.param(v2(CLIENT, SERVER, tls(1, 1)), ["203.0.113.7", "203.0.113.7", "4711", "443", "https"], id="tls"),
]


@pytest.mark.parametrize(("header", "expected"), HEADERS)
def test_the_source_is_the_client(
    start: Start, records: list[Any] | None, header: bytes, expected: list[str | None]
) -> None:
    """Whole, in octets, and with requests behind it; and the same for every request of the connection."""
    server = start()
    sends: list[Callable[[Client, bytes], None]] = [Client.send, Client.send_bytewise]
    for send in sends:
        with server.connect() as client:
            send(client, header + GET + GET)
            assert [identity(told(client)), identity(told(client))] == [expected, expected]
            send(client, GET)
            assert identity(told(client)) == expected
    with server.connect() as client:
        client.send(header)
        assert client.is_silent(0.05)
        client.send(GET)
        assert identity(told(client)) == expected
    server.stop()
    if records is not None:
        host = f"[{expected[0]}]" if ":" in str(expected[0]) else expected[0]
        assert {record.peer for record in records} == {f"{host}:{expected[2]}"}
        assert {record.client for record in records} == {expected[0]}
        first = min(record.connection for record in records)  # they are counted for the whole process
        assert sorted((record.connection - first, record.number) for record in records) == [
            (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 1),
        ]  # fmt: skip


@pytest.mark.parametrize("header", [LOCAL, UNSPEC, UNKNOWN], ids=["LOCAL", "UNSPEC", "UNKNOWN"])
def test_a_balancer_without_a_client(start: Start, header: bytes) -> None:
    """The connection is the balancer's own, and whatever a client may have written through it has no effect."""
    server = start(trusted_proxy_headers="x-forwarded-for x-forwarded-host")
    with server.connect() as client:
        client.send(header + GET)
        plain = told(client)
        port = str(client.sock.getsockname()[1])
        assert identity(plain) == ["127.0.0.1", "127.0.0.1", port, str(server.port), "http"]
        client.send(GET[:-2] + b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil.example\r\n\r\n")
        assert told(client) == plain


@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_only_the_first_octets_are_a_header(start: Start, records: list[Any] | None, header: bytes) -> None:
    """A client that sends one of its own, through the balancer, is still itself."""
    server = start()
    forged = header.replace(b"203.0.113.7", b"6.6.6.6").replace(bytes([203, 0, 113, 7]), bytes([6, 6, 6, 6]))
    with server.connect() as client:
        client.send(header + GET)
        assert told(client)["REMOTE_ADDR"] == "203.0.113.7"
        client.send(forged + GET)
        assert client.receive().status == 400
        expect_end(client)
    with server.connect() as client:
        client.send(header + forged + GET)
        assert client.receive().status == 400
        expect_end(client)
    server.stop()
    if records is not None:
        assert {record.client for record in records} == {"203.0.113.7"}


@pytest.mark.parametrize(
    ("settings", "data", "why"),
    [
        ({}, GET, "does not begin with a PROXY header"),
        ({}, b"PROXY TCP4 203.0.113.7 198.51.100.2 1\r\n", "version 1 header is not"),
        ({}, b"PROXY TCP4 203.0.113.700 198.51.100.2 1 2\r\n" + GET, "an address that is none"),
        ({}, b"PROXY " + b"x" * 200, "too long"),
        ({}, binary(b"\1\2\3"), "cut off"),
        ({}, binary(bytes(12), command=0x2F), "neither LOCAL nor PROXY"),
        ({}, v2(CLIENT, SERVER, b"\1\xff\xff"), "a TLV of a version 2 header is longer"),
        ({"proxy_protocol": "v1"}, v2(), "does not begin with a PROXY header"),
        ({"proxy_protocol": "v2"}, v1(), "does not begin with a PROXY header"),
    ],
    ids=["http", "ports", "address", "long", "short", "command", "tlv", "only v1", "only v2"],
)
def test_a_broken_header_ends_the_connection(
    start: Start, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], data: bytes, why: str
) -> None:
    """Nothing is answered, and one line names the peer however often it happens."""
    caplog.set_level(logging.INFO)
    server = start(**settings)
    ports = []
    for _ in range(20):
        with server.connect() as client:
            ports.append(client.sock.getsockname()[1])
            client.send(data)
            expect_end(client)
    assert why in wait_for_line(caplog, f"closed a connection of 127.0.0.1:{ports[0]}: ")
    assert len([line for line in caplog.messages if "closed a connection" in line]) <= 2  # one a second


def test_a_stranger_is_turned_away_before_it_says_anything(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start(trusted_proxy="10.0.0.0/8")
    with server.connect() as client:
        port = client.sock.getsockname()[1]
        expect_end(client)
    line = wait_for_line(caplog, "closed a connection")
    assert line.startswith(f"closed a connection of 127.0.0.1:{port}: it is not in trusted_proxy")
    with server.connect() as client:
        client.send(v1() + GET)
        expect_end(client)


def test_an_octet_now_and_then_does_not_move_the_deadline(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start(request_header_timeout=0.5)
    begun = time.monotonic()
    with server.connect() as client, contextlib.suppress(ConnectionError):  # the end may come as a reset
        for octet in b"PROXY TCP4 203.0.113.7 198.51.100.2":
            if not client.is_silent(0.1):
                break
            client.send(bytes([octet]))
        else:
            pytest.fail("nobody ended the connection")
    assert 0.4 < time.monotonic() - begun < 3
    assert "no PROXY header was complete within 0.5 s" in wait_for_line(caplog, "closed a connection")


def test_after_the_header_a_connection_may_rest(start: Start) -> None:
    """Browsers connect before they have anything to ask."""
    server = start(request_header_timeout=0.3, channel_timeout=30)
    with server.connect() as client:
        client.send(v1())
        assert client.is_silent(1)
        client.send(GET)
        assert told(client)["REMOTE_ADDR"] == "203.0.113.7"
        client.send(GET[:10])
        assert client.receive().status == 408


def test_a_health_check_that_only_connects_is_not_worth_a_line(
    start: Start, records: list[Any] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = start()
    for end in (Client.close, Client.reset):
        end(server.connect())
    with server.connect() as client:
        client.send(b"PROX")
        client.finish_sending()
        expect_end(client)
    assert "in the middle of a PROXY header" in wait_for_line(caplog, "closed a connection")
    server.stop()
    assert not records
    assert len([line for line in caplog.messages if "connection" in line]) == 1


def test_a_stop_does_not_wait_for_headers(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start()
    with server.connect() as silent, server.connect() as half:
        half.send(b"PROXY TCP4")
        with server.connect() as client:  # both are accepted
            client.send(v1() + GET)
            assert told(client)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 5
        expect_end(silent)
        expect_end(half)
    assert "PROXY" not in caplog.text


def test_each_listener_has_its_own_mind(start: Start, tmp_path: Path) -> None:
    """The orchestrator asks the port directly, the balancer comes through the Unix socket."""
    path = str(tmp_path / "web.sock")
    server = start(listen=f"127.0.0.1:0 unix:{path}", trusted_proxy="unix:", proxy_protocol_listen=f"unix:{path}")
    with server.connect() as client:
        client.send(GET)
        assert told(client)["REMOTE_ADDR"] == "127.0.0.1"
        client.send(v1() + GET)
        assert client.receive().status == 400
    with Client(path) as client:
        client.send(v2() + GET)
        assert identity(told(client)) == ["203.0.113.7", "203.0.113.7", "4711", "443", "http"]
    with Client(path) as client:
        client.send(GET)
        expect_end(client)


def test_a_client_of_the_balancers_unix_socket(start: Start) -> None:
    """It is called as our own ones are, and is not trusted as they are: it may be on another machine."""
    server = start(trusted_proxy="localhost", trusted_proxy_headers="x-forwarded-for")
    with server.connect() as client:
        client.send(v2_unix("", "/run/front.sock") + GET[:-2] + b"X-Forwarded-For: 6.6.6.6\r\n\r\n")
        environ = told(client)
        assert identity(environ) == ["localhost", "localhost", None, str(server.port), "http"]
        assert "HTTP_X_FORWARDED_FOR" not in environ


def test_the_source_may_be_a_proxy_itself(start: Start) -> None:
    """A chain: a CDN that sets X-Forwarded-For, and a balancer that does not look into what it passes on."""
    server = start(trusted_proxy="127.0.0.1 203.0.113.0/24", trusted_proxy_headers="x-forwarded-for")
    request = GET[:-2] + b"X-Forwarded-For: 192.0.2.99\r\n\r\n"
    for source, address in ((CLIENT, "192.0.2.99"), (("198.18.0.1", 1), "198.18.0.1")):
        with server.connect() as client:
            client.send(v1(source) + request)
            assert told(client)["REMOTE_ADDR"] == address


def test_what_a_balancer_knows_of_tls(start: Start) -> None:
    parts = [tlv(0x21, b"TLSv1.3"), tlv(0x22, b"alice"), tlv(0x23, b"AES"), tlv(0xEE, bytes(100))]
    header = v2(CLIENT, SERVER, tlv(0x02, b"shop.example"), tlv(0xE0, bytes(3000)), tls(7, 0, *parts))
    with start().connect() as client:
        client.send_bytewise(header[:200])
        client.send(header[200:] + GET[:-2] + b"SSL-Client-Verify: NONE\r\n\r\n")
        environ = told(client)
    assert {key: value for key, value in environ.items() if key.startswith("SSL_")} == {
        "SSL_TLS_SNI": "shop.example",
        "SSL_PROTOCOL": "TLSv1.3",
        "SSL_CIPHER": "AES",
        "SSL_CLIENT_S_DN_CN": "alice",
        "SSL_CLIENT_VERIFY": "SUCCESS",
    }
    assert environ["wsgi.url_scheme"] == "https"


def test_a_bound_for_one_client_counts_the_source(start: Start) -> None:
    """Not the balancer, from which everybody comes; and a place is free again when its connection ends."""
    server = start(per_client_connection_limit=2)
    for _ in range(3):
        with ExitStack() as stack:
            held = [stack.enter_context(server.connect()) for _ in range(6)]
            for client, source in zip(held, [CLIENT, CLIENT, ("192.0.2.1", 1), ("192.0.2.1", 2)], strict=False):
                client.send(v1(source) + GET)
                assert told(client)["REMOTE_ADDR"] == source[0]
            held[4].send(v1(("203.0.113.7", 9)) + GET)
            expect_end(held[4])
            held[5].send(LOCAL + GET)
            assert told(held[5])["REMOTE_ADDR"] == "127.0.0.1"
            for client in held[:4]:
                client.send(GET[:-2] + b"Connection: close\r\n\r\n")
                assert told(client)
                expect_end(client)


@pytest.mark.parametrize("header", [UNKNOWN, LOCAL], ids=["unknown", "local"])
@pytest.mark.parametrize("complete", [True, False])
def test_what_a_client_says_of_itself_behind_a_header_without_a_source(header: bytes, *, complete: bool) -> None:
    """Also where the request is refused, and in the names that join lines of logs."""
    records: list[Any] = []
    with running_server(
        application,
        trusted_proxy="127.0.0.1",
        trusted_proxy_headers="x-forwarded-for",
        proxy_protocol="any",
        request_log=(records.append,),
    ) as server:
        with server.connect() as client:
            client.send(header + FORGED + (b"\r\n" if complete else b"Content-Length: 5\r\n\r\n12"))
            if complete:
                assert client.receive().status == 200
        assert wait_until(lambda: records)
    assert records[0].client == "127.0.0.1"
    assert records[0].request_id != "forged"


def test_that_everybody_may_be_the_balancer_makes_no_client_trustworthy(start: Start) -> None:
    header = v1(("203.0.113.5", 5000), ("192.0.2.1", 443))
    for settings in ({}, {"trusted_proxy_headers": "x-forwarded-for x-forwarded-proto"}):
        server = start(trusted_proxy="*", **settings)
        with server.connect() as client:
            client.send(header + FORGED + b"\r\n")
            told = json.loads(client.receive().body)
        assert (told["REMOTE_ADDR"], told["wsgi.url_scheme"]) == ("203.0.113.5", "http")
        assert "HTTP_X_FORWARDED_FOR" not in told
