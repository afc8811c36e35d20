"""waitressd.net.tls: a wire that encrypts, over a pair of real sockets, beside a client that sees every byte."""

import contextlib
import random
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tls import (
    HOST,
    Wiretap,
    authority,
    client_certificate,
    client_context,
    drain,
    server_context,
)
from waitressd.net.outbuf import OutBuffer, OutputLimits
from waitressd.net.poller import READ, WRITE
from waitressd.net.tls import READ_BYTES, RECORD_BYTES, SEND_BYTES, SILENT_READS, HandshakeError, TlsStream
from waitressd.net.wire import PartialRecordError, close_write, cut, drop_unread, farewell, reset_at_close, send_file

CANARY: Final = b"in clear never "
VERSIONS: Final = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Both:
    """The two ends of a connection: our stream, and the client's octets."""

    def __init__(self, ours: socket.socket, theirs: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.theirs = theirs
        self.stream = TlsStream(ours)
        self.client = Wiretap(theirs.sendall, context)

    def take(self) -> bytes:
        """Let the client read what is there; return all plaintext that it got."""
        self.client.feed(drain(self.theirs))
        return self.client.read()

    def shake_hands(self, context: ssl.SSLContext | None = None) -> None:
        """Complete the handshake."""
        self.stream.wrap(context or server_context())
        wanted = READ
        while wanted:
            self.client.shake_hands()
            wanted = self.stream.shake_hands()
            self.client.feed(drain(self.theirs))
        self.client.shake_hands()
        self.take()  # the ticket of TLS 1.3


@contextlib.contextmanager
def pair(context: ssl.SSLContext | None = None, *, buffer_bytes: int = 0) -> Iterator[Both]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    if buffer_bytes:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    both = Both(ours, theirs, context)
    try:
        yield both
    finally:
        both.stream.close()
        theirs.close()


@contextlib.contextmanager
def connected(
    context: ssl.SSLContext | None = None, *, server: ssl.SSLContext | None = None, buffer_bytes: int = 0
) -> Iterator[Both]:
    with pair(context, buffer_bytes=buffer_bytes) as both:
        both.shake_hands(server)
        yield both


def fill(stream: TlsStream, data: bytes) -> int:
    """Send until the kernel takes no more; return how much it took."""
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while taken < len(data):
            taken += stream.send(data[taken:])
    return taken


@pytest.mark.parametrize("version", VERSIONS)
def test_both_directions(version: ssl.TLSVersion) -> None:
    with connected(client_context(version)) as both:
        assert both.stream.send(b"hello") == 5
        assert both.stream.sendmsg((b"head ", memoryview(b"and body"))) == 13
        assert both.take() == b"hellohead and body"
        both.client.send(b"question")
        assert both.stream.recv(100) == b"question"
        facts = both.stream.describe()
        assert (facts.version, facts.key_bits >= 128, facts.is_resumed) == (version.name.replace("_", "."), True, False)
        assert (facts.asks_certificate, facts.client) == (False, None)


def test_a_head_and_a_small_body_are_one_record() -> None:
    with connected() as both:
        before = len(both.client.on_wire)
        both.stream.sendmsg((b"h" * 100, b"b" * 1000))
        both.take()
        assert len(both.client.on_wire) - before < 1100 + 64


def test_nothing_and_the_empty_thing() -> None:
    with connected() as both:
        assert both.stream.send(b"") == 0
        assert both.stream.sendmsg(()) == 0
        with pytest.raises(BlockingIOError):
            both.stream.recv(10)


# What would go out in clear.


def test_after_the_connection_was_shut_nothing_is_sent_at_all() -> None:
    """An SSLSocket that was shut down sends in clear; another thread may shut the connection while a task writes."""
    for end in (cut, close_write):
        with connected() as both:
            end(both.stream)
            for send in (both.stream.send, lambda data, stream=both.stream: stream.sendmsg((data, data))):
                with pytest.raises(BrokenPipeError):
                    send(CANARY * 5000)
            assert drain(both.theirs) == b""


def test_after_the_farewell_nothing_is_sent_at_all() -> None:
    with connected() as both:
        assert farewell(both.stream)
        for data in (CANARY, CANARY * 10_000):
            with pytest.raises(BrokenPipeError):
                both.stream.send(data)
        both.take()
        assert CANARY not in both.client.on_wire
        assert both.client.has_farewell


def test_before_the_handshake_is_complete_nothing_is_sent_at_all() -> None:
    with pair() as both:
        for wrap in (False, True):
            if wrap:
                both.stream.wrap(server_context())
            with pytest.raises(BrokenPipeError):
                both.stream.send(CANARY)
        assert drain(both.theirs) == b""


def test_a_file_is_read_and_encrypted_never_sent_by_the_kernel(tmp_path: Path) -> None:
    content = CANARY * 4000
    path = tmp_path / "file"
    path.write_bytes(content)
    with connected() as both, path.open("rb") as file:
        sent = 0
        while sent < len(content):
            with contextlib.suppress(BlockingIOError):
                sent += send_file(both.stream, file.fileno(), sent, len(content) - sent)
            both.take()
        assert both.take() == content
        assert CANARY not in both.client.on_wire


# Reading.


def test_what_is_not_complete_is_no_error() -> None:
    """An SSLWantReadError is an OSError; whoever takes it for the end of a client hangs up on an honest one."""
    with connected() as both:
        record = both.client.encrypt(b"x" * 1000)
        for octet in record[:-1]:
            both.theirs.sendall(bytes([octet]))
            with pytest.raises(PartialRecordError):
                both.stream.recv(100)
        both.theirs.sendall(record[-1:])
        assert both.stream.recv(5000) == b"x" * 1000


def test_no_plaintext_is_left_where_no_poller_sees_it() -> None:
    """However little is asked for, a whole record is taken: the rest of it would wait inside OpenSSL for ever."""
    with connected() as both:
        both.client.send(b"x" * RECORD_BYTES)
        assert both.stream.recv(512) == b"x" * RECORD_BYTES


def test_several_large_records_in_one_event_as_far_as_was_asked_for() -> None:
    with connected() as both:
        both.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        both.client.send(b"x" * (RECORD_BYTES * 5))
        assert both.stream.recv(RECORD_BYTES * 3) == b"x" * (RECORD_BYTES * 3)
        assert both.stream.recv(96 * 1024) == b"x" * (RECORD_BYTES * 2)


def test_one_read_gives_no_more_than_its_bound_and_the_poller_tells_of_the_rest() -> None:
    with connected() as both:
        both.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        both.client.send(b"x" * (READ_BYTES + RECORD_BYTES))
        assert both.stream.recv(1 << 20) == b"x" * READ_BYTES
        assert select.select([both.stream], [], [], 0)[0]
        assert both.stream.recv(1 << 20) == b"x" * RECORD_BYTES


def test_what_came_before_a_broken_record_is_not_lost() -> None:
    with connected() as both:
        both.client.send(b"x" * RECORD_BYTES)
        both.theirs.sendall(b"\x17\x03\x03\x00\x20" + b"garbage!" * 4)
        assert both.stream.recv(96 * 1024) == b"x" * RECORD_BYTES
        with pytest.raises(ssl.SSLError):
            both.stream.recv(96 * 1024)
        with pytest.raises(BrokenPipeError):
            both.stream.send(b"more")
        assert farewell(both.stream)  # it has no one left to say it to


def test_records_without_plaintext_come_to_an_end() -> None:
    with connected() as both:
        stream = both.stream
        stream._silent_reads = SILENT_READS - 1
        with pytest.raises(BlockingIOError):
            stream.recv(10)
        with pytest.raises(ConnectionAbortedError):
            stream.recv(10)
        stream._silent_reads = SILENT_READS - 1
        both.client.send(b"x")
        assert stream.recv(10) == b"x"
        with pytest.raises(BlockingIOError):
            stream.recv(10)  # what came in between counts


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("says_farewell", [True, False])
def test_a_client_that_ends_its_side_can_be_answered(version: ssl.TLSVersion, *, says_farewell: bool) -> None:
    """With or without close_notify: where a request ends, HTTP says."""
    with connected(client_context(version)) as both:
        both.client.send(b"question")
        if says_farewell:
            both.client.say_farewell()
        both.theirs.shutdown(socket.SHUT_WR)
        assert both.stream.recv(100) == b"question"
        assert both.stream.recv(100) == b""
        assert both.stream.send(b"answer") == 6
        if not says_farewell:
            assert both.take() == b"answer"


# Writing.


def test_a_refused_record_is_no_error_and_is_not_lost() -> None:
    data = random.Random(1).randbytes(1 << 20)
    with connected(buffer_bytes=8192) as both:
        sent = 0
        while sent < len(data):
            sent += fill(both.stream, data[sent:])
            with pytest.raises(BlockingIOError):
                both.stream.send(data[sent : sent + 1] or b"x") if sent < len(data) else both.stream.recv(1)
            both.take()
        assert both.take() == data


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1 << 32), sizes=st.lists(st.sampled_from([1, 3, 100, 5000, 16_384, 20_000, 70_000]), min_size=3)
)
def test_no_byte_is_lost_doubled_or_moved_however_the_caller_cuts_it(seed: int, sizes: list[int]) -> None:
    """OpenSSL wants a refused write again as it was; the caller need not know."""
    rng = random.Random(seed)
    data = rng.randbytes(500_000)
    with connected(buffer_bytes=rng.choice([4608, 20_000, 200_000])) as both:
        sent = 0
        for turn in range(200):
            count = sizes[turn % len(sizes)]
            parts = [data[sent : sent + count], data[sent + count : sent + 2 * count]]
            try:
                sent += both.stream.sendmsg(parts) if rng.random() < 0.5 else both.stream.send(parts[0])
            except BlockingIOError:
                both.take()
        while sent < len(data) and (taken := fill(both.stream, data[sent : sent + 1])):
            sent += taken  # what is owed is paid before anything else
            break
        got = both.take()
        assert got == data[: len(got)]
        assert sent - 1 <= len(got) <= sent + 16_384


def test_a_byte_counts_as_taken_when_its_record_is_with_the_kernel() -> None:
    with connected(buffer_bytes=100_000) as both:
        sent = fill(both.stream, b"x" * (1 << 20))
        assert 0 < sent < 1 << 20
        assert len(both.take()) <= sent


def test_one_call_takes_no_more_than_its_share() -> None:
    with connected(buffer_bytes=4 << 20) as both:
        assert both.stream.send(memoryview(b"x" * (4 * SEND_BYTES))) <= SEND_BYTES


def test_an_output_buffer_gets_everything_through() -> None:
    pieces = [random.Random(number).randbytes(size) for number, size in enumerate((10, 5000, 100_000, 300_000, 1))]
    with connected(buffer_bytes=8192) as both:
        outbuf = OutBuffer(OutputLimits(outbuf_overflow=50_000))
        for piece in pieces:
            outbuf.append(both.stream, [piece])
        while not outbuf.flush(both.stream):
            both.take()
        assert both.take() == b"".join(pieces)
        outbuf.close()


def test_shutting_a_connection_while_another_thread_writes_ends_its_writes() -> None:
    for _ in range(20):
        with connected() as both:
            failures: list[OSError] = []

            def write(stream: TlsStream = both.stream, failures: list[OSError] = failures) -> None:
                while True:
                    try:
                        stream.send(CANARY * 3000)
                    except BlockingIOError:
                        pass
                    except OSError as error:
                        failures.append(error)
                        return

            thread = threading.Thread(target=write)
            thread.start()
            both.take()
            cut(both.stream)
            thread.join(10)
            assert failures
            both.theirs.setblocking(False)
            octets = drain(both.theirs)
            assert CANARY not in octets + both.client.on_wire


# The end.


@pytest.mark.parametrize("version", VERSIONS)
def test_a_farewell_says_that_everything_was_said(version: ssl.TLSVersion) -> None:
    with connected(client_context(version)) as both:
        both.stream.send(b"all")
        assert farewell(both.stream)
        assert farewell(both.stream)
        close_write(both.stream)
        assert both.take() == b"all"
        assert both.client.has_farewell


def test_a_farewell_does_not_mind_what_the_client_has_sent_meanwhile() -> None:
    with connected() as both:
        both.client.send(b"the next request")
        assert farewell(both.stream)
        both.client.send(b"and one more")
        both.take()
        assert both.client.has_farewell
        assert drop_unread(both.stream)  # as it came: nobody decrypts it
        assert not drop_unread(both.stream)


def test_a_farewell_waits_for_room() -> None:
    with connected(buffer_bytes=4608) as both:
        data = b"x" * 100_000
        sent = fill(both.stream, data)
        while not fill(both.stream, data[sent:]):  # exactly full, with no record on its way
            both.stream._refused = b""
            break
        tries = 0
        while not farewell(both.stream):
            tries += 1
            both.client.feed(drain(both.theirs))
        assert tries < 10


@pytest.mark.parametrize("end", ["close", "cut", "reset"])
def test_who_is_cut_off_hears_no_farewell(end: str) -> None:
    with connected() as both:
        both.stream.send(b"a part")
        if end == "cut":
            cut(both.stream)
            assert farewell(both.stream)  # there is nothing left to say it with
        elif end == "reset":
            reset_at_close(both.stream)
        both.stream.close()
        with contextlib.suppress(ConnectionResetError):
            both.take()
        assert not both.client.has_farewell


# The handshake.


def test_a_handshake_waits_for_what_it_lacks_and_for_nothing_else() -> None:
    with pair() as both:
        both.stream.wrap(server_context())
        hello = both.client.hello()
        both.theirs.sendall(hello[:100])
        assert both.stream.shake_hands() == READ
        both.theirs.sendall(hello[100:])
        assert both.stream.shake_hands() == READ
        both.client.feed(drain(both.theirs))
        both.client.shake_hands()
        assert both.stream.shake_hands() == 0


def test_a_handshake_asks_for_room_only_while_it_has_none() -> None:
    """Interest in writing that stays would make the event loop spin."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    both = Both(ours, theirs)
    try:
        while True:
            try:
                ours.send(b"\0" * 512)  # of no use to the client, but it fills the kernel
            except BlockingIOError:
                break
        both.stream.wrap(server_context())
        both.theirs.sendall(both.client.hello())
        assert both.stream.shake_hands() == WRITE
        octets = drain(theirs).lstrip(b"\0")
        wanted = both.stream.shake_hands()
        assert wanted == READ
        both.client.feed(octets + drain(theirs))
        both.client.shake_hands()
        assert both.stream.shake_hands() == 0
    finally:
        both.stream.close()
        theirs.close()


@pytest.mark.parametrize(
    ("client", "result", "text"),
    [
        (lambda: client_context(ssl.TLSVersion.TLSv1_2), "no_version", "tls_min_version"),
        (lambda: _with_ciphers("AES256-SHA"), "no_cipher", "no cipher suite"),
    ],
)
def test_why_a_handshake_fails(client: object, result: str, text: str) -> None:
    context = server_context()
    if result == "no_version":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    else:
        context.set_ciphers("ECDHE+AESGCM")
    assert callable(client)
    with pair(client()) as both, pytest.raises(HandshakeError, match=text) as caught:
        both.shake_hands(context)
    assert caught.value.result == result


def _with_ciphers(ciphers: str) -> ssl.SSLContext:
    context = client_context(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers)
    return context


def test_garbage_ends_a_handshake_with_words_and_a_client_that_leaves_without() -> None:
    with pair() as both:
        both.stream.wrap(server_context())
        both.theirs.sendall(b"\x16\x03\x01\x00\x05hello")
        with pytest.raises(HandshakeError) as caught:
            both.stream.shake_hands()
        assert caught.value.result == "error"
    with pair() as both:
        both.stream.wrap(server_context())
        both.theirs.sendall(both.client.hello()[:50])
        both.theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionAbortedError) as left:
            while True:
                both.stream.shake_hands()
        assert not isinstance(left.value, HandshakeError)


def test_http_is_agreed_upon_and_a_session_can_be_resumed() -> None:
    server, client = server_context(), client_context()
    client.set_alpn_protocols(["h2", "http/1.1"])
    with connected(client, server=server) as both:
        assert both.client.tls.selected_alpn_protocol() == "http/1.1"
        both.stream.send(b"x")
        both.take()
        session = both.client.tls.session
    with pair(client) as both:
        both.client.tls.session = session
        both.shake_hands(server)
        assert both.stream.describe().is_resumed


# Who the client is.


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_is_known_by_its_certificate(version: ssl.TLSVersion) -> None:
    alice = client_certificate()
    with connected(client_context(version, alice), server=server_context(verify=ssl.CERT_REQUIRED)) as both:
        facts = both.stream.describe()
    assert facts.asks_certificate
    client = facts.client
    assert client is not None
    assert (client.common_name, client.email_addresses, client.dns_names) == ("Alice", ("alice@example.org",), ())
    assert client.subject.startswith("CN=Alice,OU=Testing cert #")
    assert "O=trustme" in client.issuer
    assert int(client.serial, 16) > 0
    assert client.not_after.endswith("GMT")
    assert client.pem.strip() == alice.cert_chain_pems[0].bytes().decode().strip()


def test_names_are_escaped_as_rfc_4514_says() -> None:
    odd = authority().issue_cert("a@example.org", common_name=' #1 "Müller, \\ & +" <a;b>\n ')
    with connected(client_context(certificate=odd), server=server_context(verify=ssl.CERT_OPTIONAL)) as both:
        client = both.stream.describe().client
    assert client is not None
    assert client.subject.split("OU=")[0] == 'CN=\\ #1 \\"Müller\\, \\\\ & \\+\\" \\<a\\;b\\>\\0A\\ ,'


def test_a_client_that_need_not_show_a_certificate() -> None:
    with connected(server=server_context(verify=ssl.CERT_OPTIONAL)) as both:
        facts = both.stream.describe()
        assert (facts.asks_certificate, facts.client) == (True, None)


def test_a_client_that_must_and_does_not() -> None:
    with pair(client_context(ssl.TLSVersion.TLSv1_2)) as both, pytest.raises(HandshakeError) as caught:
        both.shake_hands(server_context(verify=ssl.CERT_REQUIRED))
    assert caught.value.result == "client_certificate"


def test_the_name_that_the_client_asked_for() -> None:
    def choose(sock: Any, name: str | None, _context: ssl.SSLContext) -> None:
        sock.server_hostname = name

    context = server_context()
    context.sni_callback = choose
    with connected(server=context) as both:
        assert both.stream.describe().sni == HOST
